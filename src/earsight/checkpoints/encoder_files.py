"""Single encoders in: BEATs, ImageBind's audio branch and CLAP, from their published files to a folder.

The folder (config.json, model.safetensors) is given to any system by a setting: encoders.sound=DIR
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from earsight.checkpoints.tensor_files import read_published, state_dict, tensors_of, write_folder
from earsight.encoders import beats, clap, imagebind_audio
from earsight.errors import PartsError

MODEL_TYPE = "earsight-encoder"


@dataclass(frozen=True)
class Encoder:
    """A published encoder as ours: its configuration's values and its tensors."""

    kind: str
    config: Any
    tensors: Mapping[str, Tensor]
    ignored: tuple[str, ...]  # names in the file that are of no use here


def import_encoder(kind: str, path: Path, out: Path) -> Encoder:
    """Read a published encoder, check every tensor, write its folder.

    Args:
        kind: "beats", "imagebind" or "clap".

    Raises:
        PartsError: another kind of file, tensors missing or of other sizes; nothing is written.
    """
    encoder = READERS[kind](path)
    with torch.device("meta"):
        wanted = {name: tuple(value.shape) for name, value in encoder.config.build().state_dict().items()}
    given = {name: tuple(value.shape) for name, value in encoder.tensors.items()}
    if differing := sorted(name for name in set(wanted) | set(given) if wanted.get(name) != given.get(name)):
        first = differing[0]
        raise PartsError(
            f"{path}: {len(differing)} tensors are not those of {kind}, such as {first} "
            f"({given.get(first, 'missing')}, expected {wanted.get(first, 'none')}); give its published file"
        )

    def finish(folder: Path) -> None:
        described = {"model_type": MODEL_TYPE, "encoder": kind, "values": asdict(encoder.config)}
        (folder / "config.json").write_text(json.dumps(described, indent=1), encoding="utf-8")

    write_folder(out, encoder.tensors.items(), finish)
    return encoder


def values_of(folder: Path) -> dict[str, Any] | None:
    """The encoder's values where a folder holds one of ours, else None."""
    try:
        described = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return described["values"] if described.get("model_type") == MODEL_TYPE else None


def _beats(path: Path) -> Encoder:
    held = read_published(path)
    if not isinstance(held, Mapping) or not {"cfg", "model"} <= set(held):
        raise PartsError(f"{path}: expected BEATs weights, with 'cfg' and 'model'; give a published BEATs_*.pt file")
    config = beats.config_from_published(held["cfg"])
    state = state_dict(held, path)
    tensors = beats.published_state(state, predictor=bool(config.n_classes))
    repeated = tuple(name for name in state if name.endswith("relative_attention_bias.weight"))[1:]
    return Encoder("beats", config, tensors, repeated)


def _imagebind(path: Path) -> Encoder:
    state = state_dict(read_published(path), path)
    if not any(name.startswith("modality_trunks.audio.") for name in state):
        raise PartsError(f"{path}: no ImageBind audio branch in it; give imagebind_huge.pth or its audio part")
    others = tuple(name for name in state if ".audio." not in name)
    return Encoder("imagebind", imagebind_audio.ImageBindAudioConfig(), imagebind_audio.published_state(state), others)


# LAION's names -> Transformers', one after the other.
LAION_NAMES = (
    ("attn", "attention.self"),
    ("self.proj", "output.dense"),
    ("attention.self_mask", "attn_mask"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
    ("norm1", "layernorm_before"),
    ("norm2", "layernorm_after"),
    ("bn0", "batch_norm"),
)
# The spectrogram is made by Transformers' extractor, classes are not asked for.
LAION_UNUSED = ("spectrogram_extractor", "logmel_extractor", "tscam_conv", "head.")


def _clap(path: Path) -> Encoder:
    """LAION's .pt, or a folder of Transformers' ClapModel."""
    if path.is_dir():
        from earsight.checkpoints.pretrained import sizes_of

        known = set(clap.HTSAT_TINY)
        config = clap.ClapConfig({name: value for name, value in sizes_of(path).items() if name in known})
        tensors, ignored = {}, []
        for name, value in tensors_of(path):
            inner = name.removeprefix("audio_model.")
            if inner.startswith("audio_encoder."):
                tensors[f"model.{inner}"] = value
            else:
                ignored.append(name)
        return Encoder("clap", config, tensors, tuple(ignored))
    held = read_published(path)
    state = state_dict(held.get("state_dict", held) if isinstance(held, Mapping) else held, path)
    return Encoder("clap", clap.ClapConfig(), *_laion(state, path))


def _laion(state: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    tensors: dict[str, Tensor] = {}
    ignored = []
    for name, value in state.items():
        inner = name.removeprefix("module.")
        if not inner.startswith("audio_branch.") or any(one in inner for one in LAION_UNUSED):
            ignored.append(name)
            continue
        inner = inner.removeprefix("audio_branch.")
        for theirs, ours in LAION_NAMES:
            inner = inner.replace(theirs, ours)
        if ".qkv." in inner:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                tensors[f"model.audio_encoder.{inner.replace('qkv', part)}"] = third.contiguous()
        else:
            tensors[f"model.audio_encoder.{inner}"] = value
    if not tensors:
        raise PartsError(f"{path}: no CLAP audio branch in it; give LAION's .pt or a folder of Transformers' ClapModel")
    return tensors, tuple(ignored)


READERS: dict[str, Callable[[Path], Encoder]] = {"beats": _beats, "imagebind": _imagebind, "clap": _clap}

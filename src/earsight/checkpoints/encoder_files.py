"""Single encoders in: BEATs, ImageBind's audio branch and CLAP, from their published files to a folder.

The folder (config.json, model.safetensors) is given to any system by a setting: encoders.sound=DIR
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from earsight import systems
from earsight.checkpoints.model_folders import sizes_of
from earsight.checkpoints.tensor_files import read_published, refuse_existing, state_dict, tensors_of, write_folder
from earsight.encoders import beats, clap, imagebind_audio
from earsight.errors import EarsightError, PartsError

MODEL_TYPE = "earsight-encoder"
CONFIGS: dict[str, type] = {
    "beats": beats.BeatsConfig,
    "imagebind": imagebind_audio.ImageBindAudioConfig,
    "clap": clap.ClapConfig,
}
# How a system uses an encoder, which its file does not tell, and the classes of sound, which no system asks for.
SYSTEMS_OWN = {"chunk_seconds", "run_blocks", "n_segments", "longest_seconds", "n_classes"}


@dataclass(frozen=True)
class Encoder:
    """A published encoder as ours: its configuration and its tensors."""

    kind: str
    config: Any
    tensors: Mapping[str, Tensor]
    ignored: tuple[str, ...]  # names in the file that are of no use here


def import_encoder(kind: str, path: Path, out: Path, settings: Mapping[str, Any] | None = None) -> Encoder:
    """Read a published encoder, check every tensor, write its folder.

    Args:
        kind: "beats", "imagebind" or "clap".
        settings: values of its configuration that shapes do not tell, such as {"n_heads": 4}; they win.

    Raises:
        PartsError: another kind of file, tensors missing or of other sizes; nothing is written.
        EarsightError: settings that the encoder does not have.
    """
    refuse_existing(out)
    encoder = read_encoder(kind, path, settings)
    _check(encoder, path)

    def finish(folder: Path) -> None:
        described = {"model_type": MODEL_TYPE, "encoder": kind, "values": asdict(encoder.config)}
        (folder / "config.json").write_text(json.dumps(described, indent=1), encoding="utf-8")

    write_folder(out, encoder.tensors.items(), finish)
    return encoder


def read_encoder(kind: str, path: Path, settings: Mapping[str, Any] | None = None) -> Encoder:
    """A published encoder's configuration and tensors, of which none is checked yet.

    Raises:
        PartsError: another kind of file.
        EarsightError: settings that the encoder does not have.
    """
    config, tensors, ignored = READERS[kind](path)
    return Encoder(kind, systems.with_values(config, settings or {}, kind), tensors, tuple(ignored))


def _check(encoder: Encoder, path: Path) -> None:
    """Raises PartsError where the tensors are not those of the encoder."""
    kind = encoder.kind
    wanted = _shapes(encoder.config, path)
    given = {name: tuple(value.shape) for name, value in encoder.tensors.items()}
    if differing := sorted(name for name in set(wanted) | set(given) if wanted.get(name) != given.get(name)):
        first = differing[0]
        raise PartsError(
            f"{path}: {len(differing)} tensors are not those of {kind} with these sizes, such as {first} "
            f"({given.get(first, 'missing')}, expected {wanted.get(first, 'none')}); give its published file, or sizes "
            "as NAME=VALUE"
        )


def _shapes(config: Any, path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of an encoder's state; its sizes come from a file, so that they may make none."""
    try:
        with torch.device("meta"):
            return {name: tuple(value.shape) for name, value in config.build().state_dict().items()}
    except Exception as error:  # Transformers and torch raise what they like
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PartsError(f"{path}: its sizes make no encoder ({reason}); give those that fail as NAME=VALUE") from error


def values_of(folder: Path) -> dict[str, Any] | None:
    """The values that a system takes from a folder which `import_encoder` wrote; None of any other folder."""
    described = _described(folder)
    if described is None:
        return None
    return {name: value for name, value in described["values"].items() if name not in SYSTEMS_OWN}


def values_in_system(encoder: Encoder) -> dict[str, Any]:
    """As `values_of`, of an encoder that was just read."""
    return {name: value for name, value in asdict(encoder.config).items() if name not in SYSTEMS_OWN}


def kind_of(folder: Path) -> str | None:
    """ "beats", "imagebind" or "clap" of a folder which `import_encoder` wrote; None of any other folder."""
    described = _described(folder)
    return described["encoder"] if described else None


def load_encoder(folder: Path) -> nn.Module:
    """An imported encoder by itself, ready to be run: `encoder(**encoder.config.prepare([waveform]))`.

    Raises:
        PartsError: not such a folder, or its weights are not whole.
    """
    described = _described(folder)
    if described is None:
        raise PartsError(f"{folder}: not a folder that `earsight import` wrote of an encoder; import its file first")
    kind = described["encoder"]
    config = systems.with_values(CONFIGS[kind](), described["values"], str(folder))
    tensors = dict(tensors_of(folder))
    _check(Encoder(kind, config, tensors, ()), folder)
    encoder: nn.Module = config.build().eval().requires_grad_(False)
    encoder.load_state_dict(tensors)
    return encoder


def _described(folder: Path) -> dict[str, Any] | None:
    try:
        described = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(described, dict) or described.get("model_type") != MODEL_TYPE:
        return None
    if described.get("encoder") not in CONFIGS or not isinstance(described.get("values"), dict):
        raise PartsError(f"{folder}: its config.json is not whole; import the encoder again")
    return described


# Configuration, tensors by our names, names of no use.
Read = tuple[Any, dict[str, Tensor], list[str]]


def _beats(path: Path) -> Read:
    held = read_published(path)
    whole = isinstance(held, Mapping) and isinstance(held.get("cfg"), Mapping)
    if not whole or not isinstance(held.get("model"), Mapping):
        raise PartsError(f"{path}: expected BEATs weights, with 'cfg' and 'model'; give a published BEATs_*.pt file")
    try:
        config = beats.config_from_published(held["cfg"])
    except EarsightError as error:
        raise PartsError(f"{path}: {error}") from None
    state = state_dict(held, path)
    _sizes(state, "patch_embedding.weight", 4, path, "BEATs")
    try:
        tensors = beats.published_state(state, predictor=bool(config.n_classes))
    except (KeyError, IndexError, RuntimeError) as error:
        raise PartsError(f"{path}: BEATs is not whole in it ({error}); download it again") from None
    repeated = [name for name in state if name.endswith("relative_attention_bias.weight")][1:]
    unused = [] if config.n_classes else [name for name in state if name.startswith("predictor.")]
    return config, tensors, repeated + unused


def _imagebind(path: Path) -> Read:
    state = state_dict(read_published(path), path)
    pre, what = "modality_preprocessors.audio.", "ImageBind's audio branch"
    stem = _sizes(state, f"{pre}rgbt_stem.proj.weight", 4, path, what)
    head = _sizes(state, "modality_heads.audio.2.weight", 2, path, what)
    config = imagebind_audio.ImageBindAudioConfig(
        dim=stem[0],
        kernel=stem[3],
        out_dim=head[0],
        n_layers=1 + max(_numbers(state, r"modality_trunks\.audio\.blocks\.(\d+)\."), default=-1),
    )
    ignored = [name for name in state if not imagebind_audio.published_state({name: state[name]})]
    return config, imagebind_audio.published_state(state), ignored


# LAION's names -> Transformers', one after the other.
LAION_NAMES = (
    ("attn", "attention.self"),
    ("self.proj", "output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
    ("norm1", "layernorm_before"),
    ("norm2", "layernorm_after"),
    ("bn0", "batch_norm"),
)
# The spectrogram is made by Transformers' extractor, classes are not asked for, masks are computed.
LAION_UNUSED = re.compile(r"(spectrogram_extractor|logmel_extractor|tscam_conv|head)\..+|.+\.attn_mask")


def _clap(path: Path) -> Read:
    """LAION's .pt, or a folder of Transformers' ClapModel."""
    tensors: dict[str, Tensor] = {}
    ignored: list[str] = []
    if path.is_dir():
        sizes = sizes_of(path)
        if sizes.get("model_type") != "clap_audio_model":
            raise PartsError(f"{path}: a model of type {sizes.get('model_type')}; give a folder of ClapModel")
        for name, value in tensors_of(path):
            inner = name.removeprefix("audio_model.")
            if inner.startswith("audio_encoder."):
                tensors[f"model.{inner}"] = value
            else:
                ignored.append(name)
        return clap.ClapConfig(sizes), tensors, ignored
    held = read_published(path)
    state = state_dict(held.get("state_dict", held) if isinstance(held, Mapping) else held, path)
    for name, value in state.items():
        inner = name.removeprefix("module.").removeprefix("audio_branch.")
        if "audio_branch." not in name or LAION_UNUSED.fullmatch(inner):
            ignored.append(name)
        else:
            tensors |= _laion(inner, value)
    if any(name.startswith("model.audio_encoder.patch_embed.mel_conv2d") for name in tensors):
        raise PartsError(f"{path}: CLAP with fusion reads random crops of long sound; give one without fusion")
    return clap.ClapConfig(_clap_sizes(tensors, path)), tensors, ignored


def _laion(name: str, value: Tensor) -> dict[str, Tensor]:
    """One of LAION's tensors as Transformers has it; query, key and value lie in one there."""
    for theirs, ours in LAION_NAMES:
        name = name.replace(theirs, ours)
    if ".qkv." not in name:
        return {f"model.audio_encoder.{name}": value}
    # A tensor that does not fall into three is refused for its sizes later.
    thirds = zip(("query", "key", "value"), value.chunk(3) if value.ndim else (), strict=False)
    return {f"model.audio_encoder.{name.replace('qkv', part)}": third for part, third in thirds}


def _clap_sizes(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """What the shapes of HTS-AT tell; the size of its spectrogram is the published one's."""
    what, start = "CLAP's audio branch", "model.audio_encoder."
    patches = _sizes(tensors, f"{start}patch_embed.proj.weight", 4, path, what)
    mel = _sizes(tensors, f"{start}batch_norm.weight", 1, path, what)
    groups = _numbers(tensors, rf"{re.escape(start)}layers\.(\d+)\.blocks\.0\.")
    depths, heads, rows = [], [], 1
    for group in sorted(set(groups)):
        inside = f"{start}layers.{group}.blocks."
        depths.append(1 + max(_numbers(tensors, rf"{re.escape(inside)}(\d+)\.")))
        table = f"{inside}0.attention.self.relative_position_bias_table"
        rows, n_heads = _sizes(tensors, table, 2, path, what)
        heads.append(n_heads)
    inner = _sizes(tensors, f"{start}layers.0.blocks.0.intermediate.dense.weight", 2, path, what)
    return clap.HTSAT_TINY | {
        "num_mel_bins": mel[0],
        "patch_size": patches[3],
        "patch_stride": [patches[3], patches[3]],
        "patch_embeds_hidden_size": patches[0],
        "depths": depths,
        "num_attention_heads": heads,
        "window_size": (math.isqrt(rows) + 1) // 2,
        "mlp_ratio": inner[0] / inner[1],
    }


def _sizes(tensors: Mapping[str, Tensor], name: str, ndim: int, path: Path, what: str) -> tuple[int, ...]:
    """A tensor's sizes. Raises PartsError where it is not there, or has another number of axes."""
    shape = tuple(tensors[name].shape) if name in tensors else None
    if shape is None or len(shape) != ndim:
        found = f"{name} has sizes {shape}" if shape is not None else f"no {name} in it"
        raise PartsError(f"{path}: not {what} ({found}); give its published file")
    return shape


def _numbers(names: Mapping[str, Any], pattern: str) -> list[int]:
    return [int(match[1]) for name in names if (match := re.match(pattern, name))]


READERS: dict[str, Callable[[Path], Read]] = {"beats": _beats, "imagebind": _imagebind, "clap": _clap}

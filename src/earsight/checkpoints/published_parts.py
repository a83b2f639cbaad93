"""The parts that SALMONN and video-SALMONN share: trained LoRA, Whisper, BEATs, and the right language model."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from earsight.checkpoints.encoder_files import read_encoder, values_in_system
from earsight.checkpoints.model_folders import config_of, sizes_of, tokenizer_of
from earsight.checkpoints.published_model import Shape, Source
from earsight.checkpoints.tensor_files import read_published, shapes_of, state_dict, tensors_of
from earsight.encoders.whisper import RATE_HZ
from earsight.errors import PartsError

LLAMA_LORA = re.compile(r"llama_model\.base_model\.model\.(.+\.lora_[AB])(?:\.default)?\.weight")
WHISPER_ENCODER = re.compile(r"(?:(?:model\.)?encoder\.)?((?:conv[12]|embed_positions|layers|layer_norm)\..+)")
VICUNA_WORDS = 32000
# Names that tell what a file is, for one who gave it in another's place; the first that fits.
KINDS = {
    "video_query_tokens": "video-SALMONN's trained weights",
    "speech_query_tokens": "SALMONN's trained weights",
    "patch_embedding.weight": "BEATs",
    "modality_trunks.": "ImageBind",
    "visual_encoder.": "InstructBLIP's pictures",
    "Qformer.bert.": "InstructBLIP",
    "blocks.0.attn.qkv.weight": "EVA's ViT",
    "audio_branch.": "CLAP",
    "module.audio_branch.": "CLAP",
    "model.layers.0.": "a language model",
    "model.encoder.conv1.": "Whisper",
}


@dataclass(frozen=True)
class RightModel:
    """The language model that published weights were trained with, and how one of its files is told from another."""

    name: str
    context_tokens: int


@dataclass(frozen=True)
class LanguageModel:
    path: Path
    config: dict[str, Any]
    shapes: Mapping[str, Shape]
    tokenizer: Any

    @property
    def source(self) -> Source:
        """All of it but the buffers that older files hold, and a head that is the embedding again."""
        tied = self.config.get("tie_word_embeddings") and "lm_head.weight"
        left = {name for name in self.shapes if name.endswith("rotary_emb.inv_freq") or name == tied}

        def tensors() -> Iterator[tuple[str, Tensor]]:
            return ((f"language_model.{name}", value) for name, value in tensors_of(self.path) if name not in left)

        shapes = {f"language_model.{name}": shape for name, shape in self.shapes.items() if name not in left}
        return Source("language model", self.path, shapes, tensors, ignored=sorted(left))


def read_language_model(folder: Path) -> LanguageModel:
    """A LLaMA folder's sizes, tokeniser, names and shapes.

    Raises:
        PartsError: not such a folder, another kind of model, or a vocabulary that is not the one in its config.json.
    """
    kind = config_of(folder)["model_type"]
    if kind != "llama":
        raise PartsError(f"{folder}: a language model of type {kind}; the published weights go with Vicuna (llama)")
    config = sizes_of(folder)
    shapes, told = shapes_of(folder), config.get("vocab_size", VICUNA_WORDS)
    rows = next(iter(shapes.get("model.embed_tokens.weight", ())), None)
    if rows is None:
        raise PartsError(f"{folder}: no model.embed_tokens.weight in it; give the whole folder of a language model")
    if rows != told:
        raise PartsError(
            f"{folder}: its vocabulary has {rows} rows in the weights and {told} in config.json; only embed_tokens and "
            f"lm_head differ, so set vocab_size to {rows} in config.json and give the tokeniser that was saved with "
            "these weights"
        )
    return LanguageModel(folder, config, shapes, tokenizer_of(folder, told))


def refuse_another_language_model(
    given: LanguageModel, trained: Mapping[str, Tensor], width: int, right: Mapping[int, RightModel], checkpoint: Path
) -> list[str]:
    """Compare the language model with the trained weights' projection and LoRA.

    Args:
        width: of the language model that the trained weights project to.
        right: which language model goes with which width.

    Returns:
        Notes on what is no error by shape, but is not the right model either.

    Raises:
        PartsError: another width or number of layers; names the right model.
    """
    layers = {int(m[1]) for name in trained if (m := re.search(r"model\.layers\.(\d+)\..*\.lora_A", name))}
    needs = (width, max(layers, default=-1) + 1)
    has = (given.config.get("hidden_size"), given.config.get("num_hidden_layers") if layers else 0)
    if needs != has:
        right_one = f"give {right[width].name}" if width in right else "give the one that they were trained with"
        raise PartsError(
            f"{given.path}: this language model is {has[0]} wide with {given.config.get('num_hidden_layers')} layers, "
            f"the weights in {checkpoint} were trained with one {needs[0]} wide"
            f"{f' with {needs[1]} layers' if layers else ''}; {right_one}"
        )
    if width not in right:
        return []
    notes, wanted = [], right[width]
    context, words = given.config.get("max_position_embeddings"), given.config.get("vocab_size")
    if context != wanted.context_tokens:
        notes.append(
            f"{given.path.name} takes {context} tokens, {wanted.name} {wanted.context_tokens}: if it is another "
            "version, answers may be empty"
        )
    if words != VICUNA_WORDS:
        notes.append(
            f"{given.path.name} has {words} words, Vicuna {VICUNA_WORDS}: only rows of embed_tokens and lm_head are "
            "more or fewer, they are kept as they are"
        )
    return notes


def read_trained(checkpoint: Path, wanted: Mapping[str, int], what: str) -> dict[str, Tensor]:
    """The tensors of published trained weights.

    Args:
        wanted: names that such a file has, and how many axes their tensors.

    Raises:
        PartsError: not a weight file, or of something else; says of what where it can.
    """
    trained = state_dict(read_published(checkpoint), checkpoint)
    expect(trained, wanted, checkpoint, f"{what}'s trained weights")
    return trained


def expect(tensors: Mapping[str, Tensor], wanted: Mapping[str, int], path: Path, what: str) -> None:
    """Raises PartsError where a tensor is not there, or has another number of axes."""
    for name, ndim in wanted.items():
        if name not in tensors:
            found = next((kind for start, kind in KINDS.items() if any(n.startswith(start) for n in tensors)), None)
            looks = f", it looks like {found}" if found and found != what else ""
            raise PartsError(f"{path}: not {what} (no {name} in it{looks}); give its published file")
        if tensors[name].ndim != ndim or not tensors[name].numel():
            raise PartsError(
                f"{path}: {name} has sizes {tuple(tensors[name].shape)}, expected {ndim} of them; give the published "
                "file"
            )


def read_lora(checkpoint: Path, trained: Mapping[str, Tensor], usual: Sequence[str]) -> tuple[dict[str, Any], Source]:
    """Rank and target modules of a trained LoRA, the usual ones first, and its tensors."""
    found = {m[1]: value for name, value in trained.items() if (m := LLAMA_LORA.fullmatch(name))}
    downs = {name.split(".")[-2]: value for name, value in found.items() if name.endswith("lora_A")}
    values: dict[str, Any] = {}
    if downs:
        ordered = [*(name for name in usual if name in downs), *sorted(set(downs) - set(usual))]
        values = {"r": next(iter(downs.values())).shape[0], "target_modules": tuple(ordered)}
    named = {f"{name}.default.weight": value for name, value in found.items()}
    return values, Source.of("LoRA", checkpoint, "language_model.", named)


def read_whisper(folder: Path) -> tuple[dict[str, Any], Source]:
    """Values and tensors of a Whisper folder's encoder.

    Raises:
        PartsError: not a Whisper folder.
    """
    config = config_of(folder)
    if config["model_type"] != "whisper":
        raise PartsError(f"{folder}: a model of type {config['model_type']}, expected whisper; give Whisper-large-v2")
    shapes = shapes_of(folder)
    ours = {name: f"encoders.speech.encoder.{m[1]}" for name in shapes if (m := WHISPER_ENCODER.fullmatch(name))}
    frames = next((shapes[name][0] for name in ours if name.endswith("embed_positions.weight")), 1500)
    # Reference quirk: all of Whisper's output is handed on, 30 s of it for every clip.
    values = {"backbone": sizes_of(folder), "keep_padding": True, "chunk_seconds": frames / RATE_HZ}

    def tensors() -> Iterator[tuple[str, Tensor]]:
        return ((ours[name], value) for name, value in tensors_of(folder) if name in ours)

    left = [name for name in shapes if name not in ours]
    return values, Source("speech", folder, {ours[n]: shapes[n] for n in ours}, tensors, ignored=left)


def read_beats(path: Path) -> tuple[dict[str, Any], Source]:
    """Values and tensors of a BEATs file, without the classes of sound that a fine-tuned one names.

    Raises:
        PartsError: not BEATs.
    """
    encoder = read_encoder("beats", path)
    kept = {name: value for name, value in encoder.tensors.items() if not name.startswith("predictor.")}
    left = [*encoder.ignored, *(name for name in encoder.tensors if name not in kept)]
    return values_in_system(encoder), Source.of("sound", path, "encoders.sound.", kept, ignored=left)


def n_layers(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """How many layers a module has, by the numbers in its tensors' names."""
    found = [int(match[1]) for name in tensors if (match := re.match(pattern, name))]
    return max(found, default=1) + 1


def n_rows(tensors: Mapping[str, Tensor], ending: str, otherwise: int) -> int:
    """Rows of the first tensor whose name ends so."""
    return next((value.shape[0] for name, value in tensors.items() if name.endswith(ending)), otherwise)


def told_apart(names: Sequence[str], known: re.Pattern[str]) -> dict[str, list[str]]:
    """Names that a connector has no use for: those that are known to be in such a file, and the others."""
    rest = [name for name in names if not LLAMA_LORA.fullmatch(name)]
    ignored = [name for name in rest if known.fullmatch(name)]
    return {"ignored": ignored, "unexpected": [name for name in rest if name not in set(ignored)]}

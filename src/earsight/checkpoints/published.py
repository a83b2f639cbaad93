"""Published checkpoints in: SALMONN's and video-SALMONN's weights, with the parts they were trained on, to one folder.

trained weights (.pth)  +  Whisper, BEATs, InstructBLIP  +  language model  ->  safetensors that `from_pretrained` loads

Sizes come from the files themselves. Every tensor is asked for by name and shape before anything is written; what is
missing, unexpected or of no use is listed. The released behaviour is set by name (see `released`).
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from earsight import systems
from earsight.checkpoints.build import build_random, processor_for
from earsight.checkpoints.pretrained import sizes_of
from earsight.checkpoints.tensor_files import read_published, refuse_existing, state_dict, tensors_of, write_folder
from earsight.connectors import multi_resolution_qformer, window_qformer
from earsight.encoders import beats
from earsight.encoders.whisper import RATE_HZ
from earsight.errors import PartsError

LLAMA_LORA = re.compile(r"llama_model\.base_model\.model\.(.+\.lora_[AB])(?:\.default)?\.weight")
# Buffers and unused branches that the published trainers write beside the weights.
LEAKS = re.compile(r".*(rotary_emb\.inv_freq|position_ids|relative_attention_bias\.weight)$")
GOES_WITH = {5120: "Vicuna-13B (1.1 for SALMONN, 1.5 for video-SALMONN)", 4096: "Vicuna-7B v1.5"}


@dataclass
class Report:
    """What became of every tensor."""

    taken: int = 0
    missing: list[str] = field(default_factory=list)  # of the model, in no file
    unexpected: list[str] = field(default_factory=list)  # in the trained weights, not known
    ignored: dict[str, list[str]] = field(default_factory=dict)  # by file: known, of no use here
    wrong_shape: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """Tensors of one file under the names they get."""

    what: str
    path: Path
    tensors: Callable[[], Iterable[tuple[str, Tensor]]]  # read again when written: large files are not held


def import_salmonn(
    checkpoint: Path, whisper_folder: Path, beats_file: Path, llm: Path, out: Path, settings: Mapping[str, Any]
) -> Report:
    """SALMONN's `salmonn_v1.pth` (13B) or `salmonn_7b_v0.pth` with its parts -> a checkpoint folder.

    Raises:
        PartsError: a file that is not what it should be, sizes that do not fit, tensors that are missing.
    """
    refuse_existing(out)
    trained = state_dict(read_published(checkpoint), checkpoint)
    audio = _beats(beats_file)
    ours, ignored = window_qformer.published_state(trained)
    _expect(ours, ("query_tokens", "project.weight", "norms.speech.weight"), checkpoint, "SALMONN")
    values = _merged(
        {
            "encoders": {"speech": _whisper_values(whisper_folder), "sound": audio.values},
            "connector": {
                "n_queries": ours["query_tokens"].shape[1],
                "hidden": ours["query_tokens"].shape[2],
                "n_layers": _n_layers(ours, r"qformer\.encoder\.layer\.(\d+)\."),
                "intermediate": _rows(ours, "intermediate_query.dense.weight", 3072),
                # Reference quirk: the remainder after the last whole window is dropped, and padding is read as sound.
                "last_window": "drop",
                "mask_padding": False,
            },
            "lora": _lora_values(trained, ("q_proj", "v_proj")),
        },
        settings,
    )
    sources = [
        Source("connector", checkpoint, lambda: ((f"connector.{k}", v) for k, v in ours.items())),
        *_common(checkpoint, trained, whisper_folder, audio, llm),
    ]
    return _write("salmonn", values, sources, ignored, llm, out)


def import_video_salmonn(
    checkpoint: Path,
    whisper_folder: Path,
    beats_file: Path,
    instructblip_file: Path,
    llm: Path,
    out: Path,
    settings: Mapping[str, Any],
    question_vocabulary: Path | None = None,
) -> Report:
    """video-SALMONN's `pytorch_model_*.pt` with its parts -> a checkpoint folder.

    Args:
        instructblip_file: the visual weights (visual_encoder, ln_vision, Qformer, query_tokens).
        question_vocabulary: a BERT tokeniser (folder or tokenizer.json) with [DEC] added, for the picture Q-Former.

    Raises:
        PartsError: a file that is not what it should be, sizes that do not fit, tensors that are missing.
    """
    from earsight.encoders import instructblip

    refuse_existing(out)
    trained = state_dict(read_published(checkpoint), checkpoint)
    # Reference quirk: a frame sees itself and later frames.
    causal = "future" if any(".encoder_causal_attention." in name for name in trained) else "none"
    config = multi_resolution_qformer.MultiResolutionQFormerConfig(causal=causal)  # type: ignore[arg-type]
    ours, ignored = multi_resolution_qformer.published_state(trained, config)
    _expect(ours, ("query_tokens.0", "project.weight", "norm.weight"), checkpoint, "video-SALMONN")
    audio = _beats(beats_file)
    seen = state_dict(read_published(instructblip_file), instructblip_file)
    values = _merged(
        {
            "encoders": {
                "vision": instructblip.sizes_of_published(seen),
                "speech": _whisper_values(whisper_folder),
                "sound": audio.values,
            },
            "connector": _mrc_values(ours, causal),
            "lora": _lora_values(trained, ("q_proj", "k_proj", "v_proj", "o_proj")),
            "frames_at_second_ends": True,
        },
        settings,
    )
    pictures = instructblip.published_state(seen)
    sources = [
        Source("connector", checkpoint, lambda: ((f"connector.{k}", v) for k, v in ours.items())),
        Source("pictures", instructblip_file, lambda: ((f"encoders.vision.{k}", v) for k, v in pictures.items())),
        *_common(checkpoint, trained, whisper_folder, audio, llm),
    ]
    vocabulary = _vocabulary(question_vocabulary) if question_vocabulary else None
    return _write("video_salmonn", values, sources, ignored, llm, out, vocabulary)


def _mrc_values(ours: Mapping[str, Tensor], causal: str) -> dict[str, Any]:
    """The published levels are 0.5 s and 5 s; their queries and widths are in the tensors."""
    queries = [ours[f"query_tokens.{i}"] for i in range(sum(name.startswith("query_tokens.") for name in ours))]
    coarse = max(one.shape[1] for one in queries)
    windows = [0.5 * round(10 * one.shape[1] / coarse) for one in queries]
    return {
        "levels": tuple({"window_seconds": w, "n_queries": q.shape[1]} for w, q in zip(windows, queries, strict=True)),
        "hidden": queries[0].shape[2],
        "n_layers": _n_layers(ours, r"qformers\.0\..*?layers?\.(\d+)\."),
        "intermediate": _rows(ours, "intermediate_query.dense.weight", 3072),
        "audio_dim": ours["audio.speech.weight"].shape[0],
        "max_positions": ours["position_embedding.weight"].shape[0],
        "causal": causal,
    }


@dataclass(frozen=True)
class _Beats:
    path: Path
    values: dict[str, Any]
    tensors: dict[str, Tensor]


def _beats(path: Path) -> _Beats:
    from dataclasses import asdict

    held = read_published(path)
    if not isinstance(held, Mapping) or not {"cfg", "model"} <= set(held):
        raise PartsError(f"{path}: expected BEATs weights, with 'cfg' and 'model'; give a published BEATs_*.pt file")
    config = beats.config_from_published(held["cfg"])
    values = {name: value for name, value in asdict(config).items() if name not in ("n_classes", "chunk_seconds")}
    return _Beats(path, values, beats.published_state(state_dict(held, path)))


def _whisper_values(folder: Path) -> dict[str, Any]:
    # Reference quirk: all of Whisper's output is handed on, 30 s of it for every clip.
    frames = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("max_source_positions", 1500)
    return {"backbone": sizes_of(folder), "keep_padding": True, "chunk_seconds": frames / RATE_HZ}


def _lora_values(trained: Mapping[str, Tensor], usual: tuple[str, ...]) -> dict[str, Any]:
    found = {m[1]: value for name, value in trained.items() if (m := LLAMA_LORA.fullmatch(name))}
    downs = {name: value for name, value in found.items() if name.endswith("lora_A")}
    if not downs:
        return {}
    targets = {name.rpartition(".")[0].rpartition(".")[2] for name in downs}
    rank = next(iter(downs.values())).shape[0]
    return {"r": rank, "target_modules": tuple(t for t in usual if t in targets) or tuple(sorted(targets))}


def _common(checkpoint: Path, trained: Mapping[str, Tensor], speech: Path, audio: _Beats, llm: Path) -> list[Source]:
    """The parts that both published systems share."""

    def lora() -> Iterator[tuple[str, Tensor]]:
        for name, value in trained.items():
            if match := LLAMA_LORA.fullmatch(name):
                yield f"language_model.{match[1]}.default.weight", value

    def whisper_encoder() -> Iterator[tuple[str, Tensor]]:
        for name, value in tensors_of(speech):
            inner = re.fullmatch(r"(?:model\.)?encoder\.(.+)", name)
            if inner:
                yield f"encoders.speech.encoder.{inner[1]}", value

    def language_model() -> Iterator[tuple[str, Tensor]]:
        for name, value in tensors_of(llm):
            if not LEAKS.fullmatch(name):
                yield f"language_model.{name}", value

    return [
        Source("LoRA", checkpoint, lora),
        Source("speech", speech, whisper_encoder),
        Source("sound", audio.path, lambda: ((f"encoders.sound.{k}", v) for k, v in audio.tensors.items())),
        Source("language model", llm, language_model),
    ]


def _write(
    system: str,
    values: Mapping[str, Any],
    sources: Iterable[Source],
    not_connector: Iterable[str],
    llm: Path,
    out: Path,
    vocabulary: str | None = None,
) -> Report:
    text_config = sizes_of(llm)
    name = f"{system}/{'7b' if text_config.get('hidden_size') == 4096 else '13b'}"
    model = build_random(name, values, text_config, with_lora=bool(systems.get(name, values).lora), meta=True)
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    if getattr(model.config.get_text_config(), "tie_word_embeddings", False):
        wanted.pop("language_model.lm_head.weight", None)
    report, places = _survey(wanted, list(sources), not_connector)
    _refuse(report, wanted, text_config, llm)

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for source, names in places:
            for key, value in source.tensors():
                if key_of(key, wanted) in names:
                    yield key_of(key, wanted), value

    def finish(folder: Path) -> None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(llm)
        context = model.config.get_text_config().max_position_embeddings
        processor = processor_for(name, tokenizer, values, vocabulary, context)
        model.config.media_token_id = tokenizer.convert_tokens_to_ids("<|media|>")
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(folder)
        model.generation_config.save_pretrained(folder)
        processor.save_pretrained(folder)

    write_folder(out, tensors(), finish)
    return report


def key_of(key: str, wanted: Mapping[str, Any]) -> str:
    """A language model's weight lies one level deeper where it carries a LoRA."""
    if key not in wanted and key.startswith("language_model."):
        inner, _, last = key.rpartition(".")
        return f"{inner}.base_layer.{last}"
    return key


def _survey(
    wanted: Mapping[str, tuple[int, ...]], sources: list[Source], not_connector: Iterable[str]
) -> tuple[Report, list[tuple[Source, set[str]]]]:
    """Look at every tensor's name and shape; nothing is written yet."""
    report, places, found = Report(), [], set()
    for source in sources:
        names: set[str] = set()
        for given, value in source.tensors():
            key = key_of(given, wanted)
            if key not in wanted:
                report.ignored.setdefault(f"{source.what} ({source.path.name})", []).append(given)
            elif tuple(value.shape) != wanted[key]:
                report.wrong_shape.append(f"{given} is {tuple(value.shape)}, the model's is {wanted[key]}")
                found.add(key)
            else:
                names.add(key)
        found |= names
        places.append((source, names))
    report.taken = len(found)
    report.missing = sorted(set(wanted) - found)
    rest = [name for name in not_connector if not LLAMA_LORA.fullmatch(name)]
    known = re.compile(r"(speech_Qformer|video_Qformer|low_Qformer|high_Qformer|low_query|high_query|ext_|beats\.).*")
    leaks = [name for name in rest if LEAKS.fullmatch(name) or known.fullmatch(name)]
    report.ignored.setdefault("trained weights", []).extend(leaks)
    report.unexpected = sorted(set(rest) - set(leaks))
    return report, places


def _refuse(report: Report, wanted: Mapping[str, tuple[int, ...]], text_config: Mapping[str, Any], llm: Path) -> None:
    """Raises PartsError where the files do not make the model."""
    width = int(text_config.get("hidden_size", 0))
    for line in report.wrong_shape:
        if line.startswith(("connector.project", "language_model.")):
            trained = re.search(r" is \((\d+)", line)
            given = int(trained[1]) if trained and line.startswith("connector.project") else 0
            needs = f"they go with {GOES_WITH[given]}" if given in GOES_WITH else "give the one they were trained with"
            raise PartsError(
                f"{llm}: this language model is {width} wide and the trained weights are for another ({line}); {needs}"
            )
    if report.wrong_shape:
        raise PartsError(
            f"{len(report.wrong_shape)} tensors of other sizes, such as: {report.wrong_shape[0]}; check the files"
        )
    if report.missing:
        first = ", ".join(report.missing[:3])
        raise PartsError(
            f"{len(report.missing)} of {len(wanted)} tensors are in none of the files, such as {first}; "
            "check that each file is the published one"
        )


def _expect(ours: Mapping[str, Tensor], names: Iterable[str], path: Path, what: str) -> None:
    if lacking := [name for name in names if name not in ours]:
        raise PartsError(f"{path}: not {what}'s trained weights (no {lacking[0]} in it); give its published file")


def _n_layers(tensors: Mapping[str, Tensor], pattern: str) -> int:
    found = [int(match[1]) for name in tensors if (match := re.match(pattern, name))]
    return max(found, default=1) + 1


def _rows(tensors: Mapping[str, Tensor], ending: str, otherwise: int) -> int:
    return next((value.shape[0] for name, value in tensors.items() if name.endswith(ending)), otherwise)


def _merged(values: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Values with a user's settings put over them."""
    merged = dict(values)
    for name, value in more.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _vocabulary(path: Path) -> str:
    from tokenizers import Tokenizer

    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        return Tokenizer.from_file(str(file)).to_str()
    except Exception as error:  # tokenizers raises bare Exception
        raise PartsError(f"{file}: not a tokenizer.json ({error}); give the BERT tokeniser of InstructBLIP") from None

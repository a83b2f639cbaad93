"""Any language model, Whisper, CLIP, SigLIP, DINOv2, CLAP, BEATs or ImageBind in a system: a setting names its folder.

    language_model=DIR    encoders.vision.backbone=DIR    (Transformers')    encoders.sound=DIR    (`earsight import`'s)

Sizes come from the folder's config.json and are written nowhere else; weights are read from the same folder.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from earsight import systems
from earsight.checkpoints.build import build_random, byte_tokenizer, processor_for
from earsight.checkpoints.encoder_files import CONFIGS, kind_of, values_of
from earsight.checkpoints.model_folders import sizes_of, tokenizer_of
from earsight.checkpoints.tensor_files import shapes_of, tensors_of
from earsight.encoders.picture_towers import PictureTower
from earsight.errors import EarsightError, PartsError
from earsight.model.audio_visual_lm import EarsightForConditionalGeneration
from earsight.model.media_inputs import MEDIA_TOKEN, reads_question
from earsight.model.processor import EarsightProcessor

# What the names of Whisper's encoder and CLAP's audio model begin with, alone and inside the whole model.
PREFIXES = ("", "audio_model.", "model.encoder.", "encoder.")


@dataclass
class PartsReport:
    """Where each part's weights are from."""

    loaded: dict[str, Path] = field(default_factory=dict)
    random: list[str] = field(default_factory=list)  # to be trained, or to be given a folder
    ignored: dict[str, list[str]] = field(default_factory=dict)  # by part: names in its file of no use here

    @property
    def lines(self) -> list[str]:
        """For a person, a line for each part."""
        told = [f"{part}: {folder}" for part, folder in self.loaded.items()]
        return told + [f"{part}: random weights" for part in self.random]


def resolved(
    settings: Sequence[str] | Mapping[str, Any], system: str | None = None
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Settings with folders -> settings with sizes, and the folder of each part: {"encoders.vision": DIR, ...}.

    Settings inside a part win over its folder's sizes.

    Args:
        system: where it is known, an imported encoder of another kind than the system's is refused by name.

    Raises:
        PartsError: a folder without a config.json, or of another kind of part.
        EarsightError: a setting that is not NAME=VALUE.
    """
    given, values = _folders(settings)
    folders: dict[str, Path] = {}
    sizes: dict[str, Any] = {}
    for name, folder in given.items():
        part = name.removesuffix(".backbone")
        folders[part] = folder
        if name == "language_model":
            sizes[name] = sizes_of(folder)
            continue
        encoder = sizes.setdefault("encoders", {})
        own = None if name.endswith(".backbone") else values_of(folder)
        if name.endswith(".backbone"):
            encoder[part.removeprefix("encoders.")] = {"backbone": sizes_of(folder)}
        elif own is None:
            raise PartsError(
                f"{folder}: not an encoder that `earsight import` wrote; give one, or a folder of Transformers as "
                f"{name}.backbone=DIR"
            )
        else:
            _refuse_another_kind(name.removeprefix("encoders."), folder, system)
            encoder[part.removeprefix("encoders.")] = own
    return merged(sizes, values), folders


def _folders(settings: Sequence[str] | Mapping[str, Any]) -> tuple[dict[str, Path], dict[str, Any]]:
    """Tell a part's folder, a word where values are expected, from settings inside it."""
    found: dict[str, Path] = {}
    if not isinstance(settings, Mapping):
        rest: list[str] = []
        for setting in settings:  # one by one: a part may have a folder and settings
            one, _ = _folders(systems.overrides([setting]))
            found |= one
            rest += [] if one else [setting]
        return found, systems.overrides(rest)
    values = dict(settings)
    if isinstance(values.get("language_model"), str | Path):
        found["language_model"] = Path(values.pop("language_model")).expanduser()
    encoders = dict(values.pop("encoders", {}))
    for name, given in list(encoders.items()):
        if isinstance(given, str | Path):
            found[f"encoders.{name}"] = Path(encoders.pop(name)).expanduser()
        elif isinstance(given, Mapping) and isinstance(given.get("backbone"), str | Path):
            found[f"encoders.{name}.backbone"] = Path(given["backbone"]).expanduser()
            encoders[name] = {key: value for key, value in given.items() if key != "backbone"}
    return found, values | ({"encoders": encoders} if encoders else {})


def merged(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values with others put over them; these win."""
    made = dict(values)
    for name, value in more.items():
        both = isinstance(value, Mapping) and isinstance(made.get(name), Mapping)
        made[name] = merged(made[name], value) if both else value
    return made


def _refuse_another_kind(encoder: str, folder: Path, system: str | None) -> None:
    if system is None:
        return
    known, kind = systems.get(system).encoders, kind_of(folder)
    if encoder in known and kind and not isinstance(known[encoder], CONFIGS[kind]):
        fits = next((name for name, config in CONFIGS.items() if isinstance(known[encoder], config)), None)
        raise PartsError(
            f"{folder}: holds {kind}, but encoders.{encoder} of {system} is {type(known[encoder]).__name__}; "
            + (f"give an imported {fits}" if fits else f"give encoders.{encoder}.backbone=DIR")
        )


def build_pretrained(
    system: str, settings: Sequence[str] | Mapping[str, Any] = (), seed: int = 0
) -> tuple[EarsightForConditionalGeneration, EarsightProcessor, PartsReport]:
    """A system with the weights of every part whose folder is given; the connector, and parts without, are random.

    Args:
        system: "av-llm/7b"; a variant's sizes hold for parts without a folder.
        settings: NAME=VALUE, or the same nested; `language_model=DIR`, `encoders.NAME.backbone=DIR` (Transformers'
            folders) and `encoders.NAME=DIR` (written by `earsight import`) bring sizes and weights.
        seed: for the random parts.

    Raises:
        EarsightError: unknown system or setting.
        PartsError: a folder that is not what it should be, tensors that are missing or of other sizes.
    """
    values, folders = resolved(settings, system)
    report = PartsReport()
    model = _skeleton(system, values, folders)
    described = model.description
    torch.manual_seed(seed)
    for name, part in described.encoders.items():
        model.encoders[name] = encoder = part.build()
        where = f"encoders.{name}"
        if where in folders:
            report.ignored[where] = load_encoder_weights(encoder, folders[where])
            report.loaded[where] = folders[where]
        else:
            report.random.append(where)
    text = model.config.get_text_config()
    tokenizer = byte_tokenizer()
    if folder := folders.get("language_model"):
        tokenizer = tokenizer_of(folder, text.vocab_size)
        model.language_model, report.ignored["language_model"] = _language_model(folder, text)
        report.loaded["language_model"] = folder
    else:
        from transformers import AutoModelForCausalLM

        model.language_model = AutoModelForCausalLM.from_config(text)
        report.random.append("language_model")
    model.connector = described.connector.build(described.streams, text.hidden_size)
    report.random.append("connector")
    assert not [name for name, value in model.state_dict().items() if value.is_meta]
    _say_ids(model, tokenizer)
    vocabulary = byte_tokenizer().backend_tokenizer.to_str() if reads_question(described) else None
    context = getattr(text, "max_position_embeddings", None)
    processor = processor_for(system, tokenizer, values, vocabulary, context)
    model.config.media_token_id = processor.tokenizer.convert_tokens_to_ids(MEDIA_TOKEN)
    return model.eval().requires_grad_(False), processor, report


def _skeleton(system: str, values: Mapping[str, Any], folders: Mapping[str, Path]) -> EarsightForConditionalGeneration:
    """The system without memory: its parts are built one by one, so that none is made in vain."""
    try:
        return build_random(system, values, meta=True)
    except EarsightError:
        raise
    except Exception as error:  # Transformers and torch raise what they like
        given = ", ".join(str(folder) for folder in folders.values()) or system
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PartsError(f"{given}: sizes that make no model ({reason}); check the folder and the settings") from error


def _say_ids(model: EarsightForConditionalGeneration, tokenizer: Any) -> None:
    """Which tokens begin and end an answer: as the language model was trained."""
    own = getattr(model.language_model, "generation_config", None)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        told = getattr(own, name, None)
        if told is None:
            told = getattr(model.generation_config, name, None)
        setattr(model.generation_config, name, getattr(tokenizer, name) if told is None else told)


def _language_model(folder: Path, config: Any) -> tuple[nn.Module, list[str]]:
    """A causal language model with all its weights, in the numbers they are stored in, and the names of no use."""
    from transformers import AutoModelForCausalLM

    return _read_by_transformers(AutoModelForCausalLM, folder, config, "auto")


def _read_by_transformers(kind: Any, folder: Path, config: Any, dtype: Any) -> tuple[nn.Module, list[str]]:
    """A model of Transformers, which knows the names that its older and its larger models have in their files.

    Raises:
        PartsError: weights that are missing, of other sizes, or not to be read at all.
    """
    from transformers.utils import logging as their_logging

    shapes_of(folder)  # a damaged or missing file is refused in our words
    logger, level = logging.getLogger("transformers"), logging.getLogger("transformers").level
    logger.setLevel(logging.ERROR)
    their_logging.disable_progress_bar()
    try:
        model, told = kind.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, with the sizes
            trust_remote_code=False,
        )
    except Exception as error:  # Transformers raises what it likes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PartsError(
            f"{folder}: not the weights of a model with the sizes in its config.json ({reason}); give the whole "
            "folder of one model"
        ) from error
    finally:
        logger.setLevel(level)
    for name, theirs, ours in sorted(told["mismatched_keys"]):
        raise PartsError(_other_sizes(folder, name, theirs, ours))
    if missing := sorted(told["missing_keys"]):
        raise PartsError(_lacking(folder, missing))
    return model, sorted(told["unexpected_keys"])


def load_encoder_weights(encoder: nn.Module, folder: Path) -> list[str]:
    """Read an encoder's weights from a folder, ours or one of Transformers', also of a larger model.

    Returns:
        Names in the folder's files that the encoder has no use for.

    Raises:
        PartsError: tensors that are missing or of other sizes.
    """
    if isinstance(encoder, PictureTower):
        tower, unused = _read_by_transformers(type(encoder.model), folder, encoder.model.config, torch.float32)
        encoder.model.load_state_dict(tower.state_dict())
        return unused
    wanted = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
    names = _names(list(shapes_of(folder)), wanted, imported=kind_of(folder) is not None)
    if missing := sorted(set(wanted) - set(names.values())):
        raise PartsError(_lacking(folder, missing))
    tensors: dict[str, Tensor] = {}
    ignored = []
    for name, value in tensors_of(folder):
        if name not in names:
            ignored.append(name)
            continue
        ours = names[name]
        if ours.endswith("embed_positions.weight"):  # Whisper's chunk may be shorter than 30 s
            value = value[: wanted[ours][0]]
        if tuple(value.shape) != wanted[ours]:
            raise PartsError(_other_sizes(folder, name, value.shape, wanted[ours]))
        tensors[ours] = value
    encoder.load_state_dict(tensors)
    return sorted(ignored)


def _names(theirs: Sequence[str], wanted: Mapping[str, Any], imported: bool) -> dict[str, str]:
    """{name in a file: ours}; what their names begin with is found by trying."""
    if imported:
        return {name: name for name in theirs if name in wanted}
    own = next((start for start in ("model.", "encoder.") if all(name.startswith(start) for name in wanted)), "")
    tried = [
        {
            name: own + name.removeprefix(prefix)
            for name in theirs
            if name.startswith(prefix) and own + name.removeprefix(prefix) in wanted
        }
        for prefix in PREFIXES
    ]
    return max(tried, key=len)


def _other_sizes(folder: Path, name: str, theirs: Sequence[int], ours: Sequence[int]) -> str:
    return (
        f"{folder}: {name} is {tuple(theirs)}, the system's is {tuple(ours)}; give weights of these sizes, or leave "
        "out the settings that change them"
    )


def _lacking(folder: Path, missing: Sequence[str]) -> str:
    return (
        f"{folder}: {len(missing)} tensors are missing, such as {', '.join(missing[:3])}; give a folder with all "
        "weights of this kind of model"
    )

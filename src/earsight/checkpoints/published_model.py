"""Published tensors to one model folder: each is asked for by name and shape before anything is written.

sources (names, shapes) -> survey -> what is missing, unexpected, of no use, of another size
sources (tensors)       -> shards, configuration, processor
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from earsight import systems
from earsight.checkpoints.build import build_random, processor_for
from earsight.checkpoints.tensor_files import write_folder
from earsight.errors import EarsightError, PartsError
from earsight.model.media_inputs import MEDIA_TOKEN

if TYPE_CHECKING:
    from earsight.checkpoints.published_parts import LanguageModel

REPORT = "import.json"  # beside the weights: every name, and what became of it
Shape = tuple[int, ...]


@dataclass
class Report:
    """What became of every tensor. By file: {"sound (BEATs.pt)": names}."""

    taken: int = 0
    missing: list[str] = field(default_factory=list)  # of the model, in no file
    wrong_shape: list[str] = field(default_factory=list)
    unexpected: dict[str, list[str]] = field(default_factory=dict)  # not known
    ignored: dict[str, list[str]] = field(default_factory=dict)  # known, of no use here
    notes: list[str] = field(default_factory=list)  # what a person should know of the files, one line each


class ImportRefused(PartsError):
    """The files do not make the model; `report` has all names, the message the first."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True)
class Source:
    """Tensors of one file under the names that they get; read when they are written: large files are not held."""

    what: str
    path: Path
    shapes: Mapping[str, Shape]
    tensors: Callable[[], Iterable[tuple[str, Tensor]]]
    ignored: Sequence[str] = ()  # names in the file, known and of no use here
    unexpected: Sequence[str] = ()  # names in the file, not known

    @classmethod
    def of(cls, what: str, path: Path, prefix: str, tensors: Mapping[str, Tensor], **names: Sequence[str]) -> "Source":
        """A source of tensors that are at hand, or mapped from their file."""
        renamed = {f"{prefix}{name}": value for name, value in tensors.items()}
        return cls(what, path, {n: tuple(v.shape) for n, v in renamed.items()}, renamed.items, **names)

    @property
    def label(self) -> str:
        return f"{self.what} ({self.path.name})"


def write_model(
    system: str,
    values: Mapping[str, Any],
    sources: Sequence[Source],
    language_model: "LanguageModel",
    out: Path,
    vocabulary: str | None = None,
    notes: Iterable[str] = (),
) -> Report:
    """Survey the sources, refuse what does not make the model, write its folder.

    Raises:
        EarsightError: settings that the system does not have.
        PartsError: sizes that make no model, tensors that are missing or of other sizes; nothing is written.
    """
    name = variant(system, language_model.config.get("hidden_size"))
    model = _on_meta(name, values, language_model)
    text = model.config.get_text_config()
    wanted: dict[str, Shape] = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    if text.tie_word_embeddings:  # stored once
        for tied in getattr(model.language_model, "_tied_weights_keys", None) or ():
            wanted.pop(f"language_model.{tied}", None)
    report = survey(wanted, sources)
    report.notes.extend(notes)
    _refuse(report, len(wanted))

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for source in sources:
            for key, value in source.tensors():
                if (place := key_of(key, wanted)) in wanted:
                    yield place, value

    def finish(folder: Path) -> None:
        tokenizer = language_model.tokenizer
        processor = processor_for(name, tokenizer, values, vocabulary, text.max_position_embeddings)
        model.config.media_token_id = tokenizer.convert_tokens_to_ids(MEDIA_TOKEN)
        model.config.architectures = [type(model).__name__]
        model.generation_config.pad_token_id = tokenizer.pad_token_id
        model.config.save_pretrained(folder)
        model.generation_config.save_pretrained(folder)
        processor.save_pretrained(folder)
        (folder / REPORT).write_text(json.dumps(asdict(report), indent=1), encoding="utf-8")

    write_folder(out, tensors(), finish)
    return report


def variant(system: str, width: int | None) -> str:
    """The system's variant by the width of its language model; every size is stored beside it."""
    return f"{system}/{'7b' if width == 4096 else '13b'}"


def _on_meta(name: str, values: Mapping[str, Any], language_model: "LanguageModel") -> Any:
    """The model without memory; its sizes come from files and settings, so that they may make none."""
    with_lora = bool(systems.get(name, values).lora)
    try:
        return build_random(name, values, language_model.config, with_lora=with_lora, meta=True)
    except EarsightError:
        raise
    except Exception as error:  # Transformers, PEFT and torch raise what they like
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PartsError(
            f"{language_model.path} and the other files, with these settings, have sizes that make no model "
            f"({reason}); check the settings, such as connector.n_heads=N, and that each file is the published one"
        ) from error


def key_of(key: str, wanted: Mapping[str, Any]) -> str:
    """A language model's weight lies one level deeper where it carries a LoRA."""
    if key not in wanted and key.startswith("language_model."):
        inner, _, last = key.rpartition(".")
        return f"{inner}.base_layer.{last}"
    return key


def survey(wanted: Mapping[str, Shape], sources: Iterable[Source]) -> Report:
    """Look at every tensor's name and shape; none is read."""
    report, found = Report(), set()
    for source in sources:
        unexpected = list(source.unexpected)
        for given, shape in source.shapes.items():
            key = key_of(given, wanted)
            if key not in wanted:
                unexpected.append(given)
                continue
            found.add(key)
            if shape != wanted[key]:
                report.wrong_shape.append(f"{given} in {source.path} is {shape}, the model's is {wanted[key]}")
            else:
                report.taken += 1
        if source.ignored:
            report.ignored[source.label] = sorted(source.ignored)
        if unexpected:
            report.unexpected[source.label] = sorted(unexpected)
    report.missing = sorted(set(wanted) - found)
    return report


def _refuse(report: Report, n_wanted: int) -> None:
    """Raises ImportRefused where the files do not make the model."""
    if report.wrong_shape:
        raise ImportRefused(
            f"{len(report.wrong_shape)} tensors have other sizes, such as {report.wrong_shape[0]}; check that each "
            "file is the published one",
            report,
        )
    if report.missing:
        strangers = [name for names in report.unexpected.values() for name in names]
        instead = f", while {strangers[0]} is not known" if strangers else ""
        raise ImportRefused(
            f"{len(report.missing)} of {n_wanted} tensors are in none of the files, such as "
            f"{', '.join(report.missing[:3])}{instead}; check that each file is the published one",
            report,
        )

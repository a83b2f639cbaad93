"""Clotho: Freesound clips of 15 to 30 seconds, five captions each (Drossos et al., ICASSP 2020; Zenodo 4783391, v2.1).
Captions under the Tampere University licence (non-commercial, attribution); each sound under its own CC licence.

    ROOT/clotho_captions_development.csv        file_name,caption_1,caption_2,caption_3,caption_4,caption_5
    ROOT/development/Distorted AM Radio noise.wav

The captions' and sounds' archives of Zenodo unpacked in one folder, as their README says and aac-datasets reads them.
Splits: development, validation, evaluation.

Trained on by SALMONN (section 4.2; 4K samples in table 1, which is one a clip: of five captions, which is not
stated). Every caption is a record here; n_captions=1 gives the first of each. Questions: see _samples; their id is
the file_name.
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "Tampere University licence (non-commercial)"
CAPTIONS = tuple(f"caption_{number}" for number in range(1, 6))


def records(
    root: Path,
    split: str,
    *,
    problems: Problems,
    task: str = "audio_caption",
    n_captions: int = 5,
    questions: Path | str | None = None,
) -> Iterator[Record]:
    """A caption each, or a question each."""
    _samples.one_of(task, ("audio_caption", "audio_qa"), "clotho")
    file = _tables.there(root / f"clotho_captions_{split}.csv", "Clotho")
    parts = {}
    for _, row in _tables.table(file, problems, ("file_name", *CAPTIONS)):
        name = row["file_name"]
        parts[name] = {"type": "audio", "path": f"{split}/{name}"}
        for number, column in enumerate(CAPTIONS[:n_captions] if task == "audio_caption" else (), 1):
            caption = row[column].strip()
            yield _samples.sample("clotho", f"{split}/{name}/{number}", task, parts[name], caption, LICENCE)
    if task == "audio_qa":
        yield from _samples.asked("clotho", task, parts, questions, LICENCE, problems)

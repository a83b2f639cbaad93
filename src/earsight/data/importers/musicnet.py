"""MusicNet: 330 recordings of classical music with their notes (Thickstun et al., ICLR 2017; Zenodo 5120004).
CC-BY-4.0.

    ROOT/musicnet_metadata.csv  id,composer,composition,movement,ensemble,source,transcriber,catalog_name,seconds
    ROOT/musicnet/train_data/1727.wav       and test_data/
    ROOT/musicnet/train_labels/1727.csv     start_time,end_time,instrument,note,start_beat,end_beat,note_value: not read

Layout as musicnet.tar.gz unpacks, columns as several public readers use them. Splits: train (320 recordings), test
(10); a recording belongs to the one in whose folder it lies.

Trained on by SALMONN (table 1: music_qa, 0.3K samples and 3 hours, so one question and some half a minute of each
recording). Neither questions, written by GPT-3.5, nor stretches are published: give `questions` (see _samples), whose
id is the recording's and whose start and end its stretch.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC-BY-4.0"
COLUMNS = ("id", "composer", "composition", "ensemble")


def records(root: Path, split: str, *, problems: Problems, questions: Path | str | None = None) -> Iterator[Record]:
    """A question each, task "music_qa"; composer, composition and ensemble are kept in `extra`."""
    file = _tables.there(root / "musicnet_metadata.csv", "MusicNet")
    folder = _tables.there(root / "musicnet" / f"{split}_data", "MusicNet")
    rows = {row["id"]: row for _, row in _tables.table(file, problems, COLUMNS)}
    parts = {
        name: {"type": "audio", "path": f"musicnet/{split}_data/{name}.wav"}
        for name in rows
        if (folder / f"{name}.wav").exists()
    }
    for record in _samples.asked("musicnet", "music_qa", parts, questions, LICENCE, problems):
        row = rows[record.id.split("/")[1]]
        yield replace(record, extra={column: row[column].strip() for column in COLUMNS[1:]})

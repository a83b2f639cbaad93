"""WavCaps: 400K sounds with captions written by ChatGPT from web descriptions (Mei et al., 2023). Academic use only;
each sound keeps its source's licence.

    ROOT/json_files/AudioSet_SL/as_final.json  {"data": [{"id": "Yb0RFKhbpFJA.wav", "caption": ..., "duration": 10.0}]}
    ROOT/json_files/{BBC_Sound_Effects/bbc,FreeSound/fsd,SoundBible/sb}_final.json  "id": "180913", further fields
    ROOT/json_files/blacklist/blacklist_exclude_test_ac.json        {"AudioSet": [ids], "FreeSound": [ids]}
    ROOT/mnt/fast/nobackup/scratch4weeks/xm00178/WavCaps/data/waveforms/AudioSet_SL_flac/Yb0RFKhbpFJA.flac

The cvssp/WavCaps repository of Hugging Face with its archives unpacked in ROOT: the long folder is what they hold.
Moved sounds: audio="Audio/{subset}/{name}.flac". Fields as aac-datasets and other readers take them. Split:
a subset's folder name, "+" between several, or "all".

Trained on by SALMONN (section 4.2: audio_caption, clips longer than 180 seconds left out; table 1: audio_qa, 270K
questions). Which clips the 270K are is not published. `exclude` leaves out sounds that are in other sets' tests, by one
of the published blacklists; whether SALMONN used one is not stated. Questions: see _samples; their id is the
subset and the JSON's id, FreeSound/180913, as the id alone is not unique.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.importers import _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "academic use only"
SUBSETS = {"AudioSet_SL": "as", "BBC_Sound_Effects": "bbc", "FreeSound": "fsd", "SoundBible": "sb"}
WAVEFORMS = "mnt/fast/nobackup/scratch4weeks/xm00178/WavCaps/data/waveforms/{subset}_flac/{name}.flac"


def records(
    root: Path,
    split: str,
    *,
    problems: Problems,
    task: str = "audio_caption",
    longest_seconds: float = 180.0,
    exclude: str = "",
    audio: str = WAVEFORMS,
    questions: Path | str | None = None,
) -> Iterator[Record]:
    """A sound each, or a question each; longer ones are left out without report."""
    _samples.one_of(task, ("audio_caption", "audio_qa"), "wavcaps")
    parts = {}
    for subset, row in _sounds(root, split, exclude, problems):
        name = row["id"].split(".")[0]
        if row["duration"] > longest_seconds:
            continue
        part = {"type": "audio", "path": audio.format(subset=subset, name=name)}
        if task == "audio_caption":
            yield _samples.sample("wavcaps", f"{subset}/{name}", task, part, row["caption"].strip(), LICENCE)
        else:
            parts[f"{subset}/{name}"] = part
    if task == "audio_qa":
        yield from _samples.asked("wavcaps", task, parts, questions, LICENCE, problems)


def _sounds(root: Path, split: str, exclude: str, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    subsets = (
        list(SUBSETS) if split == "all" else [_samples.one_of(s, tuple(SUBSETS), "wavcaps") for s in split.split("+")]
    )
    black = json.loads(_tables.there(root / exclude, "WavCaps").read_text(encoding="utf-8")) if exclude else {}
    for subset in subsets:
        file = _tables.there(root / "json_files" / subset / f"{SUBSETS[subset]}_final.json", "WavCaps")
        left_out = set(black.get("AudioSet" if subset == "AudioSet_SL" else subset, ()))
        for place, row in _tables.json_array(file, problems, "data"):
            usable = _tables.fields(row, place, problems, id=str, caption=str, duration=(int, float))
            if usable and row["id"] not in left_out:
                yield subset, row

"""LLP (Look, Listen and Parse): what is heard and what is seen, and when, in 11,849 ten-second clips, 25 kinds (Tian
et al., ECCV 2020). No licence is stated.

    ROOT/AVVP_train.csv, AVVP_val_pd.csv, AVVP_test_pd.csv     filename   event_labels               tabs between
                                                               BjCEufrlXm4_20_30   Speech,Dog
    ROOT/AVVP_eval_audio.csv, AVVP_eval_visual.csv             filename   onset   offset   event_labels
                                                               KSRjje7GH44_60_70   8   10   Blender   (val and test)
    ROOT/LLP_dataset/video/BjCEufrlXm4.mp4                     the ten seconds

ROOT is the folder data of YapengTian/AVVP-ECCV20: header, tabs and names (eleven characters of YouTube id, then begin
and end) as there. Six events of its evaluation have no extent: these are reported, and their clips left out where
times are asked.

Trained on by Dolphin (section 4.1: video parsing; its wording is not published). Tasks: av_events (the labels) and,
where times are known, av_parsing ("Heard: Blender, 8 to 10 s. Seen: Blender, 0 to 10 s.").
"""

import re
from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record
from earsight.errors import EarsightError

FILES = {"train": "AVVP_train.csv", "val": "AVVP_val_pd.csv", "test": "AVVP_test_pd.csv"}
TASKS = ("av_events", "av_parsing")
SENSES = {"Heard": "AVVP_eval_audio.csv", "Seen": "AVVP_eval_visual.csv"}


def records(root: Path, split: str, *, problems: Problems, task: str = "av_events") -> Iterator[Record]:
    """A clip each."""
    _samples.one_of(task, TASKS, "llp")
    file = _tables.there(root / _annotations.choose(FILES, split, "llp"), "LLP")
    if task == "av_parsing" and split == "train":
        raise EarsightError("llp: train has no times; take task=av_events, or split val or test")
    events = _events(root, problems) if task == "av_parsing" else {}
    for place, row in _tables.table(file, problems, ("filename", "event_labels"), delimiter="\t"):
        name = row["filename"]
        found = re.fullmatch(r"(.{11})_[0-9.]+_[0-9.]+", name)
        if not found:
            problems.add(place, f"not YouTube id, begin and end: {name!r:.60}")
            continue
        answer = ", ".join(_spelt(label) for label in row["event_labels"].split(","))
        if task == "av_parsing":
            told = {sense: events.get((sense, name), []) for sense in SENSES}
            if not any(told.values()):
                problems.add(place, f"in neither evaluation file: {name}")
            if not any(told.values()) or any(None in some for some in told.values()):
                continue  # with an event less, it would be said that there is none
            answer = " ".join(f"{sense}: {'; '.join(map(str, some)) or 'nothing'}." for sense, some in told.items())
        part = {"type": "video", "path": f"LLP_dataset/video/{found[1]}.mp4", "audio": "require"}
        yield _annotations.conversation("llp", name, task, part, [("", answer)])


def _events(root: Path, problems: Problems) -> dict[tuple[str, str], list[str | None]]:
    """What is told by sense and clip; None stands for an event that is damaged."""
    found: dict[tuple[str, str], list[str | None]] = {}
    for sense, file in SENSES.items():
        columns = ("filename", "onset", "offset", "event_labels")
        rows = _tables.table(_tables.there(root / file, "LLP"), problems, columns, delimiter="\t")
        for place, row in rows:
            stretch = _tables.seconds((row["onset"], row["offset"]), place, problems)
            told = f"{_spelt(row['event_labels'])}, {stretch[0]:g} to {stretch[1]:g} s" if stretch else None
            found.setdefault((sense, row["filename"]), []).append(told)
    return found


def _spelt(label: str) -> str:
    return label.strip().replace("_", " ")

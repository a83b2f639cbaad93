"""VGGSound: 200k ten-second clips of YouTube whose sound's source is to be seen (Chen et al., ICASSP 2020).
CC-BY-4.0.

    ROOT/vggsound.csv     without header:  --0PQM4-hqg,30,waterfall burbling,train
                                           YouTube id, begin in seconds, label (quoted if it has a comma), train or test
    ROOT/videos/--0PQM4-hqg_000030.mp4     the ten seconds

Columns from hche11/VGGSound's README, file names from its test.csv; no videos are published, so the folder is ours.
Where whole videos were fetched: videos="videos/{youtube_id}.mp4", whole=True.

Dolphin re-captions it for AVU (section 4.1), Audio-Visual LLM takes its clips for instructions (section 3.2), neither
of which is published. Tasks: av_source (the label; video-SALMONN's benchmark asks so of VGG-SS) or, with
questions=FILE of your own (see _samples; "id" is --0PQM4-hqg_000030), av_qa.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.importers import _annotations, _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC-BY-4.0"
CLIP_SECONDS = 10
TASKS = ("av_source", "av_qa")
SPLITS = {"train": "train", "test": "test"}


def records(
    root: Path,
    split: str,
    *,
    problems: Problems,
    task: str = "av_source",
    questions: Path | str | None = None,
    videos: str = "videos/{name}.mp4",
    whole: bool = False,
) -> Iterator[Record]:
    """A clip each, or a question of yours each."""
    _samples.one_of(task, TASKS, "vggsound")
    wanted = _annotations.choose(SPLITS, split, "vggsound")
    parts: dict[str, dict[str, Any]] = {}
    labels = {}
    for place, line in _tables.lines(_tables.there(root / "vggsound.csv", "VGGSound"), problems):
        cells = [cell.strip() for cell in next(csv.reader([line]), [])]
        if len(cells) != 4 or not all(cells) or not cells[1].isdecimal() or cells[3] not in SPLITS:
            problems.add(place, f"expected YouTube id, seconds, label, train or test: {line!r:.80}")
            continue
        if cells[3] != wanted:
            continue
        start = int(cells[1])
        name = f"{cells[0]}_{start:06d}"
        cut = {"start": float(start), "end": float(start + CLIP_SECONDS)} if whole else {}
        path = videos.format(name=name, youtube_id=cells[0])
        parts[name], labels[name] = {"type": "video", "path": path, "audio": "require"} | cut, cells[2]
    if task == "av_qa":
        yield from _samples.asked("vggsound", task, parts, questions, LICENCE, problems)
        return
    for name, part in parts.items():
        yield _annotations.conversation("vggsound", name, task, part, [("", labels[name])], LICENCE)

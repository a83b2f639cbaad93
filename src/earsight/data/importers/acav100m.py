"""ACAV100M: ten-second clips of YouTube chosen for sound and picture that belong together (Lee et al., ICCV 2021).
The list is MIT; videos under YouTube's licence.

    ROOT/output.csv     without header:  shard-000009,qpxektwhzra_292.mp4,qpxektwhzra,"[292.333, 302.333]"
                                         shard, file name, YouTube id, begin and end in seconds ("-1" and
                                         [-1.0, -1.0] where they are not known)
    ROOT/videos/qpxektwhzra_292.mp4

Columns as subset_selection of sangho-vision/acav100m writes and documents them; no videos are published: clips are
cut into data/videos by its pipeline. Where whole videos were fetched: videos="videos/{youtube_id}.mp4", whole=True.

Trained on by Audio-Visual LLM (section 3.2: with VGGSound, what its 260k instructions are about). It has no words
itself, and those instructions, written by GPT-4 from BLIP's and HTSAT's captions, are not published: give your own as
questions=FILE (see _samples) with "id" the file name without .mp4.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.importers import _annotations, _samples, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "MIT"
FILES = {"train": "output.csv"}


def records(
    root: Path,
    split: str,
    *,
    problems: Problems,
    questions: Path | str | None = None,
    videos: str = "videos/{file}",
    whole: bool = False,
) -> Iterator[Record]:
    """A question of yours each, task "av_qa"."""
    file = _tables.there(root / _annotations.choose(FILES, split, "acav100m"), "ACAV100M")
    parts: dict[str, dict[str, Any]] = {}
    for place, line in _tables.lines(file, problems):
        cells = next(csv.reader([line]), [])
        if len(cells) != 4 or not cells[1].endswith(".mp4"):
            problems.add(place, f"expected shard, file.mp4, YouTube id and segment: {line!r:.80}")
            continue
        path = videos.format(shard=cells[0], file=cells[1], youtube_id=cells[2])
        part: dict[str, Any] = {"type": "video", "path": path, "audio": "require"}
        if whole:
            stretch = _tables.seconds(_segment(cells[3]), place, problems)
            if stretch is None:
                continue
            part |= {"start": stretch[0], "end": stretch[1]}
        parts[cells[1].removesuffix(".mp4")] = part
    yield from _samples.asked("acav100m", "av_qa", parts, questions, LICENCE, problems)


def _segment(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return []
    return found if isinstance(found, list) else []

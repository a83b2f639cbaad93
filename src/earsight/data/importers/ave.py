"""AVE: 4,143 ten-second clips with an event that is heard and seen, 28 kinds (Tian et al., ECCV 2018). No licence is
stated.

    ROOT/trainSet.txt, valSet.txt, testSet.txt     Church bell&MH3m4AwEcRY&good&6&8
                                                   category, YouTube id, quality, begin and end in seconds
    ROOT/Annotations.txt                           all of them, first line Category&VideoID&Quality&StartTime&EndTime
    ROOT/AVE/MH3m4AwEcRY.mp4

ROOT is the folder AVE_Dataset of the archive; rows as data/Annotations.txt of YapengTian/AVE-ECCV18 (there without
the first line), split files and folder as readers of the archive have them. Splits: train, val, test, all. An event
without extent (there is one) is reported.

Trained on by Dolphin (section 4.1: event localisation; its wording is not published).
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

FILES = {"train": "trainSet.txt", "val": "valSet.txt", "test": "testSet.txt", "all": "Annotations.txt"}


def records(root: Path, split: str, *, problems: Problems) -> Iterator[Record]:
    """An event each, task "av_event": "Church bell, from 6 to 8 seconds."."""
    file = _tables.there(root / _annotations.choose(FILES, split, "ave"), "AVE")
    seen: Counter[str] = Counter()
    for place, line in _tables.lines(file, problems):
        if line.startswith("Category&VideoID"):
            continue
        row = _annotations.cells(line, "&", 5, place, problems)
        stretch = _tables.seconds(row[3:], place, problems) if row else None
        if row is None or stretch is None:
            continue
        category, video = row[0], row[1]
        part = {"type": "video", "path": f"AVE/{video}.mp4", "audio": "require"}
        turns = [("", f"{category}, from {stretch[0]:g} to {stretch[1]:g} seconds.")]
        name = f"{video}/{seen[video]}"
        seen[video] += 1
        yield _annotations.conversation("ave", name, "av_event", part, turns, quality=row[2])

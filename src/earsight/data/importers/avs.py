"""AVSBench, one source: 4,932 five-second clips whose sounding thing is outlined (Zhou et al., ECCV 2022).
Apache-2.0.

    ROOT/Single-source/s4_meta_data.csv           header with name, category and split, "," between
    ROOT/Single-source/s4_data/raw_videos/train/female_singing/NAME.mp4
    ROOT/Single-source/s4_data/gt_masks/train/female_singing/NAME/NAME_1.png     one in train, five in val and test

ROOT is the folder avsbench_data. Folders and masks from the configuration and loader of OpenNLPLab/AVSBench, which
reads name and category by position and split by name; the names of the columns and raw_videos from readers of the
archive. AVSBench's several-sources subset has masks but no words, so nothing of it can be asked here.

Trained on by Dolphin (section 4.1: audio-visual segmentation; how it puts a mask into words is not published). Here
the answer is what sounds; the masks are kept beside, to score by.
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "Apache-2.0"
MASKS = {"train": 1, "val": 5, "test": 5}
FOLDER = "Single-source/s4_data"


def records(root: Path, split: str, *, problems: Problems) -> Iterator[Record]:
    """A clip each, task "av_source"."""
    masks = _annotations.choose(MASKS, split, "avs")
    file = _tables.there(root / "Single-source" / "s4_meta_data.csv", "AVSBench")
    for place, row in _tables.table(file, problems, ("name", "category", "split")):
        name, category = row["name"], row["category"]
        if row["split"] not in MASKS:
            problems.add(place, f"none of {', '.join(MASKS)}: {row['split']!r}")
        elif row["split"] == split:
            below = f"{split}/{category}/{name}"
            part = {"type": "video", "path": f"{FOLDER}/raw_videos/{below}.mp4", "audio": "require"}
            kept = [f"{FOLDER}/gt_masks/{below}/{name}_{number}.png" for number in range(1, masks + 1)]
            turns = [("", category.replace("_", " "))]
            yield _annotations.conversation("avs", name, "av_source", part, turns, LICENCE, masks=kept)

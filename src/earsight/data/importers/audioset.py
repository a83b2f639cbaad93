"""AudioSet: 2M ten-second clips of YouTube with 527 sound classes (Gemmeke et al., ICASSP 2017). CC-BY-4.0.

    ROOT/balanced_train_segments.csv, unbalanced_train_segments.csv, eval_segments.csv
        three lines that begin with "#", then    --PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
    ROOT/class_labels_indices.csv                index,mid,display_name
    or ROOT/ontology.json                        [{"id": "/m/09x0r", "name": "Speech", ...}, ...]
    ROOT/data/balanced_train_segments/video/--PJHxphWEs_30000_40000.mp4

Lists from research.google.com/audioset, ontology from audioset/ontology. No videos are published; folder and name
(milliseconds) are those of audiosetdl, which VGGSound's authors recommend. Where whole videos were fetched:
videos="videos/{youtube_id}.mp4", whole=True. Splits: balanced_train, unbalanced_train, eval.

Dolphin re-captions it for AVU (section 4.1: AudioSet-2M), which is not published; here the answer is its classes.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC-BY-4.0"
FILES = {name: f"{name}_segments" for name in ("balanced_train", "unbalanced_train", "eval")}
VIDEOS = "data/{subset}/video/{youtube_id}_{start_ms}_{end_ms}.mp4"


def records(
    root: Path, split: str, *, problems: Problems, videos: str = VIDEOS, whole: bool = False
) -> Iterator[Record]:
    """A clip each, task "sound_events": its classes, "; " between since names have commas."""
    subset = _annotations.choose(FILES, split, "audioset")
    names = _names(root, problems)
    for place, line in _tables.lines(_tables.there(root / f"{subset}.csv", "AudioSet"), problems):
        if line.startswith("#"):
            continue
        cells = next(csv.reader([line], skipinitialspace=True), [])
        if len(cells) != 4:
            problems.add(place, f"expected YouTube id, begin, end and classes: {line!r:.80}")
            continue
        stretch = _tables.seconds(cells[1:3], place, problems)
        unknown = [mid for mid in cells[3].split(",") if mid not in names]
        if unknown:
            problems.add(place, f"no name of class: {', '.join(unknown)}")
        if stretch is None or unknown:
            continue
        start, end = stretch
        stamps = {"start_ms": round(start * 1000), "end_ms": round(end * 1000)}
        part: dict[str, Any] = {"type": "video", "path": videos.format(subset=subset, youtube_id=cells[0], **stamps)}
        part |= {"start": start, "end": end, "audio": "require"} if whole else {"audio": "require"}
        answer = "; ".join(names[mid] for mid in cells[3].split(","))
        name = f"{cells[0]}_{stamps['start_ms']}"
        yield _annotations.conversation("audioset", name, "sound_events", part, [("", answer)], LICENCE)


def _names(root: Path, problems: Problems) -> dict[str, str]:
    if (root / "class_labels_indices.csv").exists():
        rows = _tables.table(root / "class_labels_indices.csv", problems, ("index", "mid", "display_name"))
        return {row["mid"]: row["display_name"] for _, row in rows}
    found = _tables.json_array(_tables.there(root / "ontology.json", "AudioSet"), problems)
    return {row["id"]: row["name"] for place, row in found if _tables.fields(row, place, problems, id=str, name=str)}

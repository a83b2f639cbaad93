"""MUSIC-AVQA: 45,867 questions about 9,288 videos of music (Li et al., CVPR 2022). Its repository is MIT.

    ROOT/json/avqa-train.json, avqa-val.json, avqa-test.json
        [{"video_id": "00000272", "question_id": 50, "type": "[\\"Audio-Visual\\", \\"Temporal\\"]",
          "question_content": "Where is the <FL> sounding instrument?", "templ_values": "[\\"first\\"]",
          "question_deleted": 0, "anser": "left"}, ...]
    ROOT/video/00000272.mp4

ROOT is the folder data of GeWu-Lab/MUSIC-AVQA; fields ("anser" is theirs) and folders from its README and loader.
"type" and "templ_values" are JSON in a string; the values fill the marks <...> in order. Questions that the data set
marks as deleted are left out; other_json="json_update" takes the mended annotation.

Trained on by Dolphin (section 4.1, as "MUSIC for AVQA").
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "MIT"
FILES = {split: f"avqa-{split}.json" for split in ("train", "val", "test")}
MARK = re.compile(r"<[^<>]+>")


def records(root: Path, split: str, *, problems: Problems, other_json: str = "json") -> Iterator[Record]:
    """A question each, task "av_qa"."""
    file = _tables.there(root / other_json / _annotations.choose(FILES, split, "music_avqa"), "MUSIC-AVQA")
    for place, row in _tables.json_array(file, problems):
        text = {"video_id": str, "question_content": str, "templ_values": str, "type": str, "anser": str}
        if not _tables.fields(row, place, problems, question_id=int, **text) or row.get("question_deleted"):
            continue
        values, kind = _list(row["templ_values"]), _list(row["type"])
        pieces = MARK.split(row["question_content"])
        if values is None or kind is None or len(values) != len(pieces) - 1:
            problems.add(
                place, f"values do not fill the question: {row['templ_values']!r:.60}, {row['question_content']!r:.80}"
            )
            continue
        question = "".join(f"{piece}{value}" for piece, value in zip(pieces, [*values, ""], strict=True)).strip()
        part = {"type": "video", "path": f"video/{row['video_id']}.mp4", "audio": "require"}
        yield _annotations.conversation(
            "music_avqa",
            f"{row['question_id']}",
            "av_qa",
            part,
            [(question, row["anser"])],
            LICENCE,
            type=kind,
        )


def _list(text: str) -> list[Any] | None:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, list) else None

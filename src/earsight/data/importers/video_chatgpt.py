"""Video-ChatGPT's 100K instructions on ActivityNet's videos (Maaz et al., ACL 2024). CC-BY-NC-SA-4.0 as its README
has it.

    ROOT/VideoInstruct100K.json       [{"q": "...", "a": "...", "video_id": "v_k_ZXmr8pmrs"}, ...]
    ROOT/videos/v_k_ZXmr8pmrs.mp4     named by video_id; some are .mkv or .webm: videos="videos/{video}.mkv"

Fields from mbzuai-oryx/Video-ChatGPT's conversion script; the annotation has no folder of videos, so that is ours.

Trained on by Dolphin (section 5.1, instruction tuning).
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC-BY-NC-SA-4.0"
FILES = {"train": "VideoInstruct100K.json"}


def records(root: Path, split: str, *, problems: Problems, videos: str = "videos/{video}.mp4") -> Iterator[Record]:
    """A question each, task "video_qa"."""
    file = _tables.there(root / _annotations.choose(FILES, split, "video_chatgpt"), "Video-ChatGPT")
    for number, (place, row) in enumerate(_tables.json_array(file, problems)):
        if _tables.fields(row, place, problems, q=str, a=str, video_id=str):
            part = {"type": "video", "path": videos.format(video=row["video_id"])}
            turns = [(row["q"].strip(), row["a"].strip())]
            yield _annotations.conversation("video_chatgpt", f"{number:06d}", "video_qa", part, turns, LICENCE)

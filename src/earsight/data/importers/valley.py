"""Valley's videos and instructions, by ChatGPT (Luo et al., 2023). CC-BY-NC-4.0.

    split   ROOT/
    703k    chat.json                   [{"id", "video": "1066682446.mp4", "conversations"}, ...]      WebVid, captions
    73k     valley_instruct_73k.json    [{"id", "v_id", "video", "source", "conversations"}, ...]      VATEX, JukinMedia
    65k     valley_instruct_65k.json    the same, mended
    ROOT/videos/webvid/1066682446.mp4, ROOT/videos/VATEX/..., ROOT/videos/jukinmedia/...

Conversations are LLaVA's, with "<video>". File names from the configurations of RupertLuo/Valley, and the folders and
the ending .mp4, where "video" has none, from its data loader; "v_id" from TimeChat's: of VATEX it is
VIDEO_000010_000020, a stretch in seconds of the whole video that "video" names. Where VATEX is cut already:
whole=False.

Trained on by Audio-Visual LLM (section 4.1: 770k, which is 703k and 65k or 73k) and Dolphin (section 5.1: 10 % of
it).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

LICENCE = "CC-BY-NC-4.0"
FILES = {
    "703k": ("chat.json", "video_caption"),
    "73k": ("valley_instruct_73k.json", "video_conversation"),
    "65k": ("valley_instruct_65k.json", "video_conversation"),
}


def records(root: Path, split: str, *, problems: Problems, whole: bool = True) -> Iterator[Record]:
    """A conversation each, of source "valley703k" and so on."""
    name, task = _annotations.choose(FILES, split, "valley")
    for number, (place, row) in enumerate(_tables.json_array(_tables.there(root / name, "Valley"), problems)):
        if not _tables.fields(row, place, problems, video=str):
            continue
        folder = str(row.get("source", "webvid"))
        video = row["video"] if ".mp4" in row["video"] else f"{row['video']}.mp4"
        part: dict[str, Any] = {"type": "video", "path": f"videos/{folder}/{video}"}
        if folder == "VATEX" and whole:
            found = re.fullmatch(r".+_(\d{6})_(\d{6})", str(row.get("v_id", "")))
            stretch = _tables.seconds(found.groups() if found else (), place, problems)
            if stretch is None:
                continue
            part |= {"start": stretch[0], "end": stretch[1]}
        turns = _annotations.llava_turns(row, place, problems)
        if turns is not None:
            yield _annotations.conversation(f"valley{split}", f"{number:06d}", task, part, turns, LICENCE)

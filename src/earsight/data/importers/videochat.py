"""VideoChat's instructions: 7K descriptions and 4K conversations on WebVid-10M, by ChatGPT (Li et al., 2023). No
licence is stated.

    ROOT/videochat_instruct_11k.json
        [{"video": "000001_000050/1066682446.mp4", "QA": [{"q": "...", "a": "..."}, ...]}, ...]
    ROOT/WebVid10M/000001_000050/1066682446.mp4

File name from OpenGVLab/InternVideo's instruction_data, folder from VideoChat's configuration, fields from
Video-LLaMA's reader. WebVid's videos have no sound.

Trained on by video-SALMONN (section 4.3: 11k samples; "Provide a detailed description of the given video.").
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.importers import _annotations, _tables
from earsight.data.problems import Problems
from earsight.data.records import Record

FILES = {"train": "videochat_instruct_11k.json"}


def records(root: Path, split: str, *, problems: Problems, videos: str = "WebVid10M") -> Iterator[Record]:
    """A conversation each, task "video_conversation"."""
    file = _tables.there(root / _annotations.choose(FILES, split, "videochat"), "VideoChat")
    for number, (place, row) in enumerate(_tables.json_array(file, problems)):
        if not _tables.fields(row, place, problems, video=str, QA=list):
            continue
        told = [one if isinstance(one, dict) else {} for one in row["QA"]]
        if not told:
            problems.add(place, "'QA' is empty")
        elif all(_tables.fields(one, place, problems, q=str, a=str) for one in told):
            part = {"type": "video", "path": f"{videos}/{row['video']}", "audio": "ignore"}
            turns = [(one["q"].strip(), one["a"].strip()) for one in told]
            yield _annotations.conversation("videochat", f"{number:05d}", "video_conversation", part, turns)

"""LLaVA-style conversations about whatever media; LLaVA's, Valley's and Video-ChatGPT's own have importers of theirs.

    ROOT/SPLIT.json     [{"id", "image" | "video" | "audio": PATH or [...], "conversations": [{"from", "value"}, ...]}]

<image>, <video> or <audio> in a question says where the medium stands. Licence: the file's own.
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.problems import Problems
from earsight.data.published_annotations import llava_style
from earsight.data.records import Record


def records(
    root: Path,
    split: str,
    *,
    problems: Problems,
    source: str = "llava_style",
    folder: str = "",
    task: str = "",
    suffix: str = ".mp4",
) -> Iterator[Record]:
    """A conversation each; `folder` goes before each path, `suffix` after a video's name that has no ending."""
    return llava_style(root / f"{split.removesuffix('.json')}.json", problems, source, folder, task, suffix)

"""video-SALMONN's items, of whatever media (Sun et al., ICML 2024; datasets/sft_dataset.py of its published code).

    ROOT/SPLIT.json     [{"image_name": PATH or [PICTURE or FILM, SOUND], "conversation": [{"from", "value"}, ...]}]

A question may be a task in angle brackets: "<asr>". Licence: the media's own.
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.problems import Problems
from earsight.data.published_annotations import video_salmonn
from earsight.data.records import Record


def records(
    root: Path, split: str, *, problems: Problems, source: str = "video_salmonn", seed: int = 0
) -> Iterator[Record]:
    """An item each."""
    return video_salmonn(root / f"{split.removesuffix('.json')}.json", problems, source, seed)

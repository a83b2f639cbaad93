"""SALMONN's own annotation file, of whatever recordings (Tang et al., ICLR 2024; dataset.py of its published code).

    ROOT/SPLIT.json     {"annotation": [{"path", "text", "task" (asr if not given), "Q", "expand_wav": [...]}]}

"Q" is the question of the tasks that have one. Licence: the recordings' own.
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.problems import Problems
from earsight.data.published_annotations import salmonn
from earsight.data.records import Record


def records(root: Path, split: str, *, problems: Problems, source: str = "salmonn") -> Iterator[Record]:
    """A recording, or several one after the other, each."""
    return salmonn(root / f"{split.removesuffix('.json')}.json", problems, source)

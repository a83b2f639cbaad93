"""Published data sets as records. Each file in this folder reads one, in its published layout.

records(root, split, *, problems, **options) -> Iterator[Record]
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from difflib import get_close_matches

from earsight.data.records import Record
from earsight.errors import EarsightError


def names() -> list[str]:
    """The importers there are: the folder's listing."""
    return sorted(one.name for one in pkgutil.iter_modules(__path__) if not one.name.startswith("_"))


def get(name: str) -> Callable[..., Iterator[Record]]:
    """An importer's `records`, by its name.

    Raises:
        EarsightError: there is no such importer; names the nearest.
    """
    plain = name.strip().lower().replace("-", "_")
    if plain not in names():
        near = "".join(f"; did you mean {one}?" for one in get_close_matches(plain, names(), 1))
        raise EarsightError(f"no importer '{name}'; there are: {', '.join(names())}{near}")
    found: Callable[..., Iterator[Record]] = importlib.import_module(f"{__name__}.{plain}").records
    return found

"""Ask a video what it shows and what it sounds like.

    from earsight import load
    answer = load("starter").ask("clip.mp4", "Which animal is it?")

Importing this package imports nothing heavy: torch and Transformers come in with `load` or `register`.
"""

from typing import TYPE_CHECKING, Any

from earsight import systems  # a listing of small files: `systems.names()`
from earsight.errors import EarsightError

if TYPE_CHECKING:
    from earsight.model.assistant import Assistant

__version__ = "0.1.0"
__all__ = ["EarsightError", "__version__", "load", "register", "systems"]


def load(name: str = "starter", **options: Any) -> "Assistant":
    """A model that answers questions about clips; fetches its pretrained parts at first use.

    Args:
        name: "starter", or a folder written by `save_pretrained`.
        options: passed on to the loader, such as `progress`.

    Raises:
        EarsightError: no such model, or parts of it cannot be had.
    """
    from earsight.checkpoints import starter  # torch and Transformers are imported here, not before

    return starter.load(name, **options)


def register() -> None:
    """Let Transformers' Auto classes load Earsight folders. Safe to call again."""
    from earsight.model import register as register_with_transformers

    register_with_transformers()

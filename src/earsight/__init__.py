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
        name: "starter"; a folder that `save_pretrained`, `earsight import` or a training wrote; or a system's tiny
            variant, such as "salmonn/tiny", whose weights are random.
        options: `dtype`, `quantization` ("8bit", "4bit"), `device_map`, see `checkpoints.loading.load_folder`; for the
            starter also `progress`, called while parts are fetched.

    Raises:
        EarsightError: no such model, or parts of it cannot be had.
    """
    from pathlib import Path

    from earsight.checkpoints import loading, starter  # torch and Transformers are imported from here on, not before

    if name == "starter":
        return starter.load(**options)
    if (Path(name) / "config.json").is_file():
        return loading.load_folder(Path(name), **options)
    if name.endswith("/tiny"):
        from earsight.checkpoints.build import build_tiny
        from earsight.model.assistant import Assistant

        return Assistant(*build_tiny(name))
    if name.split("/")[0].replace("-", "_") in systems.names():
        raise EarsightError(
            f"{name} has no weights here; bring its published ones in with `earsight import`, and give their folder"
        )
    raise EarsightError(f"no model '{name}'; give \"starter\" or a checkpoint folder with a config.json")


def register() -> None:
    """Let Transformers' Auto classes load Earsight folders. Safe to call again."""
    from earsight.model import register as register_with_transformers

    register_with_transformers()

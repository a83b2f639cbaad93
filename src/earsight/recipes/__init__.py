"""One declarative file for each training. `RECIPE` is the published one, `VARIANTS` others of it, by name.

"salmonn", "salmonn/tiny"; "starter/salmonn" is the starter scale, "salmonn/starter"; "starter" is the default starter.
"""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from earsight import systems
from earsight.errors import EarsightError
from earsight.training.stages import Recipe, changed


def names() -> list[str]:
    """The recipes there are: the folder's listing."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def variants(name: str) -> list[str]:
    """The variants of a recipe."""
    return list(importlib.import_module(f"{__name__}.{name}").VARIANTS)


def get(name: str, settings: Sequence[str] | Mapping[str, Any] = ()) -> Recipe:
    """A recipe by its name, with settings put in and checked.

    Raises:
        EarsightError: unknown recipe, variant or setting; names those there are, and the nearest.
    """
    plain = name.strip().lower().replace("-", "_")
    plain = plain.replace("starter_", "starter/", 1) if plain.startswith("starter_") else plain
    recipe, _, variant = plain.partition("/")
    if recipe == "starter" and variant in names():
        recipe, variant = variant, "starter"
    if recipe not in names():
        near = "".join(f"; did you mean {one}?" for one in get_close_matches(recipe, names(), 1))
        raise EarsightError(f"no recipe '{name}'; there are: {', '.join(names())}{near}")
    module = importlib.import_module(f"{__name__}.{recipe}")
    made: Recipe = module.RECIPE
    if variant:
        known = {one.replace("-", "_"): one for one in module.VARIANTS}
        if variant not in known:
            raise EarsightError(f"{recipe} has no variant '{variant}'; there are: {', '.join(module.VARIANTS)}")
        chosen = module.VARIANTS[known[variant]]
        made = chosen if isinstance(chosen, Recipe) else changed(made, chosen)
    nested = settings if isinstance(settings, Mapping) else systems.overrides(settings)
    return changed(made, nested)

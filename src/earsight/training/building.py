"""The model that a recipe trains: tiny at random, of the starter's parts, or of pretrained folders."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from earsight import systems
from earsight.checkpoints.build import build_processor, build_tiny, build_untrained
from earsight.errors import EarsightError
from earsight.model.precision import native_dtype
from earsight.training.stages import Recipe

# Data roots that are written when they are needed: made-up media, and the starter corpus as records.
MADE_UP, STARTER = "made-up", "starter-corpus"


def build(recipe: Recipe) -> tuple[Any, Any]:
    """A recipe's model and processor; nothing of it is trainable yet.

    Raises:
        EarsightError: a system whose pretrained parts were not named.
    """
    if systems.split(recipe.system)[1] == "tiny":
        model, processor = build_tiny(recipe.system, recipe.seed, recipe.values)
        model = model.to(numbers(recipe))
    elif of_starter_parts(recipe):
        from earsight.checkpoints.parts import fetch

        parts = fetch()
        model = build_untrained(parts, recipe.system, recipe.seed, recipe.values)
        processor = build_processor(parts, recipe.system, recipe.values)
        model.language_model.to(numbers(recipe))  # its encoders stay in float32
    else:
        model, processor = _pretrained(recipe)
        model = model.to(numbers(recipe))
    return model, processor


def _pretrained(recipe: Recipe) -> tuple[Any, Any]:
    from earsight.checkpoints.pretrained import build_pretrained

    described = systems.get(recipe.system, recipe.values)
    needed = ["language_model", *(f"encoders.{name}" for name in described.encoders)]
    lacking = [name for name in needed if not any(given.startswith(name) for given in recipe.parts)]
    if lacking:
        raise EarsightError(
            f"{recipe.system} is trained from pretrained parts; name their folders: "
            + " ".join(f"parts.{name}=DIR" for name in lacking)
        )
    settings = [f"{name}={folder}" for name, folder in recipe.parts.items()]
    settings += [f"{name}={value!r}" for name, value in _dotted(recipe.values)]
    model, processor, _ = build_pretrained(recipe.system, settings, recipe.seed)
    return model, processor


def _dotted(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def of_starter_parts(recipe: Recipe) -> bool:
    """Whether its model is built of the starter's pretrained parts."""
    name, variant = systems.split(recipe.system)
    return variant == "starter" or (name == "starter" and variant != "tiny")


def numbers(recipe: Recipe) -> torch.dtype:
    """Those that frozen weights are held in."""
    return native_dtype() if recipe.dtype == "auto" else getattr(torch, recipe.dtype)


def data_root(recipe: Recipe) -> Path:
    """Where the recipe's records are. Those of the tiny and starter variants are written to the cache; the starter
    corpus is taken from its packages, or from the folder with them that EARSIGHT_CORPUS_FROM names."""
    from earsight.checkpoints.parts import cache_root

    if recipe.data.root == MADE_UP:
        from earsight.data.made_up import write_made_up

        return write_made_up(cache_root() / f"{MADE_UP}-2")
    if recipe.data.root == STARTER:
        from earsight.data.starter.corpus import build as build_corpus
        from earsight.data.starter.licences import get_tier
        from earsight.data.starter.packages import packages_folder
        from earsight.data.starter.records import write_starter_records

        source, tier = packages_folder(), get_tier(recipe.data.tier)
        corpus = build_corpus(source_dir=source, tier=tier)
        return write_starter_records(cache_root() / STARTER, corpus, cache_root(), source, tier)
    return Path(recipe.data.root)

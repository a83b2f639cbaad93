"""Puts the picture encoder's own classes (`earsight.data.starter.prototypes`) among the stored features."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from earsight.data.starter.prototypes import PREFIX, prototype_features, prototype_items
from earsight.data.starter.records import VIEWS
from earsight.data.starter.rendering import Rendered, Renderer, address
from earsight.model.conversation import Medium
from earsight.training.feature_store import FeatureStore, Progress


def is_prototype(medium: Medium) -> bool:
    """Whether a medium exists as features only."""
    return isinstance(medium.source, str) and medium.source.startswith(PREFIX)


def put_prototypes(
    store: FeatureStore,
    media: Sequence[Medium],
    model: Any,
    renderer: Renderer,
    parts: Path,
    seed: int,
    report: Progress | None = None,
) -> None:
    """Store the prototypes among the media, made from the stored features of the training pictures."""
    wanted = [medium for medium in media if is_prototype(medium)]
    if not wanted or all(store.key(medium) in store for medium in wanted):
        return
    pictures = renderer.corpus.of("picture", "train")
    names = [f"{item.id}@{view}/vision" for item in pictures for view in range(VIEWS["picture"])]
    rendered = (address("picture", item.id, view) for item in pictures for view in range(VIEWS["picture"]))
    views = [replace(wanted[0], source=Rendered(at, renderer)) for at in rendered]
    store.fill(views, model, report)
    stored = [store.get(store.key(view)) for view in views]
    real = {name: one.features["vision"][0][0] for name, one in zip(names, stored, strict=True)}  # (positions, dim)
    unseen = (item for item in (*renderer.corpus.pictures, *renderer.corpus.sounds) if item.split in ("val", "test"))
    head = load_file(parts / "vision" / "classifier.safetensors")["weight"]
    made = prototype_features(prototype_items(unseen), head, pictures, real, VIEWS["picture"], seed)
    laid, mask = stored[0].laid, stored[0].features["vision"][1]
    rows = []
    for medium in wanted:
        name, _, view = str(medium.source).removeprefix(PREFIX).partition("/")
        rows.append((medium, laid, {"vision": (made[f"{name}@{view}/vision"][None], mask)}))
    store.put(rows)

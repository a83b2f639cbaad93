"""Pictures without pixels: the classes the picture encoder was itself trained on, as features with a kind and a name.

The encoder's own classifier has one direction for each of its 1,000 classes. A real picture's features, with its kind
taken out and a class's direction put in, stand for a picture of that class:

    features of a picture - mean of its kind + mean of all + STRENGTH * spread * direction of the class

So the connector learns hundreds of things that the corpus has no picture of. A class that shares a word with a held-out
object is left out, so that held-out objects stay unseen by all that is trained here.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from earsight.data.starter.corpus import Item

CLASSES = "picture_classes.tsv"
PREFIX = "prototype://"  # of their addresses in records
STRENGTH = 1.5  # chosen by cross-validation on training objects, with clamping, among 0.7, 1 and 1.5
LARGEST = 6.0  # the encoder ends in a ReLU6


def prototype_items(held_out: Iterable[Item]) -> list[Item]:
    """The classes as items of the training split, without those that share a word with a held-out item."""
    taken = {word for item in held_out for word in _words(f"{item.key} {item.name}")}
    table = (files("earsight.data.starter") / "labels" / CLASSES).read_text().splitlines()
    return [
        Item(f"class-{row['class']}", row["name"], row["name"], row["kind"], Path(), "EfficientNet-Lite2", "", "train")
        for row in csv.DictReader(table, delimiter="\t")
        if not taken & _words(row["name"])
    ]


def prototype_features(
    prototypes: Sequence[Item],
    head: Tensor,
    pictures: Sequence[Item],
    features: Mapping[str, Tensor],
    n_views: int,
    seed: int,
) -> dict[str, Tensor]:
    """Features of every prototype, a different real picture under each view.

    Args:
        head: (1000, dim) weight of the encoder's classifier.
        pictures: training pictures.
        features: "name@view/vision": (positions, dim) of their views.

    Returns:
        "class-N@view/vision": (positions, dim) float16.
    """
    draw = torch.Generator().manual_seed(seed)
    real = torch.stack([features[f"{item.id}@{view}/vision"].float() for item in pictures for view in range(n_views)])
    kinds = [item.kind for item in pictures for _ in range(n_views)]
    mean = real.mean(0)  # (positions, dim)
    spread = (real[:, 0] - mean[0]).std()
    by_kind = {kind: real[[index for index, one in enumerate(kinds) if one == kind]].mean(0) for kind in set(kinds)}
    directions = (head - head.mean(0)) / (head - head.mean(0)).std()
    made = {}
    for item in prototypes:
        for view in range(n_views):
            row = int(torch.randint(len(real), (1,), generator=draw))
            rest = real[row] - by_kind[kinds[row]]
            shifted = mean + rest + STRENGTH * spread * directions[int(item.id.removeprefix("class-"))]
            made[f"{item.id}@{view}/vision"] = shifted.clamp(0, LARGEST).half()
    return made


def _words(text: str) -> set[str]:
    """Lower-case words, plural s dropped."""
    return {word.removesuffix("s") if len(word) > 3 else word for word in re.findall(r"[a-z]+", text.lower())}

"""Pictures without pixels: classes of the picture encoder as training items."""

from pathlib import Path

import torch

from earsight.data.starter.corpus import PICTURE_KINDS, Item
from earsight.data.starter.prototypes import LARGEST, prototype_features, prototype_items


def item(name, kind, key=""):
    return Item(f"p-{name}", key or name, name, kind, Path("none"), "generated", "CC0", "train")


def test_every_kind_has_prototypes_and_every_class_is_one_of_the_encoders():
    prototypes = prototype_items([])
    assert {one.kind for one in prototypes} == set(PICTURE_KINDS)
    numbers = [int(one.id.removeprefix("class-")) for one in prototypes]
    assert len(set(numbers)) == len(numbers) and min(numbers) >= 0 and max(numbers) < 1000


def test_a_class_that_shares_a_word_with_a_held_out_object_is_left_out():
    kept = {one.name for one in prototype_items([item("barn owl", "bird", key="owl"), item("Tigers", "mammal")])}
    everything = {one.name for one in prototype_items([])}
    assert {"owl", "barn", "tiger"} <= everything - kept


def test_a_prototype_lies_along_its_classs_direction_and_within_what_the_encoder_gives():
    torch.manual_seed(0)
    prototypes = prototype_items([])[:5]
    pictures = [item("cow", "mammal"), item("wren", "bird"), item("crow", "bird")]
    features = {f"{one.id}@{view}/vision": torch.rand(10, 64) * 3 for one in pictures for view in range(2)}
    head = torch.randn(1000, 64)
    made = prototype_features(prototypes, head, pictures, features, n_views=2, seed=0)
    assert set(made) == {f"{one.id}@{view}/vision" for one in prototypes for view in range(2)}
    for one in prototypes:
        value = made[f"{one.id}@1/vision"].float()
        assert value.shape == (10, 64) and value.min() >= 0 and value.max() <= LARGEST
        nearest = ((value.mean(0) - torch.stack(list(features.values())).mean((0, 1))) @ head.T).argmax()
        assert int(nearest) == int(one.id.removeprefix("class-"))

"""How well a linear classifier reads kinds from the frozen encoders' features: what the connector has to work with.

    python -m earsight.evaluation.linear_probe [--split test]

Trained on the same views of the same training items as the starter, with and without the prototypes of the picture
encoder's classes. It cannot speak, hears and sees one sense at a time, and knows the kinds; it bounds nothing strictly,
but a starter far below it has a weak connector, and a starter at it is limited by encoders and corpus.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from earsight.data.collation import view_name
from earsight.data.starter_corpus import Item
from earsight.evaluation.starter_benchmark import Score, table

STEPS, RATE, DECAY = 200, 3e-3, 0.01  # chosen by cross-validation on training objects


def pooled(item: Item, view: int, features: Mapping[str, Tensor]) -> Tensor:
    """A picture's mean token, or the mean and spread of a sound's positions: (dim,)."""
    name = view_name(item, view)
    if f"{name}/vision" in features:
        return features[f"{name}/vision"].float().mean(0)
    heard = features[f"{name}/sound"].float()
    return torch.cat([heard.mean(0), heard.std(0, unbiased=False)])


def probe(
    training: Sequence[Item], n_views: int, tested: Sequence[Item], features: Mapping[str, Tensor], condition: str
) -> Score:
    """Fit on every view of the training items; score the one view of the tested items."""
    kinds = sorted({item.kind for item in training})
    rows = torch.stack([pooled(item, view, features) for item in training for view in range(n_views)])
    target = torch.tensor([kinds.index(item.kind) for item in training for _ in range(n_views)])
    mean, spread = rows.mean(0), rows.std(0) + 1e-3
    classifier = nn.Linear(rows.shape[1], len(kinds))
    nn.init.zeros_(classifier.weight)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=RATE, weight_decay=DECAY)
    for _ in range(STEPS):
        optimizer.zero_grad()
        functional.cross_entropy(classifier((rows - mean) / spread), target).backward()
        optimizer.step()
    with torch.no_grad():
        unseen = torch.stack([pooled(item, 0, features) for item in tested])
        found = classifier((unseen - mean) / spread).argmax(1)
    right = sum(kinds[index] == item.kind for index, item in zip(found.tolist(), tested, strict=True))
    sense = "picture kind" if f"{view_name(tested[0], 0)}/vision" in features else "sound kind"
    return Score(sense, condition, right, len(tested))


def main() -> None:
    from earsight.checkpoints.build import build_untrained
    from earsight.checkpoints.parts import fetch
    from earsight.data.prototypes import prototype_features, prototype_items
    from earsight.data.starter_corpus import build
    from earsight.recipes.starter import RECIPE, report, view_features

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--corpus-from", type=Path)
    parser.add_argument("--out", type=Path, help="file for the scores, JSON")
    given = parser.parse_args()
    parts = fetch(progress=report)
    model = build_untrained(parts)
    corpus = build(source_dir=given.corpus_from)
    features = view_features(model, corpus, RECIPE, "train", augmented=True)
    pictures, sounds = corpus.of("picture", "train"), corpus.of("sound", "train")
    prototypes = prototype_items(item for item in (*corpus.pictures, *corpus.sounds) if item.split != "train")
    head = load_file(parts / "vision" / "classifier.safetensors")["weight"]
    features |= prototype_features(prototypes, head, pictures, features, RECIPE.picture_views, RECIPE.seed)
    features |= view_features(model, corpus, RECIPE, given.split, augmented=False)
    seen, heard = corpus.of("picture", given.split), corpus.of("sound", given.split)
    torch.manual_seed(0)
    scores = [
        probe(pictures, RECIPE.picture_views, seen, features, "linear probe"),
        probe([*pictures, *prototypes], RECIPE.picture_views, seen, features, "linear probe, with prototypes"),
        probe(sounds, RECIPE.sound_views, heard, features, "linear probe"),
    ]
    print(table(scores))
    if given.out:
        given.out.write_text(json.dumps({"split": given.split, "scores": [one.row() for one in scores]}, indent=1))


if __name__ == "__main__":
    main()

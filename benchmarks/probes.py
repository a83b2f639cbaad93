"""What the frozen encoders' features alone tell of the held-out names and kinds: linear probes, beside the starter.

    python -m benchmarks.probes

A probe sees the training views that the starter is trained on, and answers from the mean and spread of an item's
features. It is a ceiling of a kind: what no linear reading of the features finds, a connector hardly will. The
starter's scores are those that lie beside its weights. EARSIGHT_CORPUS_FROM names a folder with the corpus' packages.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from earsight import recipes
from earsight.checkpoints.parts import cache_root, parts_folder
from earsight.checkpoints.starter import TRAINED
from earsight.data.starter import corpus as starter_corpus
from earsight.data.starter.corpus import Item
from earsight.data.starter.packages import packages_folder
from earsight.data.starter.prototypes import PREFIX, prototype_items
from earsight.data.starter.questions import UNNAMED_SOUNDS
from earsight.data.starter.records import VIEWS
from earsight.data.starter.rendering import Rendered, Renderer, address
from earsight.errors import EarsightError
from earsight.evaluation import intervals
from earsight.model.conversation import Medium
from earsight.training.building import build
from earsight.training.class_prototypes import put_prototypes
from earsight.training.feature_store import FeatureStore

STREAMS = {"picture": "vision", "sound": "sound"}
STEPS, BATCH, DROPOUT, SEED = 1500, 256, 0.3, 17


@dataclass
class Features:
    """Features of items, from the store that training fills."""

    store: FeatureStore
    model: Any
    renderer: Renderer

    def of(self, sense: str, items: Sequence[Item], view: int) -> Tensor:
        """(n_items, dim): a picture's mean token; a sound's mean and spread over time."""
        media = [self._medium(sense, address(sense, item.id, view)) for item in items]
        self.store.fill(media, self.model)
        return self._read(sense, media)

    def of_classes(self, items: Sequence[Item], view: int) -> Tensor:
        """The same of the picture encoder's own classes, which have no pictures."""
        media = [Medium("image", f"{PREFIX}{item.id}/{view}") for item in items]
        put_prototypes(self.store, media, self.model, self.renderer, parts_folder(), SEED)
        return self._read("picture", media)

    def _medium(self, sense: str, at: str) -> Medium:
        return Medium({"picture": "image", "sound": "audio"}[sense], Rendered(at, self.renderer))

    def _read(self, sense: str, media: Sequence[Medium]) -> Tensor:
        found = [self.store.get(self.store.key(one)).features[STREAMS[sense]][0].float() for one in media]
        if sense == "picture":
            return torch.stack([one[0, 0] for one in found])
        return torch.stack([torch.cat([one.mean(0), one.std(0, correction=0)]) for one in found])


def probe(features: Tensor, labels: Sequence[str]) -> Any:
    """A linear classifier, trained; returns what it says of (n, dim)."""
    torch.manual_seed(SEED)
    names = sorted(set(labels))
    targets = torch.tensor([names.index(label) for label in labels])
    mean, spread = features.mean(0), features.std(0) + 0.01
    layer = nn.Linear(features.shape[1], len(names))
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-3, weight_decay=0.01)
    for _ in range(STEPS):
        rows = torch.randint(len(features), (BATCH,))
        logits = layer(functional.dropout((features[rows] - mean) / spread, DROPOUT))
        loss = functional.cross_entropy(logits, targets[rows], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return lambda asked: [names[place] for place in layer((asked - mean) / spread).argmax(1).tolist()]


def measured() -> list[str]:
    """Rows of a Markdown table: ability, the probe's share of right answers, the starter's."""
    told = json.loads((TRAINED / "scores.json").read_text(encoding="utf-8"))
    ours = {row["ability"]: row for row in told["scores"] if row["condition"] == "full"}
    corpus = starter_corpus.build(source_dir=packages_folder())
    model, processor = build(recipes.get("starter"))
    features = Features(FeatureStore(cache_root() / "features", model, processor, half=True), model, Renderer(corpus))
    lines = ["| ability | linear probe | the starter | records |", "|---|---|---|---|"]
    for sense in STREAMS:
        trained = list(corpus.of(sense, "train"))  # type: ignore[arg-type]
        views = torch.cat([features.of(sense, trained, view) for view in range(VIEWS[sense])])
        items = trained * VIEWS[sense]
        if sense == "picture":
            unseen = (one for one in (*corpus.pictures, *corpus.sounds) if one.split in ("val", "test"))
            classes = prototype_items(unseen)
            views = torch.cat([views, *(features.of_classes(classes, view) for view in range(2))])
            items = items + classes * 2
        for what, split in (("name", "test_known"), ("kind", "test")):
            asked = corpus.of(sense, split)  # type: ignore[arg-type]
            named = [row for row, one in enumerate(items) if what == "kind" or one.kind not in UNNAMED_SOUNDS]
            says = probe(views[named], [getattr(items[row], what) for row in named])
            with torch.no_grad():
                answers = says(features.of(sense, asked, 0))
            right = [float(answer == getattr(one, what)) for answer, one in zip(answers, asked, strict=True)]
            lines.append(_row(f"{sense}_{what}", right, [[one.key] for one in asked], ours))
    return lines


def _row(ability: str, right: list[float], clusters: list[list[str]], ours: dict[str, Any]) -> str:
    low, high = intervals.ratio(right, [1.0] * len(right), clusters)
    own = ours.get(ability)
    told = f"{own['score']:.3f} [{own['low']:.2f}, {own['high']:.2f}]" if own else ""
    return f"| {ability} | {sum(right) / len(right):.3f} [{low:.2f}, {high:.2f}] | {told} | {len(right)} |"


def main() -> None:
    try:
        print("\n".join(measured()))
    except EarsightError as error:
        print(f"not measured: {error}")


if __name__ == "__main__":
    main()

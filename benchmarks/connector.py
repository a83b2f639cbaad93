"""What the starter's connector finds after a short first stage, with and without its parts, on the validation side.

    python -m benchmarks.connector [--steps 200]

Each variant is trained by the recipe's stage "words" alone, from the same seed on the same samples, and then asked for
each second's words (`earsight.training.alignment`) of validation pictures, sounds and composed clips. Features of the
frozen encoders are shared with `earsight train starter`. EARSIGHT_CORPUS_FROM names a folder with the corpus' packages.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from earsight import recipes
from earsight.checkpoints.parts import cache_root
from earsight.data.starter.conversations import words_of
from earsight.data.starter.records import composed_record, renderer_of
from earsight.data.starter.rendering import Renderer, address
from earsight.errors import EarsightError
from earsight.model.conversation import Medium
from earsight.training.alignment import ROLES, Words
from earsight.training.building import build, data_root
from earsight.training.conversations import padded_features
from earsight.training.feature_store import FeatureStore
from earsight.training.pairing import Books
from earsight.training.run import run
from earsight.training.stages import Recipe

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "as it ships": {},
    "without the glance": {"glance": 0},
    "without the window before": {"context_windows": 0},
    "two layers, without the glance": {"glance": 0, "n_layers": 2},
}
CLIPS = 40  # of each task
TASKS = ("which_side", "direction", "when", "which_first", "coincide", "how_many", "nothing_there")
BATCH = 32


def recipe_of(variant: Mapping[str, Any], steps: int) -> Recipe:
    """The recipe's stage "words" alone, without speech."""
    plain = recipes.get("starter")
    words = plain.stages["words"]
    sources = {name: source for name, source in words.sources.items() if name != "speech"}
    glances = variant.get("glance", True)
    trains = tuple(one for one in words.trains if glances or ".glance." not in one)
    stages = {"words": replace(words, trains=trains, sources=sources, steps=steps)}
    data = replace(plain.data, root=str(data_root(plain)))
    return replace(plain, stages=stages, data=data, values={"connector": dict(variant)}, save_every=10**6)


def asked(renderer: Renderer) -> list[tuple[Medium, Mapping[str, Any]]]:
    """Validation media, and the words that are true of them."""
    corpus = renderer.corpus
    found = [(Medium("image", renderer.source(address("picture", one.id, 0))), words_of(one))
             for split in ("val", "val_known") for one in corpus.of("picture", split)]  # fmt: skip
    found += [(Medium("audio", renderer.source(address("sound", one.id, 0))), words_of(None, one))
              for split in ("val", "val_known") for one in corpus.of("sound", split)]  # fmt: skip
    composer = renderer.composer("val")
    for task in TASKS:
        for number in range(CLIPS):
            medium = Medium("video", renderer.source(address("composed", "val", task, number)))
            found.append((medium, composed_record(composer.plan(task, number), "val", number).extra))
    return [(medium, extra["words"]) for medium, extra in found]


@torch.inference_mode()
def accuracies(model: Any, words: Words, store: FeatureStore, rows: list[tuple[Medium, Mapping[str, Any]]]) -> Any:
    """{role: share of right words}, each medium counted once. Words that were never trained on are not asked for."""
    store.fill([medium for medium, _ in rows], model)
    config, right = model.connector.config, defaultdict(list)
    for first in range(0, len(rows), BATCH):
        some = rows[first : first + BATCH]
        stored = [store.get(store.key(medium)) for medium, _ in some]
        media = padded_features([one.features for one in stored])
        media["media_milliseconds"] = torch.tensor([one.laid.milliseconds for one in stored])
        made = model.soft_tokens(media)
        windows = made.values.float().unflatten(1, (-1, config.tokens_per_window))[:, :, config.first_query :]
        valid = made.mask.unflatten(1, (-1, config.tokens_per_window))[..., 0]
        for row, (_, told) in enumerate(some):
            for role, place in ROLES.items():
                if (share := _right(words, role, told.get(role), windows[row, valid[row]][:, place])) is not None:
                    right[role].append(share)
    return {role: sum(shares) / len(shares) for role, shares in right.items()}


def _right(words: Words, role: str, told: Any, tokens: Tensor) -> float | None:
    """(n_windows, llm_dim) -> share of a medium's windows whose nearest word is the right one."""
    known = words.places.get(role, {})
    pairs = [(tokens.mean(0), told)] if isinstance(told, str) else list(zip(tokens, told or (), strict=False))
    targets = [(token, known[word]) for token, word in pairs if word in known]
    if not targets:
        return None
    near = functional.normalize(torch.stack([token for token, _ in targets]) - words.centre, dim=-1)
    found = (near @ words.vectors[role].T).argmax(1).tolist()
    return sum(one == place for one, (_, place) in zip(found, targets, strict=True)) / len(targets)


def measured(steps: int) -> None:
    """Print a Markdown table, row after row: variant, parameters, accuracy of each role."""
    print(f"| after {steps} steps | parameters | {' | '.join(ROLES)} |")
    print("|---" * (len(ROLES) + 2) + "|", flush=True)
    for name, variant in VARIANTS.items():
        recipe = recipe_of(variant, steps)
        with tempfile.TemporaryDirectory() as out:
            model, processor = run(recipe, Path(out) / "run", build)
        model.eval()
        root = Path(recipe.data.root)
        books = Books.open(recipe.stages["words"], root).records.values()
        words = Words(model, processor.tokenizer, [one.extra.get("words", {}) for some in books for one in some])
        renderer = renderer_of(root)
        assert renderer is not None
        store = FeatureStore(cache_root() / "features", model, processor, half=True)
        found = accuracies(model, words, store, asked(renderer))
        size = sum(value.numel() for value in model.connector.parameters())
        cells = " | ".join(f"{found[role]:.2f}" if role in found else "" for role in ROLES)
        print(f"| {name} | {size / 1e6:.1f} M | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    given = parser.parse_args()
    try:
        measured(given.steps)
    except EarsightError as error:
        print(f"not measured: {error}")


if __name__ == "__main__":
    main()

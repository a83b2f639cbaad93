"""Trains the starter on two cores in minutes.

    python -m earsight.recipes.starter                        fetch parts and corpus, encode views, train, write weights
    python -m earsight.recipes.starter --steps 4 --out DIR    the same in seconds, to see that it runs

Frozen encoders run once over rendered views. Transformers' Trainer then trains, on scenes composed from those features,
the connector alone (align) and the connector with the LoRA (instruct). Written: connector.safetensors,
lora.safetensors, training.json (settings, log).
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments, get_cosine_schedule_with_warmup, set_seed

from earsight.checkpoints.build import build_processor, build_untrained
from earsight.checkpoints.parts import cache_root, fetch
from earsight.checkpoints.trained_weights import add_lora, load_trained, save_trained
from earsight.data.collation import FeatureCollator, view_name
from earsight.data.prototypes import prototype_features, prototype_items
from earsight.data.scenes import Example, SceneSampler
from earsight.data.starter_corpus import Corpus, Item, Sense, Split, build
from earsight.data.views import render_picture, render_sound
from earsight.model.audio_visual_lm import EarsightForConditionalGeneration
from earsight.training.alignment import Alignment, AlignmentCollator, Vocabulary, vocabularies
from earsight.training.feature_cache import cached_features, encode_views, encoder_key, picture_clip, sound_clip
from earsight.types import Clip


@dataclass(frozen=True)
class Recipe:
    system: str = "starter"
    seed: int = 17
    splits: tuple[Split, ...] = ("train",)  # training on val as well was tried: no better on test (model card)
    align_steps: int = 600  # connector alone
    align_batch_size: int = 48
    align_rate: float = 1e-3
    steps: int = 400  # connector and LoRA through the language model
    batch_size: int = 16
    connector_rate: float = 1e-4  # what it learned in the first stage is to stay
    lora_rate: float = 5e-4
    warmup_steps: int = 40
    weight_decay: float = 0.01
    picture_views: int = 4  # of each training item; the first is rendered as in validation and test, the rest augmented
    sound_views: int = 5


RECIPE = Recipe()
SENSES: tuple[Sense, ...] = ("picture", "sound")
VIEWS_VERSION = "3"  # raise when rendering changes


class Scenes(Dataset):
    """Example i is always the same, whatever was drawn before it."""

    def __init__(self, pictures: list[Item], sounds: list[Item], prototypes: list[Item], recipe: Recipe) -> None:
        self.recipe = recipe
        self.n = max(recipe.steps * recipe.batch_size, recipe.align_steps * recipe.align_batch_size)
        views = {"picture": recipe.picture_views, "sound": recipe.sound_views}
        self.sampler = SceneSampler(pictures, sounds, views, recipe.seed, prototypes)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Example:
        self.sampler.random = random.Random(f"{self.recipe.seed}/{index}")
        return self.sampler.draw()


class Keep(TrainerCallback):
    """Writes the trained weights now and then, so that a stop loses little."""

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every

    def on_step_end(self, args, state, control, model=None, **kwargs):  # type: ignore[no-untyped-def]
        if state.global_step % self.every == 0:
            save_trained(model, self.folder)


def report(what: str, done: int, total: int) -> None:
    print(f"{what} {done}/{total}", file=sys.stderr, flush=True)


def view_features(
    model: EarsightForConditionalGeneration,
    corpus: Corpus,
    recipe: Recipe,
    split: Split,
    augmented: bool,
) -> dict[str, Tensor]:
    """Features of a split's items, from the cache or computed into it: one view of each, and more when augmented."""
    features: dict[str, Tensor] = {}
    for items, count, render, clip in (
        (corpus.of("picture", split), recipe.picture_views, render_picture, picture_clip),
        (corpus.of("sound", split), recipe.sound_views, render_sound, sound_clip),
    ):
        n_views = count if augmented else 1
        key = encoder_key(model, corpus.hash, split, clip.__name__, str(n_views), VIEWS_VERSION)

        def views() -> Iterator[tuple[str, Clip]]:
            for item in items:  # noqa: B023  used at once, in this turn of the loop
                for view in range(n_views):  # noqa: B023
                    name = view_name(item, view)
                    # A view's randomness is its own: adding an item leaves the others as they were.
                    rng = np.random.default_rng(hash_of(f"{recipe.seed}/{name}"))
                    yield name, clip(render(item, rng, split="train" if view else "val"))  # noqa: B023

        path = cache_root() / "features" / f"{key}.safetensors"
        total = len(items) * n_views
        compute = partial(encode_views, model, views(), total, report)
        features |= cached_features(path, compute)
    return features


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def train(recipe: Recipe, out: Path, corpus_source: str | None, resume: bool) -> None:
    """Run the recipe and write its weights and log to a folder."""
    set_seed(recipe.seed)
    parts = fetch(progress=report)
    model, processor = build_untrained(parts, recipe.system, recipe.seed), build_processor(parts, recipe.system)
    corpus = build(source_dir=Path(corpus_source) if corpus_source else None)
    features: dict[str, Tensor] = {}
    for split in recipe.splits:
        features |= view_features(model, corpus, recipe, split, augmented=True)
    pictures, sounds = ([item for split in recipe.splits for item in corpus.of(sense, split)] for sense in SENSES)
    held_out = (item for item in (*corpus.pictures, *corpus.sounds) if item.split not in recipe.splits)
    prototypes = prototype_items(held_out)
    head = load_file(parts / "vision" / "classifier.safetensors")["weight"]
    features |= prototype_features(prototypes, head, pictures, features, recipe.picture_views, recipe.seed)
    scenes, collator = Scenes(pictures, sounds, prototypes, recipe), FeatureCollator(processor, features)
    began = time.monotonic()
    words = vocabularies([*pictures, *prototypes], sounds)
    log = [] if resume else align(Alignment(model, processor, words), words, collator, scenes, recipe, out)
    add_lora(model)
    if resume:
        load_trained(model, out)
    log += instruct(model, collator, scenes, recipe, out)
    save_trained(model, out)
    record = {
        "recipe": asdict(recipe),
        "corpus": corpus.hash,
        "parts": parts.name,
        "training_seconds": round(time.monotonic() - began),
        "threads": torch.get_num_threads(),
        "log": log,
    }
    if resume and (out / "training.json").is_file():
        record["continued_from"] = json.loads((out / "training.json").read_text())
    (out / "training.json").write_text(json.dumps(record, indent=1))


def align(
    alignment: Alignment,
    words: dict[str, Vocabulary],
    collator: FeatureCollator,
    scenes: Scenes,
    recipe: Recipe,
    out: Path,
) -> list[dict]:
    """Stage 1: the connector alone (`earsight.training.alignment`). Returns the log."""
    alignment.connector.requires_grad_(True)
    groups = [{"params": list(alignment.connector.parameters()), "lr": recipe.align_rate}]
    sizes = (recipe.align_steps, recipe.align_batch_size)
    return run_trainer(alignment, AlignmentCollator(collator, words), scenes, groups, sizes, recipe, out, [])


def instruct(
    model: EarsightForConditionalGeneration, collator: FeatureCollator, scenes: Scenes, recipe: Recipe, out: Path
) -> list[dict]:
    """Stage 2: connector and LoRA, by the answers' next tokens. Returns the log."""
    trained = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    groups = [
        {"params": [value for name, value in trained if ".lora_" in name], "lr": recipe.lora_rate},
        {"params": [value for name, value in trained if ".lora_" not in name], "lr": recipe.connector_rate},
    ]
    sizes = (recipe.steps, recipe.batch_size)
    return run_trainer(model, collator, scenes, groups, sizes, recipe, out, [Keep(out, every=50)])


def run_trainer(
    model: torch.nn.Module,
    collator: Callable,
    scenes: Scenes,
    groups: list[dict],
    sizes: tuple[int, int],
    recipe: Recipe,
    out: Path,
    callbacks: list[TrainerCallback],
) -> list[dict]:
    """Transformers' Trainer over the scenes: steps and batch size, learning rates by group, one cosine."""
    steps, batch_size = sizes
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    schedule = get_cosine_schedule_with_warmup(optimizer, min(recipe.warmup_steps, steps // 4), steps)
    arguments = TrainingArguments(
        output_dir=str(out / "trainer"),
        max_steps=steps,
        per_device_train_batch_size=batch_size,
        logging_steps=10,
        save_strategy="no",
        report_to=[],
        remove_unused_columns=False,
        seed=recipe.seed,
        use_cpu=not torch.cuda.is_available(),
        max_grad_norm=1.0,
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        data_collator=collator,
        train_dataset=scenes,
        optimizers=(optimizer, schedule),
        callbacks=callbacks,
    )
    trainer.train()
    return trainer.state.log_history


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/starter"))
    parser.add_argument("--steps", type=int, default=RECIPE.steps)
    parser.add_argument("--seed", type=int, default=RECIPE.seed)
    parser.add_argument("--splits", nargs="+", choices=("train", "val"), default=RECIPE.splits)
    parser.add_argument("--corpus-from", help="folder with the corpus' source packages, instead of fetching them")
    parser.add_argument("--resume", action="store_true", help="start from the weights in --out")
    given = parser.parse_args()
    align_steps = min(RECIPE.align_steps, 3 * given.steps)
    recipe = Recipe(steps=given.steps, seed=given.seed, splits=tuple(given.splits), align_steps=align_steps)
    train(recipe, given.out, given.corpus_from, given.resume)


if __name__ == "__main__":
    main()

"""Runs a recipe: stage after stage, each resumable at the step where it stopped.

OUT/recipe.json            what was run, whole
OUT/STAGE/checkpoint-N/    Trainer's state and the trained weights
OUT/STAGE/trained/         trained.safetensors: what the stage trains, after it
OUT/STAGE/cost.json        seconds of encoding and training, peak memory, device
OUT/STAGE/ledger.json      every sample that was skipped or cut, by source and reason
OUT/model/                 the whole model after the last stage: `earsight ask --model OUT/model`
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import PrinterCallback, TrainerCallback, TrainingArguments, set_seed

from earsight.checkpoints.parts import cache_root, parts_folder
from earsight.data.ledger import Ledger
from earsight.errors import EarsightError
from earsight.training import attention, freezing
from earsight.training.alignment import Words, has_roles
from earsight.training.checkpoints import SavesTrained, last_checkpoint, load_trained_parts, save_trained_parts
from earsight.training.class_prototypes import is_prototype, put_prototypes
from earsight.training.conversations import collate
from earsight.training.cost import counted
from earsight.training.feature_store import FeatureStore, worth_it
from earsight.training.pairing import Books
from earsight.training.progress import Progress
from earsight.training.samples import Samples
from earsight.training.stages import Recipe, Source, Stage
from earsight.training.token_words import TokenWords
from earsight.training.trainer import Collator, StageTrainer
from earsight.training.writing import written

Build = Callable[[Recipe], tuple[Any, Any]]  # -> model, processor
RECIPE = "recipe.json"


def run(
    recipe: Recipe, out: Path, build: Build, resume: bool = False, callbacks: Sequence[TrainerCallback] = ()
) -> Any:
    """Train all stages; with `resume` go on where an interrupted run of the same recipe stopped.

    Raises:
        EarsightError: the folder holds another run, a file of records is missing, too many samples are skipped.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    state = PartialState(cpu=not torch.cuda.is_available())
    books = {name: Books.open(stage, Path(recipe.data.root)) for name, stage in recipe.stages.items()}
    if state.is_main_process:
        _remember(recipe, out, resume)
    state.wait_for_everyone()
    set_seed(recipe.seed)
    model, processor = build(recipe)
    for name, stage in recipe.stages.items():
        folder = out / name
        if stage.starts_from:
            load_trained_parts(model, Path(stage.starts_from))
        freezing.apply(model, stage.trains, stage.objective)
        if resume and (folder / "trained").is_dir():
            load_trained_parts(model, folder / "trained")
            continue
        _run_stage(recipe, stage, folder, model, processor, books[name], resume, callbacks)
        if state.is_main_process:
            save_trained_parts(model, folder / "trained")
        state.wait_for_everyone()
    if state.is_main_process:
        model.save_pretrained(out / "model")
        processor.save_pretrained(out / "model")
    return model, processor


def _run_stage(
    recipe: Recipe,
    stage: Stage,
    folder: Path,
    model: Any,
    processor: Any,
    books: Books,
    resume: bool,
    callbacks: Sequence[TrainerCallback] = (),
) -> None:
    arguments = _arguments(recipe, stage, folder)
    kept = folder / "ledger.json"
    ledger = Ledger.read(kept) if resume and kept.is_file() else Ledger(recipe.data.max_skip_rate)
    if stage.writes:
        file = folder / "written.jsonl"
        with PartialState().main_process_first():
            books = written(books, stage.writes, model, processor, Path(recipe.data.root), recipe.seed, file)
    with counted(folder, "encoding"):
        store = _store(recipe, stage, model, processor, books)
    samples = Samples(books, stage, recipe.data, processor, recipe.seed, store)
    words = _words(stage, model, processor, books)
    trainer = StageTrainer(
        stage,
        words,
        model=model,
        args=arguments,
        train_dataset=samples,
        data_collator=Collator(partial(collate, processor), ledger, words is not None),
        callbacks=[SavesTrained(ledger, folder), Progress(folder.name), *callbacks],
    )
    trainer.remove_callback(PrinterCallback)  # prints what `Progress` says better
    with counted(folder, "training"), attention.faster(model):
        trainer.train(resume_from_checkpoint=last_checkpoint(folder) if resume else None)
    ledger.write(folder / "ledger.json")
    ledger.least_samples = 1  # a short stage is judged at its end
    ledger.check()


def _words(stage: Stage, model: Any, processor: Any, books: Books) -> Words | TokenWords | None:
    """What the objectives "words" and "said" are to reach, of all the stage's records."""
    if stage.objective == "answers":
        return None
    told = [record.extra.get("words", {}) for records in books.records.values() for record in records]
    if stage.objective == "words" and not has_roles(model.connector.config):
        return TokenWords(model, processor.tokenizer, told)
    return Words(model, processor.tokenizer, told, only_said=stage.objective == "said")


def _store(recipe: Recipe, stage: Stage, model: Any, processor: Any, books: Books) -> FeatureStore | None:
    """The stage's features, encoded now where that is not done yet; None where they are better made on the way."""
    wanted, trains = recipe.data.cache_features, any(part.startswith("encoders") for part in stage.trains)
    if wanted == "never" or trains:
        return None
    samples = Samples(books, stage, recipe.data, processor, recipe.seed)
    n_records = sum(len(records) for records in books.records.values())
    if wanted == "auto" and not worth_it(processor.description, len(samples), n_records, _bytes(model)):
        return None
    state, media = PartialState(), samples.media()
    store = FeatureStore(cache_root() / "features", model, processor, recipe.data.half_features)
    # Each process its share: alone the first would keep the others waiting for longer than they may.
    share = [one for one in media if not is_prototype(one)][state.process_index :: state.num_processes]
    store.fill(share, model, report)
    state.wait_for_everyone()
    with state.main_process_first():
        store.look_again()
        if samples.renderer is not None:
            put_prototypes(store, media, model, samples.renderer, parts_folder(), recipe.seed, report)
    return store


def report(what: str, done: int, total: int) -> None:
    """A line now and then on stderr."""
    if done == total or done % 100 == 0:
        print(f"{what} {done}/{total}", file=sys.stderr, flush=True)


def _bytes(model: Any) -> int:
    """Roughly what a medium's features take: ten seconds at each stream's rate, in the encoders' numbers."""
    size = next(model.encoders.parameters()).element_size()
    per_step = {s: d for part in model.description.encoders.values() for s, d in part.dims.items()}
    positions = {
        s: getattr(p, "n_patch_features", getattr(p, "positions", 1))
        for p in model.description.encoders.values()
        if p.sense == "picture"
        for s in p.dims
    }
    rates = {s: p.rate_hz or 2.0 for p in model.description.encoders.values() for s in p.dims}
    return sum(round(10 * rates[s] * per_step[s] * positions.get(s, 1)) * size for s in per_step)


def _arguments(recipe: Recipe, stage: Stage, folder: Path) -> TrainingArguments:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    share, left = divmod(stage.batch_size, processes)
    if left:
        raise EarsightError(f"batch_size {stage.batch_size} cannot be shared by {processes} processes; give a multiple")
    micro = min(stage.micro_batch_size or share, share)
    if share % micro:
        raise EarsightError(f"micro_batch_size {micro} does not divide {share}, the batch of one process")
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=stage.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=share // micro,
        learning_rate=stage.learning_rate,
        max_grad_norm=stage.max_grad_norm,
        logging_steps=recipe.log_every,
        logging_first_step=True,
        save_strategy="steps",
        save_steps=recipe.save_every,
        save_total_limit=recipe.keep,
        save_only_model=False,
        report_to=list(recipe.report_to),
        remove_unused_columns=False,
        seed=recipe.seed,
        data_seed=recipe.seed,
        dataloader_num_workers=0,
        dataloader_drop_last=False,
        activation_checkpointing=stage.gradient_checkpointing,
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
        ddp_find_unused_parameters=False,
        accelerator_config={"split_batches": False, "dispatch_batches": False},
    )


def as_written(recipe: Recipe) -> dict[str, Any]:
    """A recipe as its file says it."""
    described: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return described


def read_recipe(out: Path) -> dict[str, Any]:
    """The recipe of the run in a folder, as written; what an earlier version did not know at its default."""
    written = json.loads((out / RECIPE).read_text(encoding="utf-8"))
    stage_defaults, source_defaults = asdict(Stage(trains=(), sources={}, steps=1)), asdict(Source(""))
    stages = {name: json.loads(json.dumps(stage_defaults)) | stage for name, stage in written["stages"].items()}
    for stage in stages.values():
        sources = stage["sources"].items()
        stage["sources"] = {name: json.loads(json.dumps(source_defaults)) | source for name, source in sources}
    return as_written(Recipe("", {})) | written | {"stages": stages}


def _remember(recipe: Recipe, out: Path, resume: bool) -> None:
    """Write the recipe beside its results, or check that this is the run that stopped."""
    file, described = out / RECIPE, as_written(recipe)
    if file.is_file():
        before = read_recipe(out)
        if not resume:
            raise EarsightError(f"{out}: holds a run already; add --resume to go on with it, or give another folder")
        if before != described:
            changed = ", ".join(_differing(before, described))
            raise EarsightError(f"{out}: was run with other settings ({changed}); give another folder for these")
        return
    if resume:
        raise EarsightError(f"{out}: no run to resume there")
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(described, indent=1), encoding="utf-8")


def _differing(before: Any, after: Any, path: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted(set(before) | set(after))
        return [one for name in names for one in _differing(before.get(name), after.get(name), f"{path}.{name}")]
    return [] if before == after else [path.lstrip(".")]

"""Dolphin's two stages (Guo et al., ICLR 2025, section 3.3, 5.1 and appendix C.1).

pretrain   AVU-Pretrain                                              -> projectors and adapter: the whole connector
instruct   AVU-Multi Q&A, AVU-Specific, AVU-Negatives, AVU-Tasks     -> connector and language model

One epoch each in batches of 256 and 128, as the paper has it: 1.11 and 4.13 million question-answer pairs. Its
learning rates are not given: LLaVA's, whose projectors it takes, are.
"""

from dataclasses import replace
from typing import Any

from earsight.training.stages import Data, Recipe, Source, Stage, towards_words, with_sources

PRETRAIN = Stage(
    trains=("connector",),
    sources={"avu_pretrain": Source("avu_pretrain.jsonl")},
    steps=4336,
    batch_size=256,
    learning_rate=1e-3,
    warmup_steps=130,
    weight_decay=0.0,
)
INSTRUCT = Stage(
    trains=("connector", "language_model"),
    sources={
        "avu_multi_qa": Source("avu_multi_qa.jsonl", weight=1.0),
        "avu_specific": Source("avu_specific.jsonl", weight=2.2),
        "avu_negatives": Source("avu_negatives.jsonl", weight=0.37),
        "avu_tasks": Source("avu_tasks.jsonl", weight=0.56),
    },
    steps=32_266,
    batch_size=128,
    learning_rate=2e-5,
    warmup_steps=970,
    weight_decay=0.0,
    gradient_checkpointing=True,
)
RECIPE = Recipe(system="dolphin/7b", stages={"pretrain": PRETRAIN, "instruct": INSTRUCT})
SMALL = {
    "sounds": Source("sounds.jsonl"),
    "pictures": Source("pictures.jsonl"),
    "films": Source("films.jsonl", weight=2.0),
    "negatives": Source("negatives.jsonl", weight=0.37),
}


def _small(system: str, trains: tuple[str, ...], steps: int, batch_size: int) -> Recipe:
    short: dict[str, Any] = {"sources": SMALL, "steps": steps, "batch_size": batch_size, "warmup_steps": steps // 30}
    stages = {
        "pretrain": replace(PRETRAIN, **short),
        "instruct": replace(INSTRUCT, **short, trains=trains, learning_rate=5e-4, gradient_checkpointing=False),
    }
    return replace(RECIPE, system=system, stages=stages)


STARTER = _small("dolphin/starter", ("connector", "lora"), steps=300, batch_size=16)
STARTER_STAGES = {
    "pretrain": towards_words(STARTER.stages["pretrain"], steps=600, batch_size=24),
    "instruct": replace(STARTER.stages["instruct"], learning_rate=1e-3, rates={"connector": 5e-4}, micro_batch_size=4),
}
VARIANTS = {
    "13b": {"system": "dolphin/13b"},
    "7b-lora": {
        "system": "dolphin/7b-lora",
        "stages": {"instruct": {"trains": ("connector", "lora"), "learning_rate": 2e-4}},
    },
    "starter": with_sources(
        replace(
            STARTER,
            stages=STARTER_STAGES,
            data=Data(root="starter-corpus", cache_features="always", half_features=True),
            save_every=50,
        ),
        {"composed": Source("composed.jsonl", weight=2.0, limit=3000)},  # eight frames and pieces of sound each
        group_by_length=True,
    ),
    "tiny": replace(
        _small("dolphin/tiny", ("connector", "language_model"), steps=4, batch_size=2),
        data=Data(root="made-up"),
        dtype="float32",
        log_every=1,
        save_every=2,
    ),
}

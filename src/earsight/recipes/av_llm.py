"""Audio-Visual LLM's two stages (Shu et al., 2023, section 3.3 and 4.1).

projectors   general descriptions                          -> the three linear maps
instruct     modality-augmented training: sound, picture and both in every batch -> maps and language model

"pt1" and "pt2" are the plain trainings of its table 5: both senses together first and then apart, and the reverse.
Rates, betas, warm-up share and batch sizes are the paper's. Steps follow from its data: 3 epochs of 100 thousand
descriptions; one epoch of 160 thousand instructions, 650 thousand pictures and 770 thousand films.
"""

from dataclasses import replace
from typing import Any

from earsight.training.stages import Data, Recipe, Source, Stage, towards_words, with_sources

PROJECTORS = Stage(
    trains=("connector",),
    sources={"descriptions": Source("av_descriptions.jsonl")},
    steps=1172,
    batch_size=256,
    learning_rate=2e-3,
    warmup_steps=35,
    betas=(0.9, 0.98),
    weight_decay=0.0,
)
INSTRUCT = Stage(
    trains=("connector", "language_model"),
    sources={
        "instructions": Source("av_instructions.jsonl"),
        "llava": Source("llava.jsonl"),
        "valley": Source("valley.jsonl"),
    },
    steps=12_344,
    batch_size=128,
    learning_rate=2e-5,
    warmup_steps=370,
    betas=(0.9, 0.98),
    weight_decay=0.0,
    pairing="side by side",
    gradient_checkpointing=True,
)
RECIPE = Recipe(system="av_llm/7b", stages={"projectors": PROJECTORS, "instruct": INSTRUCT})
SMALL = {"sounds": Source("sounds.jsonl"), "pictures": Source("pictures.jsonl"), "films": Source("films.jsonl")}


def _small(system: str, trains: tuple[str, ...], steps: int, batch_size: int) -> Recipe:
    short: dict[str, Any] = {"sources": SMALL, "steps": steps, "batch_size": batch_size, "warmup_steps": steps // 30}
    stages = {
        "projectors": replace(PROJECTORS, **short),
        "instruct": replace(INSTRUCT, **short, trains=trains, learning_rate=5e-4, gradient_checkpointing=False),
    }
    return replace(RECIPE, system=system, stages=stages)


TINY = replace(
    _small("av_llm/tiny", ("connector", "language_model"), steps=4, batch_size=3),
    data=Data(root="made-up"),
    dtype="float32",
    log_every=1,
    save_every=2,
)
STARTER = _small("av_llm/starter", ("connector", "lora"), steps=300, batch_size=16)
STARTER_STAGES = {
    "projectors": towards_words(STARTER.stages["projectors"], steps=800, batch_size=24),
    "instruct": replace(
        STARTER.stages["instruct"],
        steps=160,  # half an hour on a core without AMX: 2,560 samples beside its sisters' 4,800
        warmup_steps=5,
        learning_rate=1e-3,
        rates={"connector": 5e-4},
        micro_batch_size=4,
    ),
}
VARIANTS = {
    "13b": {"system": "av_llm/13b"},
    "pt1": {"stages": {"instruct": {"pairing": "joint then apart"}}},
    "pt2": {"stages": {"instruct": {"pairing": "apart then joint"}}},
    "starter": with_sources(
        replace(
            STARTER,
            stages=STARTER_STAGES,
            data=Data(root="starter-corpus", cache_features="always", half_features=True),
            save_every=50,
            values={"n_frames": 8},  # its clips last a few seconds; encoding frames is most of the time
        ),
        {"composed": Source("composed.jsonl", weight=2.0)},
    ),
    "tiny": TINY,
}

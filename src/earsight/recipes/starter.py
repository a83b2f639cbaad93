"""The starter's two stages: the connector learns the language model's words, then the whole learns to answer.

words      pictures, sounds, the encoder's own classes, spoken sentences -> connector, without the language model
instruct   the same and films, composed clips, missing senses            -> connector and LoRA, by the answers

The first stage is meant to make the second short, for its steps are cheap. Settings were not compared yet.
"""

from dataclasses import replace

from earsight.training.stages import Data, Recipe, Source, Stage

NAMED = {
    "pictures": Source("pictures.jsonl", weight=1.5),
    "prototypes": Source("prototypes.jsonl", weight=1.0),
    "sounds": Source("sounds.jsonl", weight=1.5),
}
WORDS = Stage(
    trains=("connector",),
    sources={
        **NAMED,
        "films": Source("films.jsonl", weight=1.0),
        "speech": Source("speech.jsonl", weight=5.0, limit=24_000),
    },
    objective="words",
    steps=1500,
    batch_size=48,
    learning_rate=1e-3,
    warmup_steps=100,
    betas=(0.9, 0.98),
    weight_decay=0.01,
    max_grad_norm=1.0,
)
INSTRUCT = Stage(
    trains=("connector", "lora"),
    sources={
        **NAMED,
        "films": Source("films.jsonl", weight=1.0),
        "negatives": Source("negatives.jsonl", weight=1.0),
        "composed": Source("composed.jsonl", weight=5.0),
        "speech": Source("speech.jsonl", weight=5.0, limit=24_000),
    },
    steps=850,
    batch_size=16,
    learning_rate=5e-4,
    rates={"connector": 2e-4},
    warmup_steps=40,
    weight_decay=0.01,
    max_grad_norm=1.0,
    group_by_length=True,
)
RECIPE = Recipe(
    system="starter",
    stages={"words": WORDS, "instruct": INSTRUCT},
    seed=17,
    data=Data(root="starter-corpus", cache_features="always", half_features=True),
    save_every=200,
)
VARIANTS = {
    "tiny": replace(
        RECIPE,
        system="starter/tiny",
        stages={
            name: replace(stage, steps=4, batch_size=2, warmup_steps=1, sources={
                "sounds": Source("sounds.jsonl"), "pictures": Source("pictures.jsonl"), "films": Source("films.jsonl"),
            })
            for name, stage in RECIPE.stages.items()
        },
        data=Data(root="made-up"),
        values={"connector": {"dropout": 0.0}, "lora": {"lora_dropout": 0.0}},
        dtype="float32",
        log_every=1,
        save_every=2,
    ),
}  # fmt: skip

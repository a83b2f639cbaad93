"""The starter's three stages: the connector learns the language model's words, then the whole learns to answer.

said       spoken sentences -> the connector's speech tokens, without the language model
words      pictures, sounds, clips whose course is known -> its query tokens, likewise
instruct   the same, and missing senses -> connector and LoRA, by the answers

Steps without the language model are cheap, and spare it what it would be slow to find out.
"""

from dataclasses import replace

from earsight.training.stages import Data, Recipe, Source, Stage

SPOKEN = Source("speech.jsonl", weight=1.0, limit=24_000)
NAMED = {
    "pictures": Source("pictures.jsonl", weight=2.0),
    "prototypes": Source("prototypes.jsonl", weight=1.0),
    "sounds": Source("sounds.jsonl", weight=1.5),
    "films": Source("films.jsonl", weight=1.0),
}
SAID = Stage(
    trains=("connector.speech.*", "connector.speech_scale"),
    sources={"speech": SPOKEN},
    objective="said",
    steps=3000,
    batch_size=64,
    learning_rate=2e-3,
    warmup_steps=100,
    betas=(0.9, 0.98),
    weight_decay=0.01,
    max_grad_norm=1.0,
    group_by_length=True,
)
QUERIES = (
    "norms.*",
    "join.*",
    "join_norm.*",
    "position_embedding",
    "query_tokens",
    "glance.*",
    "qformer.*",
    "project.*",
    "scale",
)
WORDS = replace(
    SAID,
    # Its speech tokens are left as the first stage made them; its moments begin as numbers.
    trains=tuple(f"connector.{name}" for name in (*QUERIES, "moments")),
    sources={
        **NAMED,
        "composed": Source("composed.jsonl", weight=3.0),
        "speech": replace(SPOKEN, weight=0.7),
    },
    objective="words",
    steps=2000,
    batch_size=48,
    learning_rate=1e-3,
)
INSTRUCT = replace(
    WORDS,
    trains=("connector", "lora"),
    sources={
        **NAMED,
        "negatives": Source("negatives.jsonl", weight=2.0),
        "composed": Source("composed.jsonl", weight=4.0),
        "speech": replace(SPOKEN, weight=3.0),
    },
    objective="answers",
    steps=600,
    batch_size=16,
    learning_rate=5e-4,
    rates={"connector": 1e-4},
    warmup_steps=40,
    betas=(0.9, 0.999),
)
RECIPE = Recipe(
    system="starter",
    stages={"said": SAID, "words": WORDS, "instruct": INSTRUCT},
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
            if name != "said"  # nobody speaks in made-up media
        },
        data=Data(root="made-up"),
        values={"connector": {"dropout": 0.0}, "lora": {"lora_dropout": 0.0}},
        dtype="float32",
        log_every=1,
        save_every=2,
    ),
}  # fmt: skip

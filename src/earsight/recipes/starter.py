"""The starter's four stages: the connector learns the language model's words, then the whole learns to answer.

said       spoken sentences -> the connector's speech tokens, without the language model
words      pictures, sounds, clips whose course is known -> its query tokens, likewise
instruct   the same, and missing senses -> connector and LoRA, by the answers
practise   more of what compares one second with another, and of what is not there -> the same

and one more of the variant `further`, which did not teach them (benchmarks/results/further.md):

further    choices, two sounds at once, speech over sounds, names in other languages, among the rest -> the same

and two more of the variant `speech`, which did not make its transcripts better (benchmarks/results/speech_tokens.md):

spell      more spoken sentences, and lists of words that they seldom have -> the speech tokens, as in the first stage
listen     these transcribed, among some of everything else -> connector and LoRA

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
# The order of two events is in no second's tokens: the language model has to compare them, which takes more examples
# than other tasks. More than a quarter of these are about it.
PRACTISE = replace(
    INSTRUCT,
    sources={
        "order": Source("composed.jsonl", weight=4.5, tasks=("which_first", "coincide")),
        "composed": Source("composed.jsonl", weight=4.0),
        "nothing there": Source("composed.jsonl", weight=0.8, tasks=("nothing_there",)),
        "negatives": Source("negatives.jsonl", weight=1.5),
        "speech": replace(SPOKEN, weight=3.0),
        **{name: replace(source, weight=source.weight / 2) for name, source in NAMED.items()},
    },
)
# Tasks of their own, and as much again of the others, so that these are kept.
FURTHER = replace(
    PRACTISE,
    sources={
        "further": Source("further.jsonl", weight=7.0),
        "names": Source("names.jsonl", weight=2.0),
        "order": Source("composed.jsonl", weight=3.0, tasks=("which_first", "coincide")),
        "composed": Source("composed.jsonl", weight=3.0),
        "nothing there": Source("composed.jsonl", weight=0.6, tasks=("nothing_there",)),
        "negatives": Source("negatives.jsonl", weight=1.2),
        "speech": replace(SPOKEN, weight=2.5),
        **{name: replace(source, weight=source.weight / 2) for name, source in NAMED.items()},
    },
    steps=500,
)
# Words that less than five sentences have were nearly always missed (benchmarks/results/speech_tokens.md), and most
# words are of these.
SPELL = replace(
    SAID,
    sources={"speech": Source("speech.jsonl"), "word lists": Source("word_lists.jsonl")},
    steps=7000,
    learning_rate=1.5e-3,
)
# Through the language model, which can tell from a word's sounds and its sentence what the word is. What was learnt
# before is kept by a part of it: features of a few thousand media are soon computed anew.
LISTEN = replace(
    PRACTISE,
    sources={
        "speech": Source("speech.jsonl", weight=10.0),
        "word lists": Source("word_lists.jsonl", weight=1.5),
        "composed": Source("composed.jsonl", weight=4.0, limit=1500),
        "negatives": Source("negatives.jsonl", weight=1.2, limit=1200),
        "pictures": Source("pictures.jsonl", weight=0.8, limit=800),
        "prototypes": Source("prototypes.jsonl", weight=0.3),
        "sounds": Source("sounds.jsonl", weight=0.6, limit=800),
        "films": Source("films.jsonl", weight=0.4, limit=500),
    },
    steps=800,
    rates={"connector": 2e-4},
)
RECIPE = Recipe(
    system="starter",
    stages={"said": SAID, "words": WORDS, "instruct": INSTRUCT, "practise": PRACTISE},
    seed=17,
    data=Data(root="starter-corpus", cache_features="always", half_features=True),
    save_every=50,  # a step takes some seconds
)
VARIANTS = {
    "further": replace(RECIPE, stages={**RECIPE.stages, "further": FURTHER}),
    "speech": replace(RECIPE, stages={**RECIPE.stages, "spell": SPELL, "listen": LISTEN}),
    "tiny": replace(
        RECIPE,
        system="starter/tiny",
        stages={
            name: replace(stage, steps=4, batch_size=2, warmup_steps=1, sources={
                "sounds": Source("sounds.jsonl"), "pictures": Source("pictures.jsonl"), "films": Source("films.jsonl"),
            })
            for name, stage in RECIPE.stages.items()
            if name in ("words", "instruct")  # nobody speaks in made-up media, and nothing follows upon another
        },
        data=Data(root="made-up"),
        values={"connector": {"dropout": 0.0}, "lora": {"lora_dropout": 0.0}},
        dtype="float32",
        log_every=1,
        save_every=2,
    ),
}  # fmt: skip

"""SALMONN's three stages (Tang et al., ICLR 2024, section 3.2 and 4.2).

pretrain   speech recognition and captioning            -> connector, LoRA
instruct   twelve tasks of speech, sound and music      -> connector, LoRA
activate   12 stories the model writes with a discounted LoRA, one a step -> connector, LoRA

Rates, schedule and batch size are those of the published code; its 90,000 steps are the cosine's length, about 80,000
were run. Weights of the sources are not published: in proportion to nothing, all alike, is what is written here.
"""

from dataclasses import replace
from typing import Any

from earsight.training.stages import Data, Recipe, Source, Stage, Writing, towards_words, with_sources

PRETRAIN = {
    "librispeech": Source("librispeech.jsonl"),
    "gigaspeech": Source("gigaspeech.jsonl"),
    "wavcaps": Source("wavcaps.jsonl"),
    "audiocaps": Source("audiocaps.jsonl"),
    "clotho": Source("clotho.jsonl"),
}
INSTRUCT = {
    "librispeech": Source("librispeech.jsonl"),
    "covost2": Source("covost2.jsonl"),
    "audiocaps": Source("audiocaps.jsonl"),
    "clotho": Source("clotho.jsonl"),
    "phones": Source("librispeech_phones.jsonl"),
    "iemocap": Source("iemocap.jsonl"),
    "musiccaps": Source("musiccaps.jsonl"),
    "librimix": Source("librimix.jsonl"),
    "voxceleb1": Source("voxceleb1.jsonl"),
    "gender": Source("librispeech_gender.jsonl"),
    "speech_qa": Source("librispeech_qa.jsonl"),
    "audio_qa": Source("wavcaps_qa.jsonl"),
    "millionsong": Source("millionsong.jsonl"),
    "musicnet": Source("musicnet.jsonl"),
}
BOTH = ("connector", "lora")
PRETRAINING = Stage(
    trains=BOTH,
    sources=PRETRAIN,
    steps=90_000,
    batch_size=8,
    learning_rate=3e-5,
    least_learning_rate=1e-5,
    warmup_steps=3000,
    warmup_from=1e-6,
    schedule="salmonn",
    weight_decay=0.05,
    max_answer_tokens=300,
)
RECIPE = Recipe(
    system="salmonn/13b",
    stages={
        "pretrain": PRETRAINING,
        "instruct": replace(PRETRAINING, sources=INSTRUCT),
        "activate": Stage(
            trains=BOTH,
            sources={"stories": Source("stories.jsonl")},
            steps=12,
            batch_size=1,
            learning_rate=3e-5,
            schedule="constant",
            writes=Writing(),
        ),
    },
)


def _small(system: str, sources: dict[str, Source], steps: int, batch_size: int, rate: float) -> Recipe:
    """The same three stages on one kind of data, at another scale."""
    short: dict[str, Any] = {"sources": sources, "steps": steps, "batch_size": batch_size, "learning_rate": rate}
    stages = {
        "pretrain": replace(PRETRAINING, **short, warmup_steps=steps // 10, warmup_from=0.0),
        "instruct": replace(PRETRAINING, **short, warmup_steps=steps // 10, warmup_from=0.0),
        "activate": replace(
            RECIPE.stages["activate"],
            sources={"stories": next(iter(sources.values()))},
            steps=min(12, steps),
            writes=Writing(n_samples=min(12, steps), max_new_tokens=24 if steps < 12 else 100),
        ),
    }
    return replace(RECIPE, system=system, stages=stages)


STARTER = _small("salmonn/starter", {"sounds": Source("sounds.jsonl")}, steps=400, batch_size=16, rate=1e-3)
STARTER_STAGES = {
    "pretrain": towards_words(STARTER.stages["pretrain"], steps=1000),
    "instruct": replace(STARTER.stages["instruct"], rates={"connector": 5e-4}, micro_batch_size=4),
    "activate": STARTER.stages["activate"],
}
VARIANTS = {
    "7b": {"system": "salmonn/7b"},
    "starter": with_sources(
        replace(
            STARTER,
            stages=STARTER_STAGES,
            data=Data(root="starter-corpus", cache_features="always", half_features=True),
            save_every=50,
        ),
        {"speech": Source("speech.jsonl", limit=6_000)},
        group_by_length=True,
    ),
    "tiny": replace(
        _small("salmonn/tiny", {"sounds": Source("sounds.jsonl")}, steps=4, batch_size=2, rate=1e-3),
        data=Data(root="made-up"),
        values={"connector": {"dropout": 0.0}, "lora": {"lora_dropout": 0.0}},
        dtype="float32",
        log_every=1,
        save_every=2,
    ),
}

"""video-SALMONN's multi-task instruction tuning, with the diversity loss and the mixed scheme of unpaired sound and
picture (Sun et al., ICML 2024, section 3.3 and 4.3; sampling rules from the published data set code).

The paper gives no learning rate, batch size or number of steps, nor does the public code: SALMONN's are taken.
"""

from dataclasses import replace

from earsight.training.stages import Data, Recipe, Source, Stage, towards_words, with_sources

SOURCES = {
    "librispeech": Source("librispeech.jsonl"),
    "audiocaps": Source("audiocaps.jsonl"),
    "llava150k": Source("llava150k.jsonl"),
    "ocrvqa": Source("ocrvqa.jsonl"),
    "textcaps": Source("textcaps.jsonl"),
    "msvd_qa": Source("msvd_qa.jsonl"),
    "nextqa": Source("nextqa.jsonl"),
    "spokencoco": Source("spokencoco.jsonl"),
    "videochat": Source("videochat.jsonl"),
    "ego4d": Source("ego4d.jsonl"),
    "how2": Source("how2.jsonl"),
    "avsd": Source("avsd.jsonl"),
}
INSTRUCT = Stage(
    trains=("connector", "lora"),
    sources=SOURCES,
    steps=90_000,
    batch_size=8,
    learning_rate=3e-5,
    least_learning_rate=1e-5,
    warmup_steps=3000,
    warmup_from=1e-6,
    schedule="salmonn",
    losses={"diversity": 0.01},
    pairing="mixed",
    longest_clip_seconds=60.0,
)
RECIPE = Recipe(system="video_salmonn/13b", stages={"instruct": INSTRUCT})

SMALL = {
    "sounds": Source("sounds.jsonl"),
    "pictures": Source("pictures.jsonl"),
    "films": Source("films.jsonl"),
}


def _small(system: str, steps: int, batch_size: int, rate: float) -> Recipe:
    stage = replace(
        INSTRUCT, sources=SMALL, steps=steps, batch_size=batch_size, learning_rate=rate, warmup_steps=steps // 10
    )
    return replace(RECIPE, system=system, stages={"instruct": replace(stage, warmup_from=0.0)})


STARTER = _small("video_salmonn/starter", steps=300, batch_size=16, rate=1e-3)
INSTRUCT_STARTER = replace(STARTER.stages["instruct"], rates={"connector": 5e-4}, micro_batch_size=4)
VARIANTS = {
    "7b": {"system": "video_salmonn/7b"},
    "starter": with_sources(
        replace(
            STARTER,
            stages={"words": towards_words(INSTRUCT_STARTER, steps=1200), "instruct": INSTRUCT_STARTER},
            data=Data(root="starter-corpus", cache_features="always", half_features=True),
            save_every=50,
        ),
        {"composed": Source("composed.jsonl", weight=2.0), "speech": Source("speech.jsonl", limit=6_000)},
    ),
    "tiny": replace(
        _small("video_salmonn/tiny", steps=4, batch_size=2, rate=1e-3),
        data=Data(root="made-up"),
        values={"connector": {"dropout": 0.0}, "lora": {"lora_dropout": 0.0}},
        dtype="float32",
        log_every=1,
        save_every=2,
    ),
}

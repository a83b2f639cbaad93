"""SALMONN: speech, sound and music through one window-level Q-Former (Tang et al., ICLR 2024).

waveform -> Whisper-large-v2 --+
                               +-- windows of 1/3 s -> Q-Former, 1 query -> <Speech> slot -> Vicuna-13B + LoRA (q, v)
waveform -> BEATs -------------+

It hears and does not see. A clip without sound has no slot: nothing stands in for what is absent.
"""

from dataclasses import replace

from earsight.connectors.window_qformer import WindowQFormerConfig
from earsight.encoders.beats import TINY as TINY_BEATS
from earsight.encoders.beats import BeatsConfig
from earsight.encoders.whisper import BASE, WhisperStreamsConfig
from earsight.encoders.whisper import TINY as TINY_WHISPER
from earsight.systems import SMOLLM2_135M, TINY_LLAMA, VICUNA_7B, VICUNA_13B, VICUNA_TURNS, Prompt, System

SYSTEM = System(
    encoders={"speech": WhisperStreamsConfig(), "sound": BeatsConfig()},
    connector=WindowQFormerConfig(),
    language_model=VICUNA_13B,
    lora={"r": 8, "lora_alpha": 32, "lora_dropout": 0.1, "target_modules": ("q_proj", "v_proj")},
    prompt=Prompt(VICUNA_TURNS, slot="<Speech>{tokens}</Speech> ", begins_with_bos=True),
    generation={"max_new_tokens": 200, "num_beams": 4, "do_sample": False, "min_length": 1},
    sound_pieces="bare",
    least_sound_seconds=1.0,
)

VARIANTS = {
    "13b": {},
    "7b": {"language_model": VICUNA_7B},
    # The starter's real parts: Whisper's middle layers are the sound stream that BEATs is above.
    "starter": replace(
        SYSTEM,
        encoders={"audio": WhisperStreamsConfig(BASE, chunk_seconds=10.0, sound_layers=(3, 5), pad_seconds=1.0)},
        connector=WindowQFormerConfig(hidden=384, n_heads=6, intermediate=1536),
        language_model=SMOLLM2_135M,
        lora={**SYSTEM.lora, "lora_dropout": 0.0},  # dear on a processor: see the starter's
        prompt=Prompt(slot="<Speech>{tokens}</Speech> "),
        generation={"max_new_tokens": 64, "do_sample": False},
        max_seconds=60.0,
        float32_encoders=True,
    ),
    "tiny": {
        "encoders": {
            "speech": {"backbone": TINY_WHISPER, "chunk_seconds": 3.0},
            "sound": {**TINY_BEATS, "chunk_seconds": 3.2},
        },
        "connector": {"hidden": 24, "n_heads": 4, "intermediate": 48},
        "language_model": TINY_LLAMA,
        "generation": {"max_new_tokens": 16, "num_beams": 1},
    },
}

"""A fifth system made of parts that are there: DINOv2 sees, BEATs hears, video-SALMONN's connector joins the two.

frames, 2 Hz -> DINOv2-base, CLS and patches --+
                                               +-- multi-resolution causal Q-Former -> <Clip> slot -> Vicuna-7B + LoRA
waveform ----> BEATs --------------------------+   (windows of 0.5 s and of 5 s)

It hears every sound but has no encoder for speech; a sense that is absent is read as zeros on the same clock.

    python examples/fifth_system.py    # at the tiny variant's sizes and with random weights: nothing is downloaded

`SYSTEM` and `VARIANTS` are all that a system is. Put into src/earsight/systems/ this file, without `main`, makes a
fifth system: nothing else has to be changed, and the tests of every system run on it. From a folder of one's own,
`earsight.systems.also_in(folder)` lets the listing find it.
"""

from pathlib import Path

import numpy as np

from earsight import load, systems
from earsight.connectors.multi_resolution_qformer import Level, MultiResolutionQFormerConfig
from earsight.encoders.beats import TINY as TINY_BEATS
from earsight.encoders.beats import BeatsConfig
from earsight.encoders.picture_towers import PictureTowerConfig
from earsight.systems import TINY_LLAMA, VICUNA_7B, VICUNA_13B, Prompt, System
from earsight.types import Clip

# DINOv2-base (Oquab et al., 2023) at 224 pixels, as Transformers' Dinov2Config names its sizes.
DINOV2_BASE = {
    "model_type": "dinov2",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 14,
}

SYSTEM = System(
    encoders={"vision": PictureTowerConfig(DINOV2_BASE), "sound": BeatsConfig()},
    connector=MultiResolutionQFormerConfig(streams=("vision", "sound"), levels=(Level(0.5, 2), Level(5.0, 20))),
    language_model=VICUNA_7B,
    lora={"r": 16, "lora_alpha": 32, "target_modules": ("q_proj", "k_proj", "v_proj", "o_proj")},
    prompt=Prompt(slot="<Clip>{tokens}</Clip> "),
    frames_per_second=2.0,
    max_frames=60,
    hold_frames=True,
    repeat_still=True,
)

VARIANTS = {
    "7b": {},
    "13b": {"language_model": VICUNA_13B},
    # Random weights, no download: what tests and examples run on.
    "tiny": {
        "encoders": {
            "vision": {
                "backbone": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 70},
            },
            "sound": {**TINY_BEATS, "chunk_seconds": 3.2},
        },
        "connector": {
            "levels": (Level(0.5, 1), Level(1.5, 3)),
            "audio_dim": 16,
            "hidden": 24,
            "n_heads": 4,
            "intermediate": 48,
            "max_positions": 96,
        },
        # Random weights of this spread, not tied, say more than the same word again and again.
        "language_model": {**TINY_LLAMA, "initializer_range": 0.3, "tie_word_embeddings": False},
        "lora": {"r": 4},
        "generation": {"max_new_tokens": 8},
    },
}


def generated_clip(seconds: float = 4.0) -> Clip:
    """A square that moves from left to right while a tone rises."""
    times = np.arange(0, seconds, 0.5)
    frames = np.zeros((len(times), 70, 70, 3), dtype=np.uint8)
    for index, frame in enumerate(frames):
        frame[25:45, 6 * index : 6 * index + 20] = 255
    clock = np.arange(round(seconds * 16000)) / 16000
    waveform = (0.3 * np.sin(2 * np.pi * (220 + 110 * clock) * clock)).astype(np.float32)
    return Clip(frames, times, waveform, 0.0, 16000, seconds, "present", "present", "generated")


def main() -> None:
    systems.also_in(Path(__file__).parent)
    model = load("fifth_system/tiny")
    chat = model.chat(generated_clip())
    answer = chat.ask("What moves, and what is heard?")
    print(f"systems: {', '.join(systems.names())}")
    print(f"soft tokens: {chat.views['picture', 'sound'].laid.n_soft_tokens}")
    print(f"seen: {answer.seen}; heard: {answer.heard}")
    print(f"answer, of random weights: {answer.text!r}")


if __name__ == "__main__":
    main()

"""video-SALMONN: picture and sound of the same half second, read at several resolutions (Sun et al., ICML 2024).

frames, 2 Hz -> InstructBLIP ViT-g + Q-Former, which reads the question --+
waveform -----> Whisper-large-v2 -----------------------------------------+-- multi-resolution causal Q-Former
waveform -----> BEATs ----------------------------------------------------+      -> <Img> slot -> Vicuna-13B 1.5 + LoRA

A sense that is absent is read as zeros on the same clock (section 3.1).
"""

from dataclasses import replace

from earsight.connectors.multi_resolution_qformer import Level, MultiResolutionQFormerConfig
from earsight.encoders.beats import TINY as TINY_BEATS
from earsight.encoders.beats import BeatsConfig
from earsight.encoders.efficientnet_lite import EfficientNetLiteConfig
from earsight.encoders.instructblip import InstructBlipConfig
from earsight.encoders.whisper import BASE, WhisperStreamsConfig
from earsight.encoders.whisper import TINY as TINY_WHISPER
from earsight.systems import SMOLLM2_135M, TINY_LLAMA, VICUNA_7B, VICUNA_13B, VICUNA_TURNS, Prompt, System

SYSTEM = System(
    encoders={"vision": InstructBlipConfig(), "speech": WhisperStreamsConfig(), "sound": BeatsConfig()},
    connector=MultiResolutionQFormerConfig(),
    language_model=VICUNA_13B,
    # The paper adapts attention and feed-forward layers (section 4.2); the published weights q, k, v and o.
    lora={
        "r": 32,
        "lora_alpha": 32,
        "lora_dropout": 0.1,
        "target_modules": ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj"),
    },
    prompt=Prompt(VICUNA_TURNS, slot="<Img>{tokens}</Img> ", begins_with_bos=True),
    generation={"max_new_tokens": 512, "num_beams": 5, "do_sample": False, "repetition_penalty": 1.5},
    frames_per_second=2.0,
    max_frames=120,
    hold_frames=True,
    repeat_still=True,
    least_sound_seconds=3.0,
)

VARIANTS = {
    "13b": {},
    "7b": {"language_model": VICUNA_7B},
    # The starter's real parts: ten picture tokens and ten frames of sound to a step.
    "starter": replace(
        SYSTEM,
        encoders={
            "vision": EfficientNetLiteConfig(),
            "audio": WhisperStreamsConfig(BASE, chunk_seconds=10.0, sound_layers=(3, 5), pool=5, pad_seconds=1.0),
        },
        connector=MultiResolutionQFormerConfig(
            step_seconds=1.0,
            levels=(Level(1.0, 4), Level(4.0, 16)),
            picture_dim=192,
            audio_dim=96,
            hidden=384,
            n_heads=6,
            intermediate=1536,
            max_positions=40,
        ),
        language_model=SMOLLM2_135M,
        lora={**SYSTEM.lora, "r": 16, "lora_dropout": 0.0},  # dear on a processor: see the starter's
        prompt=Prompt(),
        generation={"max_new_tokens": 64, "do_sample": False},
        frames_per_second=1.0,
        max_seconds=60.0,
        float32_encoders=True,
    ),
    "tiny": {
        "encoders": {
            "vision": {
                "image_size": 28,
                "vit_dim": 16,
                "vit_layers": 2,
                "vit_heads": 2,
                "vit_ffn_dim": 32,
                "dim": 16,
                "n_layers": 2,
                "n_heads": 2,
                "ffn_dim": 32,
                "n_queries": 32,
                "vocab_size": 259,
            },
            "speech": {"backbone": TINY_WHISPER, "chunk_seconds": 3.0},
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
        "language_model": TINY_LLAMA,
        "lora": {"r": 4},
        "generation": {"max_new_tokens": 16, "num_beams": 1},
        "max_frames": 16,
    },
}

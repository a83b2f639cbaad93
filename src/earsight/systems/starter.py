"""The starter: a small trained system that runs on a laptop.

frames   -> EfficientNet-Lite2 ---------+-- time-synchronised Q-Former, 8 tokens a second ---+
waveform -> Whisper base, layers 3, 5 --+                                                    +-> <|media|> slot
waveform -> Whisper base, last layer ------ convolutions, 10 tokens a second ----------------+   -> SmolLM2 + LoRA
"""

from earsight.connectors.synchronised_qformer import SynchronisedQFormerConfig
from earsight.encoders.efficientnet_lite import EfficientNetLiteConfig
from earsight.encoders.whisper import BASE, WhisperStreamsConfig
from earsight.systems import SMOLLM2_135M, TINY_LLAMA, System

SYSTEM = System(
    encoders={
        "vision": EfficientNetLiteConfig(),
        "audio": WhisperStreamsConfig(
            backbone=BASE, chunk_seconds=10.0, sound_layers=(3, 5), pool=5, stack=True, pad_seconds=1.0
        ),
    },
    connector=SynchronisedQFormerConfig(
        streams=("vision", "sound"),
        said="speech",
        window_seconds=1.0,
        n_queries=7,  # one for each thing that is told of a second (`earsight.training.alignment`)
        n_moments=60,
        context_windows=1,
        n_layers=1,
        glance=64,
        dropout=0.2,  # the corpus is small
    ),
    language_model=SMOLLM2_135M,
    lora={
        "r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.0,  # on a processor drawing it took a quarter of a training's time
        "target_modules": ("q_proj", "k_proj", "v_proj", "o_proj"),
    },
    max_seconds=60.0,
    float32_encoders=True,
)

VARIANTS = {
    # Random weights, no download: what tests and examples run on.
    "tiny": {
        "encoders": {
            "vision": {"width": 0.25, "depth": 0.4, "image_size": 64},
            "audio": {
                "backbone": {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64},
                "chunk_seconds": 2.0,
                "sound_layers": (1, 2),
                "pad_seconds": None,
            },
        },
        "connector": {
            "n_queries": 7,
            "hidden": 24,
            "n_layers": 1,
            "n_heads": 2,
            "said_hidden": 16,
            "said_blocks": 1,
            "n_moments": 20,
        },
        "language_model": TINY_LLAMA,
        "max_frames": 8,
        "max_seconds": 20.0,
    },
}

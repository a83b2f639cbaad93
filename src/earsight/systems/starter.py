"""The starter: a small trained system that runs on a laptop.

frames   -> EfficientNet-Lite2 ---------+
waveform -> Whisper base, last layer ---+-- time-synchronised Q-Former -> <|media|> slot -> SmolLM2-135M + LoRA
waveform -> Whisper base, layers 3, 5 --+
"""

from earsight.connectors.synchronised_qformer import SynchronisedQFormerConfig
from earsight.encoders.efficientnet_lite import EfficientNetLiteConfig
from earsight.encoders.whisper import WhisperStreamsConfig
from earsight.systems import System

SYSTEM = System(
    encoders={"vision": EfficientNetLiteConfig(), "audio": WhisperStreamsConfig()},
    connector=SynchronisedQFormerConfig(dropout=0.3),  # the corpus is small
    lora={
        "r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.05,
        "target_modules": r"language_model\..*\.(q_proj|k_proj|v_proj|o_proj)",
    },
)

VARIANTS = {
    # Random weights, no download: what tests and examples run on.
    "tiny": {
        "encoders": {
            "vision": {"width": 0.25, "depth": 0.4, "image_size": 64},
            "audio": {"dim": 16, "n_layers": 2, "n_heads": 2, "chunk_seconds": 2.0, "sound_layers": (1, 2)},
        },
        "connector": {"n_queries": 3, "hidden": 24, "n_layers": 1, "n_heads": 2},
        "max_frames": 8,
        "max_seconds": 20.0,
    },
}

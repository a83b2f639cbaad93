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
    connector=SynchronisedQFormerConfig(),
    lora={
        "r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.05,
        "target_modules": r"language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
    },
)

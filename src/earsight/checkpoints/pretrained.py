"""Any language model, Whisper, CLIP, SigLIP, DINOv2 or CLAP in a system: a setting names its folder.

    language_model=DIR    encoders.vision.backbone=DIR

Sizes come from the folder's config.json and are written nowhere else; weights are read from the same folder.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earsight import systems
from earsight.errors import PartsError

# Where a part's own sizes lie in a larger model's configuration.
INNER = {"clip": "vision_config", "siglip": "vision_config", "clap": "audio_config"}
INNER_TYPE = {"clip": "clip_vision_model", "siglip": "siglip_vision_model", "clap": "clap_audio_model"}
# Bookkeeping of a config.json that is no size.
NOT_SIZES = {"architectures", "_name_or_path", "torch_dtype", "dtype", "transformers_version", "use_cache"}
# What Whisper's encoder is made of; the rest of its file is the decoder's.
WHISPER = ("d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "num_mel_bins")


def resolved(settings: Sequence[str] | Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """Settings with folders -> settings with sizes, and the folder of each part: {"encoders.vision": DIR, ...}.

    Raises:
        PartsError: a folder without a config.json.
    """
    values = systems.overrides(settings) if not isinstance(settings, Mapping) else dict(settings)
    folders: dict[str, Path] = {}
    if isinstance(values.get("language_model"), str):
        folders["language_model"] = Path(values["language_model"])
        values["language_model"] = sizes_of(folders["language_model"])
    encoders = dict(values.get("encoders", {}))
    for name, given in encoders.items():
        if isinstance(given, Mapping) and isinstance(given.get("backbone"), str):
            folders[f"encoders.{name}"] = Path(given["backbone"])
            encoders[name] = {**given, "backbone": sizes_of(folders[f"encoders.{name}"])}
    return ({**values, "encoders": encoders} if encoders else values), folders


def sizes_of(folder: Path) -> dict[str, Any]:
    """The sizes in a model folder's config.json, of the part that Earsight uses.

    Raises:
        PartsError: no such folder, or no readable config.json in it.
    """
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        kind = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = type(error).__name__
        raise PartsError(
            f"{folder}: expected a model folder with a config.json that names its model_type ({reason})"
        ) from None
    if kind == "whisper":
        return {name: config[name] for name in WHISPER}
    if kind in INNER and INNER[kind] in config:
        config = config[INNER[kind]] | {"model_type": INNER_TYPE[kind]}
    return {name: value for name, value in config.items() if name not in NOT_SIZES}

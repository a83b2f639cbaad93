"""What a model folder of Transformers says: its sizes and its tokeniser. Weights are not read here."""

import json
from pathlib import Path
from typing import Any

from earsight.errors import PartsError

# Where a part's own sizes lie in a larger model's configuration.
INNER = {"clip": "vision_config", "siglip": "vision_config", "clap": "audio_config"}
INNER_TYPE = {"clip": "clip_vision_model", "siglip": "siglip_vision_model", "clap": "clap_audio_model"}
# Bookkeeping of a config.json that is no size.
NOT_SIZES = {"architectures", "_name_or_path", "torch_dtype", "dtype", "transformers_version", "use_cache"}
# What Whisper's encoder is made of; the rest of its file is the decoder's.
WHISPER = ("d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "num_mel_bins")


def config_of(folder: Path) -> dict[str, Any]:
    """A model folder's config.json.

    Raises:
        PartsError: no such folder, no readable config.json in it, or quantised weights.
    """
    if not folder.is_dir():
        raise PartsError(f"{folder}: no such folder; give a model folder as Transformers has it")
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PartsError(
            f"{folder}: expected a model folder with a config.json that names its model_type "
            f"({type(error).__name__}); give the whole folder as Transformers has it"
        ) from None
    if not isinstance(kind, str):
        raise PartsError(f"{folder}: its config.json names no model_type; download it again")
    if config.get("quantization_config"):
        raise PartsError(f"{folder}: holds quantised weights; give the plain ones, which are quantised when loaded")
    return config


def sizes_of(folder: Path) -> dict[str, Any]:
    """The sizes in a model folder's config.json, of the part that Earsight uses.

    Raises:
        PartsError: no such folder, or no config.json in it that can be used.
    """
    config = config_of(folder)
    kind = config["model_type"]
    if kind == "whisper":
        return {name: _whole_number(config, name, folder) for name in WHISPER}
    if kind in INNER:
        config = _defaults(INNER_TYPE[kind]) | _inner(config, kind, folder) | {"model_type": INNER_TYPE[kind]}
    if config.get("enable_fusion"):
        raise PartsError(
            f"{folder}: CLAP with fusion reads random crops of long sound; give one without, clap-htsat-unfused"
        )
    return {name: value for name, value in config.items() if name not in NOT_SIZES}


def _inner(config: dict[str, Any], kind: str, folder: Path) -> dict[str, Any]:
    inner = config.get(INNER[kind], {})
    if not isinstance(inner, dict):
        raise PartsError(f"{folder}: {INNER[kind]} in its config.json is no configuration; download it again")
    return inner


def _defaults(kind: str) -> dict[str, Any]:
    """A config.json may leave out what is as usual."""
    from transformers import AutoConfig

    usual = AutoConfig.for_model(kind).to_dict()
    return {name: value for name, value in usual.items() if isinstance(value, int | float | str | list | tuple)}


def _whole_number(config: dict[str, Any], name: str, folder: Path) -> int:
    value = config[name] if name in config else _defaults("whisper")[name]
    if not isinstance(value, int) or value < 1:
        raise PartsError(f"{folder}: {name} in its config.json is {value!r}, not a whole number; download it again")
    return value


def tokenizer_of(folder: Path, vocab_size: int) -> Any:
    """A language model folder's tokeniser, with a token to pad with that the model has a row for.

    Raises:
        PartsError: none that Transformers reads, or one with words that the model does not have.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # Transformers and tokenizers raise what they like
        reason = (str(error).strip().splitlines() or [""])[0][:120]
        raise PartsError(
            f"{folder}: no tokeniser that Transformers reads ({type(error).__name__}: {reason}); give the whole folder"
        ) from error
    special = {*tokenizer.all_special_tokens, *(str(one) for one in tokenizer.added_tokens_decoder.values())}
    words = tokenizer.get_vocab()
    if beyond := sorted(word for word, index in words.items() if index >= vocab_size and word not in special):
        raise PartsError(
            f"{folder}: its tokeniser has {len(beyond)} words beyond the model's {vocab_size}, such as {beyond[0]!r}; "
            "give the tokeniser that belongs to the model"
        )
    # Padding is masked, so that any token with a row will do; the published systems add one or take this.
    if tokenizer.pad_token is None or tokenizer.pad_token_id >= vocab_size:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.bos_token
    return tokenizer

"""What a system is made of. Each file in this folder is one system: a diagram, one value `SYSTEM`, its `VARIANTS`.

A name is "salmonn" or, with a variant, "salmonn/13b". A checkpoint stores every value; the file gives the types.
"""

import ast
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from earsight.errors import EarsightError

# Language models as Transformers' configurations name their sizes.
VICUNA_7B = {
    "model_type": "llama",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,  # Vicuna 1.5; 1.1 was trained on 2048
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
VICUNA_13B = VICUNA_7B | {
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "num_key_value_heads": 40,
}
SMOLLM2_135M = {
    "model_type": "llama",
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "tie_word_embeddings": True,
}
TINY_LLAMA = {
    "model_type": "llama",
    "vocab_size": 259,  # the bytes, and three marks
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "tie_word_embeddings": True,
}

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<|{{ part['type'] }}|>{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Vicuna's turns without its system message, as the published code of SALMONN and video-SALMONN writes them.
VICUNA_TURNS = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: {% elif message['role'] == 'assistant' %}ASSISTANT: {% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<|{{ part['type'] }}|>{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% else %}\n{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


@dataclass(frozen=True)
class Prompt:
    """How a conversation becomes text, and a medium its slot."""

    chat_template: str = CHATML  # Jinja; a media part is written as <|image|>, <|audio|> or <|video|>
    # What stands where a medium is: {tokens} its placeholders, {picture} and {sound} the state of each sense in words,
    # so that an absent one is known and not guessed.
    slot: str = "Clip ({picture}, {sound}): {tokens}\n"
    begins_with_bos: bool = False
    # Words that stand for a medium's slot inside a user's text, and the senses that each switches on.
    modality_tokens: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class System:
    """A description: encoders by name, the connector between them and the language model, LoRA, prompt, sampling."""

    encoders: Mapping[str, Any]
    connector: Any
    language_model: Mapping[str, Any]  # Transformers' configuration values; a checkpoint keeps them in text_config
    lora: Mapping[str, Any]  # PEFT's LoraConfig; empty: the language model is trained whole
    prompt: Prompt = Prompt()
    generation: Mapping[str, Any] = field(default_factory=lambda: {"do_sample": False, "max_new_tokens": 64})
    # A synchronised system samples frames by the clock; the others take `n_frames`, spread evenly.
    frames_per_second: float = 1.0
    n_frames: int | None = None
    max_frames: int = 32
    # Reference quirk: video-SALMONN takes the first and last frame of each second, not two evenly spaced ones.
    frames_at_second_ends: bool = False
    hold_frames: bool = False  # where `max_frames` thins a long clip, each frame stays until the next
    # A still picture is followed by its grid x grid parts, each as large as a frame (video-SALMONN, appendix I); 0: no.
    spotlight_grid: int = 0
    repeat_still: bool = False  # a still picture with sound is repeated at each step of the sound
    # How sound is cut into pieces: from the clip's zero in chunks, from its own beginning in chunks, into equal
    # segments, or one piece around each frame.
    sound_pieces: Literal["clock", "bare", "segments", "frames"] = "clock"
    least_sound_seconds: float = 0.0  # shorter sound is padded with zeros
    max_seconds: float | None = None  # None: what the language model's context holds

    float32_encoders: bool = False  # small encoders and connectors stay in full precision in a half-precision model

    def values(self) -> dict[str, Any]:
        """Every value as plain types, to be stored with a checkpoint (the language model's own stay in its config)."""
        kept = asdict(self)
        del kept["language_model"]
        return kept

    @property
    def senses(self) -> tuple[str, ...]:
        """ "picture" and "sound", those of them that the encoders read."""
        return tuple(s for s in ("picture", "sound") if any(e.sense == s for e in self.encoders.values()))

    def encoder_of(self, sense: str) -> Any | None:
        """The first encoder of a sense, None where the system lacks it."""
        return next((encoder for encoder in self.encoders.values() if encoder.sense == sense), None)

    @property
    def streams(self) -> dict[str, int]:
        """Width of each stream."""
        return {stream: dim for encoder in self.encoders.values() for stream, dim in encoder.dims.items()}

    @property
    def sample_rate_hz(self) -> int:
        """At which rate sound is decoded: the highest that an encoder wants; others resample."""
        return max((e.sample_rate_hz for e in self.encoders.values() if e.sense == "sound"), default=16000)


def names() -> list[str]:
    """The systems there are: the listing of this folder, and of those that `also_in` added."""
    return sorted(name for place in __path__ for name in _listed(place))


def also_in(folder: str | Path) -> None:
    """Look for system files in a folder of one's own, too: for this process, after the package's own folder.

    Raises:
        EarsightError: no system file is there, or one has the name of a system that there is already.
    """
    place = str(Path(folder).resolve())
    if place in __path__:
        return
    found = _listed(place)
    if not found:
        raise EarsightError(f"{folder}: no system file is there; give a folder of .py files with SYSTEM and VARIANTS")
    if taken := sorted(set(found) & set(names())):
        raise EarsightError(f"{folder}: there is a system '{taken[0]}' already; give {taken[0]}.py another name")
    __path__.append(place)
    importlib.invalidate_caches()


@lru_cache
def _listed(place: str) -> tuple[str, ...]:
    """The system files of a folder: those with a value SYSTEM. None of them is run."""
    files = ((Path(place) / f"{one.name}.py", one.name) for one in pkgutil.iter_modules([place]))
    return tuple(name for file, name in files if file.is_file() and "\nSYSTEM = " in file.read_text(encoding="utf-8"))


def variants(name: str) -> list[str]:
    """The variants of a system."""
    return list(_module(name).VARIANTS)


def split(name: str) -> tuple[str, str]:
    """ "video-salmonn/7b" -> ("video_salmonn", "7b"). "starter/salmonn" and "starter-salmonn" mean "salmonn/starter".

    Raises:
        EarsightError: unknown system or variant; names those there are.
    """
    plain = name.strip().lower().replace("-", "_")
    if plain.startswith("starter_"):
        plain = plain.replace("starter_", "starter/", 1)
    system, _, variant = plain.partition("/")
    if system == "starter" and variant in names() and variant != "starter":
        system, variant = variant, "starter"
    if system not in names():
        hint = "".join(f"; did you mean {near}?" for near in get_close_matches(system, names(), 1))
        raise EarsightError(f"no system '{name}'; there are: {', '.join(names())}{hint}")
    known = {one.replace("-", "_"): one for one in variants(system)}
    if variant and variant not in known:
        raise EarsightError(f"{system} has no variant '{variant}'; there are: {', '.join(known.values())}")
    return system, known.get(variant, "")


def get(name: str, values: Mapping[str, Any] | None = None) -> System:
    """A system by its name, with the values of a checkpoint or of overrides put in.

    Raises:
        EarsightError: unknown system, variant or setting; names those there are.
    """
    system_name, variant = split(name)
    module = _module(system_name)
    system: System = module.SYSTEM
    if variant:
        chosen = module.VARIANTS[variant]
        system = chosen if isinstance(chosen, System) else with_values(system, chosen, system_name)
    if values:
        system = with_values(system, values, system_name)
    connect = getattr(system.connector, "with_encoders", None)  # sizes that an encoder decides are not written twice
    return replace(system, connector=connect(system.encoders)) if connect else system


def overrides(settings: Sequence[str]) -> dict[str, Any]:
    """["connector.n_queries=2", "lora.r=16"] -> {"connector": {"n_queries": 2}, "lora": {"r": 16}}

    Raises:
        EarsightError: a setting that is not NAME=VALUE.
    """
    nested: dict[str, Any] = {}
    for setting in settings:
        path, found, text = setting.partition("=")
        if not found or not path.strip():
            raise EarsightError(f"'{setting}': expected NAME=VALUE, for example connector.n_queries=2")
        *folders, last = path.strip().split(".")
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise EarsightError(f"'{setting}': {folder} has the value {place!r} already; give one or the other")
        try:
            place[last] = ast.literal_eval({"true": "True", "false": "False", "null": "None"}.get(text, text))
        except (ValueError, SyntaxError):
            place[last] = text
    return nested


def _module(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")


def with_values(described: Any, values: Any, path: str) -> Any:
    """A description with some of its values replaced; dataclasses, and mappings of them, keep their types."""
    if not isinstance(values, Mapping):
        raise EarsightError(f"{path}={values!r}: expected settings inside it, such as {path}.NAME=VALUE")
    if isinstance(described, Mapping):
        known: dict[str, Any] = dict(described)
    else:
        known = {one.name: getattr(described, one.name) for one in fields(described)}
    changed = {}
    for name, value in values.items():
        if name not in known:
            near = "".join(f"; did you mean {one}?" for one in get_close_matches(name, known, 1))
            raise EarsightError(f"{path} has no setting '{name}'; there are: {', '.join(known)}{near}")
        changed[name] = _value(known[name], value, f"{path}.{name}")
    return {**known, **changed} if isinstance(described, Mapping) else replace(described, **changed)


def _value(default: Any, value: Any, path: str) -> Any:
    if is_dataclass(default):
        return with_values(default, value, path)
    if isinstance(default, Mapping):
        if default and all(is_dataclass(part) for part in default.values()):
            return with_values(default, value, path)
        if not isinstance(value, Mapping):
            raise EarsightError(f"{path}={value!r}: expected a mapping, or settings such as {path}.NAME=VALUE")
        # Another kind of model brings all its sizes; a few sizes are put into those there are.
        return dict(value) if "model_type" in value else {**default, **value}
    if isinstance(default, tuple) and not isinstance(value, str):
        return tuple(value)
    if type(default) in (int, float, bool) and value is not None and not isinstance(value, int | float):
        raise EarsightError(f"{path}={value!r}: expected a number, such as {default}")
    return value

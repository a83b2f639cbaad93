"""What a system is made of. Each file in this folder is one system: a diagram and one value, `SYSTEM`."""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any

from earsight.errors import EarsightError


@dataclass(frozen=True)
class System:
    """A description: encoders by name, the connector between them and the language model, LoRA, what is sampled."""

    encoders: Mapping[str, Any]  # "vision" reads frames, "audio" reads sound
    connector: Any
    lora: Mapping[str, Any]
    frames_per_second: float = 1.0
    max_frames: int = 32
    max_seconds: float = 60.0

    def values(self) -> dict[str, Any]:
        """Every value as plain types, to be stored with a checkpoint."""
        return asdict(self)


def names() -> list[str]:
    """The systems there are: the folder's listing."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str, values: Mapping[str, Any] | None = None) -> System:
    """A system by its file's name, "starter", or a variant of it, "starter/tiny".

    Args:
        values: a checkpoint's values: the file gives the types, the checkpoint the numbers.

    Raises:
        EarsightError: unknown system, variant or setting; names those there are.
    """
    name, _, variant = name.partition("/")
    if name not in names():
        raise EarsightError(f"no system '{name}'; there are: {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    system: System = module.SYSTEM
    if variant:
        if variant not in module.VARIANTS:
            raise EarsightError(f"{name} has no variant '{variant}'; there are: {', '.join(module.VARIANTS)}")
        system = _with_values(system, module.VARIANTS[variant], name)
    return _with_values(system, values, name) if values else system


def _with_values(described: Any, values: Mapping[str, Any], path: str) -> Any:
    if isinstance(described, Mapping):
        return {key: _with_values(part, values.get(key, {}), f"{path}.{key}") for key, part in described.items()}
    known = {field.name: getattr(described, field.name) for field in fields(described)}
    if unknown := set(values) - set(known):
        raise EarsightError(f"{path} has no setting {sorted(unknown)}; there are: {', '.join(known)}")
    changed = {}
    for name, value in values.items():
        nested = is_dataclass(known[name]) or name == "encoders"
        changed[name] = _with_values(known[name], value, f"{path}.{name}") if nested else _plain(known[name], value)
    return replace(described, **changed)


def _plain(default: Any, value: Any) -> Any:
    return tuple(value) if isinstance(default, tuple) else value

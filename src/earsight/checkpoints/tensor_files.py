"""Reads tensors, and only tensors, from published weight files; writes safetensors folders, whole or not at all."""

import json
import pickle
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from earsight.errors import PartsError

SHARD_BYTES = 4 * 2**30
INDEX = "model.safetensors.index.json"


def read_published(path: Path) -> Any:
    """What a .pth, .pt or .bin file holds: nested containers of tensors and plain values. No code in it is run.

    Raises:
        PartsError: not there, truncated, not a weight file, or a pickle that wants to run code.
    """
    if not path.is_file():
        raise PartsError(f"{path}: no such file; give the published weight file")
    if path.suffix == ".safetensors":
        return dict(tensors_of(path))
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        if "global" in str(error).lower():
            raise PartsError(
                f"{path}: holds more than tensors (pickled code), which is not run; save its state dict as safetensors "
                "where you trust it, and give that file"
            ) from None
        raise PartsError(f"{path}: not a weight file, or a damaged one; download it again") from None
    except (RuntimeError, EOFError, ValueError, OSError, KeyError, UnicodeDecodeError):
        raise PartsError(f"{path}: not a weight file, or a truncated one; download it again") from None


def tensors_of(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Name and tensor, one at a time, of a weight file or of a model folder (safetensors before .bin).

    Raises:
        PartsError: nothing to read there, or a damaged file.
    """
    for file in _files(path):
        if file.suffix == ".safetensors":
            try:
                with safe_open(file, framework="pt") as opened:
                    for name in opened.keys():  # noqa: SIM118  not a dict
                        yield name, opened.get_tensor(name)
            except (SafetensorError, OSError):
                raise PartsError(f"{file}: not a safetensors file, or a truncated one; download it again") from None
        else:
            yield from state_dict(read_published(file), file).items()


def state_dict(held: Any, path: Path) -> dict[str, Tensor]:
    """The tensors by name of what a file holds, under "model" or directly.

    Raises:
        PartsError: there are none.
    """
    found = held.get("model", held) if isinstance(held, Mapping) else None
    tensors = {k: v for k, v in found.items() if isinstance(v, Tensor)} if isinstance(found, Mapping) else {}
    if not tensors:
        raise PartsError(f"{path}: holds no tensors by name; expected a state dict, alone or under 'model'")
    return tensors


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    for pattern in ("model*.safetensors", "*.safetensors", "pytorch_model*.bin", "*.bin"):
        if found := sorted(path.glob(pattern)):
            return found
    raise PartsError(f"{path}: expected a weight file, or a model folder with *.safetensors or pytorch_model*.bin")


def write_folder(out: Path, tensors: Iterable[tuple[str, Tensor]], finish: Callable[[Path], None]) -> None:
    """Write a checkpoint folder in shards; `finish` adds configuration files to it. A stop leaves nothing behind.

    Raises:
        PartsError: the folder is there already and not empty.
    """
    refuse_existing(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".incoming-") as scratch:
        folder = Path(scratch) / "whole"
        folder.mkdir()
        _write_shards(folder, tensors)
        finish(folder)
        if out.is_dir():
            out.rmdir()  # it is empty
        folder.rename(out)


def refuse_existing(out: Path) -> None:
    """Raises PartsError where something would be overwritten."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PartsError(f"{out}: is there already; give another folder, or remove it")


def _write_shards(folder: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    shards: list[dict[str, str]] = []
    waiting: dict[str, Tensor] = {}
    total = size = 0

    def flush() -> None:
        name = f"model-{len(shards) + 1:05d}.safetensors"
        save_file(waiting, folder / name, metadata={"format": "pt"})
        shards.append(dict.fromkeys(waiting, name))
        waiting.clear()

    for name, tensor in tensors:
        if size and size + tensor.nbytes > SHARD_BYTES:
            flush()
            size = 0
        waiting[name] = tensor.contiguous()
        size += tensor.nbytes
        total += tensor.nbytes
    if waiting or not shards:
        flush()
    if len(shards) == 1:
        (folder / "model-00001.safetensors").rename(folder / "model.safetensors")
        return
    places = {name: file for shard in shards for name, file in shard.items()}
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}, indent=1))

"""Reads tensors, and only tensors, from weight files; writes safetensors folders, whole or not at all.

Nothing is held that need not be: files are mapped into memory, shapes are read without their tensors, and a folder is
written shard by shard.
"""

import json
import pickle
import re
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from earsight.errors import PartsError

SHARD_BYTES = 4 * 2**30
INDEX = "model.safetensors.index.json"
PICKLE = b"\x80"  # how a pickle of protocol 2 and later begins, and torch writes no other
# What the restricted unpickler says when a file wants more than tensors and plain values.
WANTS_CODE = re.compile(r"GLOBAL|unsupported (global|class)|unrecognized function|can only (build|create)", re.I)
# CLAP's files hold a training score as a number of numpy's: plain values too, and numpy has moved them since.
_SCALAR: Any = np.float64(0).__reduce__()[0]
PLAIN_NUMPY = [
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")),
]


def read_published(path: Path) -> Any:
    """What a .pth, .pt, .bin or .safetensors file holds: nested containers of tensors and plain values.

    No code in it is run. Tensors of a zip (torch 1.6 and later) stay on disk until they are used.

    Raises:
        PartsError: not there, truncated, not a weight file, or a pickle that wants to run code.
    """
    if path.is_dir():
        raise PartsError(f"{path}: is a folder; give the weight file itself")
    if not path.is_file():
        raise PartsError(f"{path}: no such file; give the published weight file")
    if path.suffix == ".safetensors":
        return dict(tensors_of(path))
    try:
        return _loaded(path)
    except PartsError:
        raise
    except pickle.UnpicklingError as error:
        if WANTS_CODE.search(str(error)):
            named = re.search(r"GLOBAL ([\w.]+)", str(error))
            raise PartsError(
                f"{path}: holds more than tensors ({named[1] if named else 'pickled code'}), which is not run; where "
                "you trust it, save its state dict as safetensors and give that file"
            ) from None
        raise PartsError(f"{path}: not a weight file, or a damaged one; download it again") from None
    except PermissionError:
        raise PartsError(f"{path}: may not be read; change its permissions") from None
    except Exception:  # what a damaged pickle or zip raises is anything
        raise PartsError(f"{path}: not a weight file, or a truncated one; download it again") from None


def _loaded(path: Path) -> Any:
    mapped = zipfile.is_zipfile(path)
    with path.open("rb") as file:
        if not mapped and file.read(1) != PICKLE:
            raise PartsError(f"{path}: not a weight file, or a truncated one; download it again")
    with warnings.catch_warnings(), torch.serialization.safe_globals(PLAIN_NUMPY):
        warnings.simplefilter("ignore")  # about TorchScript archives: refused below, in one line
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def tensors_of(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Name and tensor, one at a time, of a weight file or of a model folder (safetensors before .bin).

    Raises:
        PartsError: nothing to read there, or a damaged file.
    """
    for file in _files(path):
        if file.suffix == ".safetensors":
            with _opened(file) as opened:
                for name in opened.keys():  # noqa: SIM118  not a dict
                    yield name, opened.get_tensor(name)
        else:
            yield from state_dict(read_published(file), file).items()


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """As `tensors_of`, names and shapes alone: of safetensors only the heads of the files are read."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in _files(path):
        if file.suffix == ".safetensors":
            with _opened(file) as opened:
                shapes |= {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
        else:
            shapes |= {name: tuple(value.shape) for name, value in state_dict(read_published(file), file).items()}
    return shapes


def _opened(file: Path) -> Any:
    try:
        return safe_open(file, framework="pt")
    except (SafetensorError, OSError):
        raise PartsError(f"{file}: not a safetensors file, or a truncated one; download it again") from None


def state_dict(held: Any, path: Path) -> dict[str, Tensor]:
    """The tensors by name of what a file holds, under "model" or directly.

    Raises:
        PartsError: there are none.
    """
    found = held.get("model", held) if isinstance(held, Mapping) else None
    pairs = found.items() if isinstance(found, Mapping) else ()
    if tensors := {name: value.detach() for name, value in pairs if isinstance(name, str) and _is_tensor(value)}:
        return tensors
    raise PartsError(f"{path}: holds no tensors by name; expected a state dict, alone or under 'model'")


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided


def _files(path: Path) -> list[Path]:
    """A file, or the weight files of a folder in Transformers' order: one file, what an index names, loose shards."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise PartsError(f"{path}: no such file or folder; give a model folder as Transformers has it")
    for name, shards in (("model.safetensors", "model-*.safetensors"), ("pytorch_model.bin", "pytorch_model-*.bin")):
        if (path / name).is_file():
            return [path / name]
        if (path / f"{name}.index.json").is_file():
            return _indexed(path / f"{name}.index.json")
        if found := sorted(path.glob(shards)):
            return found
    for pattern in ("*.safetensors", "*.bin"):
        if found := sorted(path.glob(pattern)):
            return found
    raise PartsError(f"{path}: has neither *.safetensors nor pytorch_model*.bin in it; give the whole model folder")


def _indexed(index: Path) -> list[Path]:
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        files = [index.parent / Path(name).name for name in sorted(set(names))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise PartsError(f"{index}: not an index of weight files; download it again") from None
    if lacking := [file.name for file in files if not file.is_file()]:
        raise PartsError(f"{index.parent}: {lacking[0]} is not there, which {index.name} names; download it again")
    return files


def write_folder(out: Path, tensors: Iterable[tuple[str, Tensor]], finish: Callable[[Path], None]) -> None:
    """Write a checkpoint folder in shards; `finish` adds configuration files to it. A stop leaves nothing behind.

    Raises:
        PartsError: the folder is there already and not empty, or the disk does not take it.
    """
    refuse_existing(out)
    beside = next(parent for parent in out.absolute().parents if parent.exists())
    try:
        with tempfile.TemporaryDirectory(dir=beside, prefix=".incoming-") as scratch:
            folder = Path(scratch) / "whole"
            folder.mkdir()
            _write_shards(folder, tensors)
            finish(folder)
            out.parent.mkdir(parents=True, exist_ok=True)
            if out.is_dir():
                out.rmdir()  # it is empty
            folder.rename(out)
    except (OSError, SafetensorError) as error:
        raise PartsError(
            f"{out}: could not be written ({error}); nothing was kept; free space or give another folder"
        ) from error


def refuse_existing(out: Path) -> None:
    """Raises PartsError where something would be overwritten."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PartsError(f"{out}: is there already; give another folder, or remove it")


def _write_shards(folder: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """One shard at a time is held, and its tensors are let go before the next is begun."""
    shards: list[list[str]] = []
    waiting: dict[str, Tensor] = {}
    places_in_memory: set[int] = set()
    total = size = 0
    for name, tensor in tensors:
        if waiting and size + tensor.nbytes > SHARD_BYTES:
            _save(waiting, folder / _shard(len(shards)))
            shards.append(list(waiting))
            waiting.clear()
            places_in_memory.clear()
            size = 0
        own = tensor.contiguous()
        if (place := own.untyped_storage().data_ptr()) in places_in_memory:
            own = own.clone()  # safetensors takes no two names for the same memory
        places_in_memory.add(place)
        waiting[name] = own
        size += tensor.nbytes
        total += tensor.nbytes
        del tensor, own
    if not shards:
        _save(waiting, folder / "model.safetensors")
        return
    _save(waiting, folder / _shard(len(shards)))
    shards.append(list(waiting))
    places: dict[str, str] = {}
    for index, names in enumerate(shards):
        final = f"model-{index + 1:05d}-of-{len(shards):05d}.safetensors"
        (folder / _shard(index)).rename(folder / final)
        places |= dict.fromkeys(names, final)
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}, indent=1))


def _shard(index: int) -> str:
    return f"shard-{index}.safetensors"


def _save(tensors: dict[str, Tensor], file: Path) -> None:
    save_file(tensors, file, metadata={"format": "pt"})

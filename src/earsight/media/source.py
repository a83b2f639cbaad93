"""What the user gave, turned into something that can be opened: a path, bytes, an image or an array."""

import base64
import binascii
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import numpy as np

from earsight.errors import MediaError
from earsight.media import fetch
from earsight.media.limits import Limits

_LABEL_LENGTH = 100
_EXPECTED = "expected a path, an http(s) address, bytes, a data: URI, a PIL image, frames or (waveform, rate)"


@dataclass(frozen=True)
class Source:
    """One medium to decode. Exactly one of the fields after `label` is set."""

    label: str  # short enough to print
    path: str | None = None
    data: bytes | None = None
    image: Any = None  # PIL.Image.Image
    frames: np.ndarray | None = None  # (n_frames, height, width, 3) uint8
    waveform: tuple[np.ndarray, int] | None = None  # ((samples,) float, rate in Hz)

    def head(self, n_bytes: int = 64) -> bytes:
        """The first bytes of a file or of bytes, to tell what it is."""
        if self.data is not None:
            return self.data[:n_bytes]
        with open(str(self.path), "rb") as file:
            return file.read(n_bytes)

    def size(self) -> int:
        return len(self.data) if self.data is not None else os.path.getsize(str(self.path))


@contextmanager
def resolved(given: Any, limits: Limits) -> Iterator[Source]:
    """Yield a `Source` for what was given; a download lives as long as the context.

    Raises MediaError for anything that is not a medium, is missing, is a directory, is empty or is over the limits.
    """
    if isinstance(given, str) and given.lower().startswith(("http://", "https://")):
        label = shortened(given.split("?")[0].split("#")[0])
        with fetch.downloaded(given, label, limits) as path:
            yield _file(path, label)
    else:
        yield _local(given, limits)


def shortened(text: str) -> str:
    text = " ".join(text.split()) or repr(text)
    return text if len(text) <= _LABEL_LENGTH else text[: _LABEL_LENGTH // 2] + "..." + text[-_LABEL_LENGTH // 2 :]


def _local(given: Any, limits: Limits) -> Source:
    if isinstance(given, (bytes, bytearray, memoryview)):
        return _bytes(bytes(given), f"{len(given):,} bytes", limits)
    if isinstance(given, os.PathLike):
        return _file(os.fspath(given))
    if isinstance(given, str):
        return _text(given, limits)
    if isinstance(given, np.ndarray):
        return _frames(given)
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], np.ndarray):
        return _waveform(*given)
    if _is_image(given):
        return Source(label=f"image of {given.width}x{given.height}", image=given)
    raise MediaError(f"a {type(given).__name__} is not a medium; {_EXPECTED}.")


def _text(given: str, limits: Limits) -> Source:
    lower = given[:16].lower()
    if lower.startswith("data:"):
        return _data_uri(given, limits)
    if lower.startswith("file:"):
        parts = urlsplit(given)
        if parts.netloc not in ("", "localhost"):
            raise MediaError(f"{shortened(given)}: a file: URI of another machine; give file:///path or a plain path.")
        return _file(unquote(parts.path), shortened(given))
    scheme = given.split("://")[0] if "://" in given[:16] else ""
    if scheme and not Path(given).exists():
        raise MediaError(f"{shortened(given)}: {scheme}: addresses are not read; give an http(s) address or a path.")
    return _file(given)


def _data_uri(given: str, limits: Limits) -> Source:
    header, comma, body = given.partition(",")
    kind = header[5:].split(";")[0] or "text/plain"
    if not comma:
        raise MediaError("data: URI without a comma; expected data:video/mp4;base64,AAAA...")
    if len(body) * 3 // 4 > limits.max_bytes:
        raise MediaError(f"data: URI over the limit of {limits.max_bytes:,} bytes; give a path or raise max_bytes.")
    try:
        data = base64.b64decode(body, validate=True) if header.lower().endswith(";base64") else unquote_to_bytes(body)
    except (binascii.Error, ValueError) as error:
        raise MediaError("data: URI whose body is not base64; expected data:video/mp4;base64,AAAA...") from error
    return _bytes(data, f"data: URI ({shortened(kind)}, {len(data):,} bytes)", limits)


def _bytes(data: bytes, label: str, limits: Limits) -> Source:
    if len(data) > limits.max_bytes:
        raise MediaError(f"{label}: over the limit of {limits.max_bytes:,} bytes; give a path or raise max_bytes.")
    if not data:
        raise MediaError(f"{label}: empty (0 bytes); give a file with picture or sound in it.")
    return Source(label=label, data=data)


def _file(path: str | bytes, label: str = "") -> Source:
    path = os.fsdecode(path)
    label = label or shortened(path)
    if not path or "\0" in path:
        raise MediaError(f"{path!r}: not a path; {_EXPECTED}.")
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise MediaError(f"{label}: no such file; check the path.") from error
    except OSError as error:
        raise MediaError(f"{label}: cannot be read ({error.strerror}); check the path and its permissions.") from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{label}: a directory; give one media file in it.")
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{label}: a pipe, socket or device; give a regular file or its bytes.")
    if status.st_size == 0:
        raise MediaError(f"{label}: empty (0 bytes); give a file with picture or sound in it.")
    return Source(label=label, path=os.path.abspath(path))


def _frames(array: np.ndarray) -> Source:
    shape = "x".join(map(str, array.shape))
    if array.ndim == 1:
        raise MediaError(f"array of {shape}: a waveform without its rate; give (waveform, rate_hz).")
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or array.shape[-1] != 3 or 0 in array.shape:
        raise MediaError(
            f"array of {shape} {array.dtype}: not RGB frames; expected uint8 (n_frames, height, width, 3) or "
            f"(height, width, 3)."
        )
    frames = array if array.ndim == 4 else array[None]
    return Source(label=f"array of {len(frames)} frame{'s' * (len(frames) != 1)}", frames=frames)


def _waveform(samples: np.ndarray, rate: Any) -> Source:
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.integer, np.floating)) or not 1 <= rate < 1e7:
        raise MediaError(f"(waveform, {rate!r}): not a sample rate; give (waveform, rate_hz), as (waveform, 16000).")
    if samples.ndim != 1 or samples.dtype.kind not in "fiu" or samples.size == 0:
        shape = "x".join(map(str, samples.shape))
        raise MediaError(f"waveform of {shape} {samples.dtype}: expected one channel, (samples,) float in [-1, 1].")
    if samples.dtype.kind != "f":
        info = np.iinfo(samples.dtype)
        middle = 0 if info.min else (info.max + 1) / 2  # unsigned samples are centred on half their range
        samples = (samples.astype(np.float64) - middle) / (info.max + 1 - middle)
    if not np.isfinite(samples).all():
        raise MediaError("waveform with infinite or undefined samples; give finite floats in [-1, 1].")
    return Source(label=f"waveform of {samples.size / rate:.1f} s", waveform=(samples.astype(np.float32), int(rate)))


def _is_image(given: Any) -> bool:
    from PIL import Image

    return isinstance(given, Image.Image)

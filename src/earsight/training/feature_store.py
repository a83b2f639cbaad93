"""Frozen encoders are computed once: features of media on disk, shared by epochs, runs and evaluation.

A medium's key holds all that decides its features: its content, span and senses, how it is sampled, the encoders'
settings, their weights and numbers. Values are stored as the encoders gave them, in safetensors shards; with `half`
in batches and stored in half precision: faster to make and half as large, and a few per cent off where the encoders
compute in bfloat16, which they do where a processor gains by it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from earsight.errors import EarsightError
from earsight.model.conversation import Medium
from earsight.model.media_inputs import Laid, count_soft_tokens, lay_out, media_tensors
from earsight.model.precision import native_dtype
from earsight.model.processor import EarsightProcessor
from earsight.types import Clip

SHARD_BYTES = 256 * 2**20
SHARD_MEDIA = 1000  # a stop loses no more of them
DECODING_THREADS = 2
HALF_BATCH = 16  # media encoded together
MOST_BYTES_A_MEDIUM = 64 * 2**20  # reading more than that is slower than most encoders
T = TypeVar("T")
Features = dict[str, tuple[Tensor, Tensor]]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Stored:
    """A medium as it was encoded, without its frames and sound."""

    laid: Laid
    features: Features  # {stream: (values (time, ..., dim), mask (time,))}


class FeatureStore:
    """Features under a folder; several processes may write and read, each other things at a time."""

    def __init__(self, folder: Path, model: Any, processor: EarsightProcessor, half: bool = False) -> None:
        self.half, self.batch_size = half, HALF_BATCH if half else 1
        settings = {
            "encoders": processor.values["encoders"],
            "sampling": asdict(processor.sampling()),
            "pieces": (processor.description.sound_pieces, processor.description.least_sound_seconds),
            "weights": weights_hash(model.encoders),
            "dtype": "half" if half else str(next(model.encoders.parameters()).dtype),
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]
        self.folder, self.processor = folder / digest, processor
        self.folder.mkdir(parents=True, exist_ok=True)
        self.places: dict[str, dict[str, Any]] = {}
        self._open: dict[str, Any] = {}
        self.look_again()

    def look_again(self) -> None:
        """Find what other processes have stored by now."""
        for index in sorted(self.folder.glob("*.json")):
            self.places |= json.loads(index.read_text(encoding="utf-8"))

    def key(self, medium: Medium) -> str:
        """Which features a medium has. Raises EarsightError where its file is not there."""
        ignored = medium.sound is not None and medium.audio == "ignore"  # which one is then all the same
        sound = "ignored" if ignored else "" if medium.sound is None else content_hash(medium.sound)
        parts = [content_hash(medium.source), sound]
        parts += [str(one) for one in (medium.kind, medium.audio, medium.senses)]
        parts += [str(medium.start_seconds), str(medium.end_seconds)]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()[:24]

    def __contains__(self, key: str) -> bool:
        return key in self.places

    def get(self, key: str) -> Stored:
        """What was stored of a medium."""
        place = self.places[key]
        if place["shard"] not in self._open:
            self._open[place["shard"]] = safe_open(self.folder / place["shard"], framework="pt")
        shard = self._open[place["shard"]]
        features = {
            stream: (shard.get_tensor(f"{key}/{stream}"), shard.get_tensor(f"{key}/{stream}/mask"))
            for stream in place["streams"]
        }
        if self.half:
            features = {stream: (values.float(), mask) for stream, (values, mask) in features.items()}
        # How many soft tokens they become is the connector's to say, and connectors share what encoders said.
        steps = {name: int(mask.nonzero().max()) + 1 if bool(mask.any()) else 0 for name, (_, mask) in features.items()}
        count = count_soft_tokens(self.processor.description, place["milliseconds"], steps)
        return Stored(_laid(place, count), features)

    def fill(self, media: Iterable[Medium], model: Any, report: Progress | None = None) -> dict[str, str]:
        """Encode what is not stored yet; returns why some media could not be, by key."""
        todo = {key: medium for medium in media if (key := self._key_or_none(medium)) and key not in self.places}
        refused: dict[str, str] = {}
        tensors: dict[str, Tensor] = {}
        places: dict[str, dict[str, Any]] = {}
        size = done = 0
        for some in batched(self._laid_ahead(todo), self.batch_size):
            good = [(key, laid) for key, laid in some if isinstance(laid, Laid)]
            refused |= {key: laid for key, laid in some if isinstance(laid, str)}
            for (key, laid), features in zip(good, self._encoded([one for _, one in good], model), strict=True):
                for stream, (values, mask) in features.items():
                    tensors |= {f"{key}/{stream}": values.contiguous(), f"{key}/{stream}/mask": mask.contiguous()}
                    size += values.nbytes
                places[key] = _place(laid, list(features))
            if size > SHARD_BYTES or len(places) >= SHARD_MEDIA:
                self._write(tensors, places)
                tensors, places, size = {}, {}, 0
            done += len(some)
            if report:
                report("encoding", done, len(todo))
        if places:  # a medium that is neither seen nor heard has no tensors
            self._write(tensors, places)
        return refused

    def put(self, made: Iterable[tuple[Medium, Laid, Features]]) -> None:
        """Features that come from no medium, such as a class's prototype, under a medium's name."""
        tensors: dict[str, Tensor] = {}
        places: dict[str, dict[str, Any]] = {}
        for medium, laid, features in made:
            key = self.key(medium)
            for stream, (values, mask) in features.items():
                tensors |= {f"{key}/{stream}": self._kept(values), f"{key}/{stream}/mask": mask.clone()}
            places[key] = _place(laid, list(features))
        if any(key not in self.places for key in places):
            self._write(tensors, places)

    def _laid_ahead(self, todo: Mapping[str, Medium]) -> Iterator[tuple[str, Laid | str]]:
        """Media decoded and laid out in order, some ahead of the encoders, in threads; a reason where that fails."""

        def laid(medium: Medium) -> Laid | str:
            try:
                return lay_out(self.processor.clip(medium), self.processor.description)
            except EarsightError as error:
                return str(error)

        with ThreadPoolExecutor(DECODING_THREADS) as pool:
            for some in batched(todo.items(), 4 * self.batch_size):
                yield from zip([key for key, _ in some], pool.map(laid, [medium for _, medium in some]), strict=True)

    def _key_or_none(self, medium: Medium) -> str | None:
        try:
            return self.key(medium)
        except EarsightError:
            return None  # the run will say so of the sample

    def _encoded(self, laid: Sequence[Laid], model: Any) -> list[Features]:
        """What the encoders say of each, cut to its own length; a stream in which it has nothing is left out."""
        if not laid:
            return []
        media = media_tensors(laid, self.processor.description)
        moved = {name: value.to(model.device) for name, value in media.items()}
        fast = self.half and native_dtype() == torch.bfloat16
        with torch.autocast(torch.device(model.device).type, torch.bfloat16, enabled=fast):
            encoded = model.encode(moved)
        found: list[Features] = [{} for _ in laid]
        for stream, features in encoded.items():
            for row, mask in enumerate(features.mask):
                steps = int(mask.nonzero().max()) + 1 if bool(mask.any()) else 0
                if steps or len(laid) == 1:
                    kept = slice(0, steps if len(laid) > 1 else None)
                    found[row][stream] = (self._kept(features.values[row, kept]), mask[kept].cpu().clone())
        return found

    def _kept(self, values: Tensor) -> Tensor:
        return (values.half() if self.half else values).cpu().clone(memory_format=torch.contiguous_format)

    def _write(self, tensors: dict[str, Tensor], places: dict[str, dict[str, Any]]) -> None:
        name = hashlib.sha256("".join(sorted(places)).encode()).hexdigest()[:12]
        shard = f"{name}.safetensors"
        for place in places.values():
            place["shard"] = shard
        partial = self.folder / f"{shard}.{os.getpid()}.partial"
        save_file(tensors, partial)
        partial.replace(self.folder / shard)
        listing = self.folder / f"{name}.json.partial"
        listing.write_text(json.dumps(places), encoding="utf-8")
        listing.replace(self.folder / f"{name}.json")  # last: what is listed is there
        self.places |= places


def batched(some: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most so many (itertools has it from Python 3.12)."""
    waiting = iter(some)
    while batch := list(islice(waiting, size)):
        yield batch


def worth_it(system: Any, uses: int, n_records: int, bytes_a_medium: int) -> bool:
    """Whether stored features are faster than encoding anew: records are met again, and are not too large to read.

    A connector that runs the frozen towers itself (Dolphin) would read their pixels: never faster than decoding.
    """
    runs_towers = any(stream in system.streams for stream in ("pixels", "mel"))
    return uses >= 2 * n_records and bytes_a_medium <= MOST_BYTES_A_MEDIUM and not runs_towers


def weights_hash(module: torch.nn.Module) -> str:
    """A digest of a module's weights."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def content_hash(source: Any) -> str:
    """A digest of a medium's content; a file's is remembered by its size and time.

    Raises:
        EarsightError: a path that is not there.
    """
    if isinstance(source, str) and "://" not in source and not source.startswith("data:"):
        try:
            about = os.stat(source)
        except OSError as error:
            raise EarsightError(f"{source}: no such file") from error
        return _file_hash(source, about.st_size, about.st_mtime_ns)
    if isinstance(source, Clip):
        digest = hashlib.sha256(source.frames.tobytes() + source.waveform.tobytes())
        digest.update(f"{source.picture}{source.sound}{source.waveform_start_seconds}".encode())
        return digest.hexdigest()
    return hashlib.sha256(repr(source).encode()).hexdigest()


@lru_cache(maxsize=100_000)
def _file_hash(path: str, size: int, time: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(laid: Laid, streams: list[str]) -> dict[str, Any]:
    clip = laid.clip
    return {
        "streams": streams,
        "milliseconds": laid.milliseconds,
        "n_soft_tokens": laid.n_soft_tokens,  # of the connector then: good enough to group samples by length
        "picture": clip.picture,
        "sound": clip.sound,
        "duration_seconds": clip.duration_seconds,
        "source": clip.source,
    }


def _laid(place: dict[str, Any], n_soft_tokens: int) -> Laid:
    empty = Clip(
        frames=np.zeros((0, 1, 1, 3), dtype=np.uint8),
        frame_times=np.zeros(0),
        waveform=np.zeros(0, dtype=np.float32),
        waveform_start_seconds=0.0,
        sample_rate_hz=16000,
        duration_seconds=place["duration_seconds"],
        picture=place["picture"],
        sound=place["sound"],
        source=place["source"],
    )
    return Laid(empty, place["milliseconds"], 0, (), (), {}, n_soft_tokens)

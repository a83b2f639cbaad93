"""Writes the corpus' files: each labelled file read, brought to its normal form, compared with the others, written.

What cannot be read is counted with its reason and left out; more than a little of that stops the build.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from earsight.checkpoints.parts import Progress
from earsight.data.starter.containers import DamagedFileError
from earsight.data.starter.label_tables import Label, Sense, check_disjoint, item_id, split_backgrounds
from earsight.data.starter.licences import author_of, tier_of
from earsight.data.starter.normal_forms import (
    SAMPLE_RATE_HZ,
    normal_picture,
    normal_sound,
    picture_print,
    same_picture,
    sound_print,
)
from earsight.data.starter.packages import SourceFiles
from earsight.data.starter.splitting import SALT
from earsight.errors import EarsightError

FOLDERS: dict[Sense, str] = {"picture": "pictures", "sound": "sounds"}
ENDINGS: dict[Sense, str] = {"picture": "png", "sound": "wav"}
BACKGROUNDS_LICENCE = "CC BY-SA 3.0"
MOST_DAMAGED = 0.02  # of all files; more than that is no accident of single files


class Writer:
    """One build: what was kept, what was left out, and why."""

    def __init__(self, source_files: SourceFiles, folder: Path, n_files: int, progress: Progress) -> None:
        self.source_files, self.folder, self.n_files, self.progress = source_files, folder, n_files, progress
        self.kept: dict[Sense, list[tuple[str, Label]]] = {"picture": [], "sound": []}
        self.prints: dict[str, str] = {}  # {item: hash of what it looks or sounds like}
        self.duplicates: list[tuple[str, str]] = []
        self.damaged: list[dict[str, str]] = []

    def write_pictures(self, labels: list[Label]) -> None:
        """Write the pictures of the labels, but for near-identical ones."""
        seen: list[tuple[np.ndarray, Label]] = []

        def read(label: Label) -> Any:
            file, _, part = label.file.partition("#")
            blob = self.source_files.read(label.source, file)
            return normal_picture(blob, file, part, white_paper=label.source == "pysiogame")

        for label, picture, path in self._each("picture", labels, read):
            mine = picture_print(picture)
            twin = next((other for shape, other in seen if same_picture(shape, mine)), None)
            if twin:
                self.duplicates.append((label.place, twin.place))
                continue
            seen.append((mine, label))
            picture.save(path)
            self._keep("picture", label, hashlib.sha256(mine.tobytes()).hexdigest())

    def write_sounds(self, labels: list[Label]) -> None:
        """Write the sounds of the labels, but for those of equal course and length."""
        first_with: dict[str, Label] = {}

        def read(label: Label) -> np.ndarray:
            return normal_sound(self.source_files.read(label.source, label.file), label.file)

        for label, waveform, path in self._each("sound", labels, read):
            mine = sound_print(waveform)
            if mine in first_with:
                self.duplicates.append((label.place, first_with[mine].place))
                continue
            first_with[mine] = label
            write_sound(path, waveform)
            self._keep("sound", label, mine)

    def write_backgrounds(self, source: str, below: str) -> list[dict[str, str]]:
        """Write the photographs below a folder of a package, as entries of the index."""
        photos = [name for name in self.source_files.list_files(source, below) if name.endswith(".jpg")]
        entries, looks = [], []
        for at, (name, split) in enumerate(split_backgrounds(photos, SALT)):
            self.progress("backgrounds", at, len(photos))
            try:
                picture = normal_picture(self.source_files.read(source, name), name)
            except DamagedFileError as error:
                self._count_damaged(source, name, error)
                continue
            path = f"backgrounds/{split}-{at:02d}.png"
            picture.save(self.folder / path)
            looks.append((split, path, hashlib.sha256(picture.tobytes()).hexdigest()))
            whose = terms(source, name, BACKGROUNDS_LICENCE)
            entries.append({"source": source, "file": name, "path": path, "split": split, **whose})
        check_disjoint(looks)
        return entries

    def _each(
        self, sense: Sense, labels: list[Label], read: Callable[[Label], Any]
    ) -> Iterator[tuple[Label, Any, Path]]:
        """Every label whose file can be read: itself, its normal form, the path to write that to."""
        for at, label in enumerate(labels):
            self.progress(FOLDERS[sense], at, len(labels))
            try:
                normal = read(label)
            except DamagedFileError as error:
                self._count_damaged(label.source, label.file, error)
                continue
            yield label, normal, self.folder / FOLDERS[sense] / f"{item_id(sense, label)}.{ENDINGS[sense]}"

    def _keep(self, sense: Sense, label: Label, content: str) -> None:
        name = item_id(sense, label)
        self.kept[sense].append((name, label))
        self.prints[name] = content

    def _count_damaged(self, source: str, file: str, error: DamagedFileError) -> None:
        self.damaged.append({"source": source, "file": file, "reason": str(error)})
        if len(self.damaged) > MOST_DAMAGED * self.n_files:
            first = self.damaged[0]
            raise EarsightError(
                f"{len(self.damaged)} of {self.n_files:,} files are damaged, more than {MOST_DAMAGED:.0%} "
                f"(first {first['source']}: {first['reason']}); delete the unpacked packages and build again"
            )

    def entries(self, sense: Sense, sides: dict[str, Any]) -> list[dict[str, str]]:
        """The items of one sense for the index."""
        return [
            {
                **vars(label),
                **terms(label.source, label.file, label.licence),
                "id": name,
                "path": f"{FOLDERS[sense]}/{name}.{ENDINGS[sense]}",
                "split": sides[name],
            }
            for name, label in self.kept[sense]
        ]


def terms(source: str, file: str, licence: str) -> dict[str, str]:
    """On what terms a file may be passed on, and whose it is."""
    author = author_of(source, file)
    return {"licence": licence, "tier": tier_of(licence), "author": author.name, "address": author.address}


def write_sound(path: Path, waveform: np.ndarray) -> None:
    """(samples,) float32 at 16 kHz -> a WAV file whose bytes do not tell when it was written."""
    soundfile.write(path, waveform, SAMPLE_RATE_HZ, subtype="FLOAT")
    blob = bytearray(path.read_bytes())
    clock = blob.index(b"PEAK") + 12  # libsndfile notes the time of writing, which would make every build differ
    blob[clock : clock + 4] = bytes(4)
    path.write_bytes(blob)


def content_hash(folder: Path, index: dict[str, Any]) -> str:
    """SHA-256 over the corpus: each file's path and bytes in sorted order, then the index but for this hash."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "index.json"):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    told = {key: value for key, value in index.items() if key != "content_hash"}
    digest.update(json.dumps(told, sort_keys=True).encode())
    return digest.hexdigest()

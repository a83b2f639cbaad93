"""The pinned Debian packages that the starter corpus is made of: fetched, checked, unpacked, read.

    apt-get download | a folder of .deb files  ->  SHA-256 checked  ->  unpacked in the cache  ->  bytes of a file

Nothing is installed, and nothing in a package is executed but the two speech synthesizers (`voices.py`).
"""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from earsight.data.starter.containers import (
    UNREADABLE,
    DamagedFileError,
    read_ar,
    read_cat,
    read_group,
    read_patch,
    read_rcc,
)
from earsight.errors import EarsightError

Use = Literal["media", "voices", "sentences", "people"]


@dataclass(frozen=True)
class Package:
    """One line of `labels/packages.tsv`."""

    name: str
    version: str
    architecture: str
    use: Use
    root: str  # where its media lie; files in the label tables are named from here
    sha256: str  # of the .deb file
    packed_mb: int = 0
    unpacked_mb: int = 0  # as it lies on disk
    licence: str = ""  # "per file" where the label tables tell

    @property
    def deb(self) -> str:
        return f"{self.name}_{self.version}_{self.architecture}.deb"


def _read_packages() -> dict[str, Package]:
    lines = (files("earsight.data.starter") / "labels" / "packages.tsv").read_text(encoding="utf-8").splitlines()[1:]
    found = {}
    for line in lines:
        name, version, architecture, use, root, sha256, packed, unpacked, licence = line.split("\t")
        sizes = int(packed), int(unpacked)
        found[name] = Package(name, version, architecture, use, root, sha256, *sizes, licence)  # type: ignore[arg-type]
    return found


PACKAGES = _read_packages()


def of_use(*uses: Use) -> list[Package]:
    """The packages that serve one of these purposes."""
    return [package for package in PACKAGES.values() if package.use in uses]


def unpacked_folder(package: Package, cache_dir: Path) -> Path:
    """Where a package lies unpacked, once it does."""
    return cache_dir / "packages" / f"{package.name}-{package.sha256[:12]}"


def check_room(packages: Sequence[Package], cache_dir: Path, more_mb: int, downloading: bool) -> None:
    """Make sure that the disk has room for what is still to be unpacked and for `more_mb` beside it.

    Raises:
        EarsightError: it has not.
    """
    missing = [package for package in packages if not unpacked_folder(package, cache_dir).is_dir()]
    unpacked = sum(package.unpacked_mb for package in missing)
    packed = max((package.packed_mb for package in missing), default=0) if downloading else 0  # one at a time
    there = cache_dir
    while not there.exists():
        there = there.parent
    free_mb, needed_mb = shutil.disk_usage(there).free // 10**6, unpacked + packed + more_mb
    if free_mb < needed_mb:
        raise EarsightError(
            f"{cache_dir}: {free_mb:,} MB are free and {needed_mb:,} MB are needed ({unpacked:,} for packages, "
            f"{packed} while fetching, {more_mb} for the corpus); make room, or build elsewhere with --cache DIR"
        )


def packages_folder() -> Path | None:
    """Where the packages lie, if EARSIGHT_CORPUS_FROM names a folder with them; None: they are downloaded."""
    named = os.environ.get("EARSIGHT_CORPUS_FROM")
    return Path(named) if named else None


def unpack(package: Package, cache_dir: Path, source_dir: Path | None = None) -> Path:
    """Make sure the package lies unpacked in the cache; the folder its media lie in.

    Args:
        source_dir: a folder holding the .deb file; None downloads it with apt-get.

    Raises:
        EarsightError: the file cannot be had, or is not the pinned one.
    """
    folder = unpacked_folder(package, cache_dir)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="incoming-") as scratch:
            deb = _find(package, source_dir) if source_dir else _download(package, Path(scratch))
            found = hashlib.sha256(deb.read_bytes()).hexdigest()
            if found != package.sha256:
                raise EarsightError(
                    f"{deb} is not the pinned {package.name} {package.version}: its SHA-256 is {found}, "
                    f"expected {package.sha256}; get exactly that version"
                )
            _extract(deb, Path(scratch) / "tree")
            (Path(scratch) / "tree").rename(folder)
    return folder / package.root


def _find(package: Package, source_dir: Path) -> Path:
    if not source_dir.is_dir():
        raise EarsightError(f"{source_dir}: no such folder; give the one that the .deb files are in")
    fits = sorted(source_dir.glob(f"{package.name}_*.deb"))
    exact = [path for path in fits if path.name.replace("%3a", ":") == package.deb]
    if not exact:
        seen = f" (found {fits[0].name})" if fits else ""
        raise EarsightError(f"{source_dir} holds no {package.deb}{seen}; put it there, or download without --from")
    return exact[0]


def _download(package: Package, folder: Path) -> Path:
    wanted = f"{package.name}={package.version}"
    way_out = f"fetch {package.deb} from a Debian 12 mirror or snapshot.debian.org and pass its folder with --from"
    if shutil.which("apt-get") is None:
        raise EarsightError(f"{wanted} cannot be downloaded: there is no apt-get here; {way_out}")
    asked = subprocess.run(["apt-get", "download", wanted], cwd=folder, capture_output=True, text=True, check=False)
    debs = list(folder.glob("*.deb"))
    if asked.returncode or not debs:
        why = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EarsightError(f"{wanted} cannot be downloaded ({why}); {way_out}")
    return debs[0]


def _extract(deb: Path, folder: Path) -> None:
    folder.mkdir()
    if shutil.which("dpkg-deb"):
        asked = subprocess.run(["dpkg-deb", "-x", str(deb), str(folder)], capture_output=True, text=True, check=False)
        if asked.returncode:
            why = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise EarsightError(f"{deb.name} cannot be unpacked ({why})")
        return
    members = read_ar(deb.read_bytes())
    data = next((name for name in members if name.startswith("data.tar")), None)
    if data is None or data.endswith(".zst"):
        raise EarsightError(f"{deb.name} cannot be unpacked without dpkg-deb; install dpkg")
    with tarfile.open(fileobj=io.BytesIO(members[data])) as archive:
        archive.extractall(folder, filter="data")  # refuses paths that lead out of the folder


class SourceFiles:
    """Bytes of the files that the label tables name.

    `folder/picture.png` is a file; `activity.rcc!folder/picture.webp` lies inside a Qt resource or an OpenClonk group;
    `opensfx.cat:7` is the eighth sound of a .cat file, `042_Cello.pat:0` the first sample of an instrument's patch.
    """

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self._roots = roots  # {package: the folder its media lie in}
        self._read_container = cache(self._read_container_now)

    def read(self, source: str, file: str) -> bytes:
        """The bytes of one file.

        Raises:
            DamagedFileError: the package does not hold it, or what it lies in cannot be read.
        """
        root = self._roots[source]
        if "!" in file:
            container, member = file.split("!", 1)
        elif ".cat:" in file or ".pat:" in file:
            container, member = file.split(":", 1)
        else:
            container, member = file, ""
        if not (root / container).is_file():
            raise DamagedFileError(f"{source} holds no {container}")
        if not member:
            return (root / container).read_bytes()
        try:
            members = self._read_container(root / container)
        except UNREADABLE as error:
            raise DamagedFileError(f"{container} cannot be read ({error})") from error
        if member not in members:
            raise DamagedFileError(f"{container} holds no {member}")
        return members[member]

    def list_files(self, source: str, folder: str) -> list[str]:
        """Names of the files below a folder of a package, sorted."""
        root = self._roots[source]
        return sorted(path.relative_to(root).as_posix() for path in (root / folder).rglob("*") if path.is_file())

    @staticmethod
    def _read_container_now(path: Path) -> dict[str, bytes]:
        if path.suffix == ".cat":
            return {str(index): wave for index, (_, wave) in enumerate(read_cat(path.read_bytes()))}
        if path.suffix == ".pat":
            return {str(index): sample for index, sample in enumerate(read_patch(path.read_bytes()))}
        if path.suffix == ".ocg":
            return read_group(path.read_bytes())
        # Every file of an activity lies below gcompris/src/activities/NAME/resource.
        return {name.partition("/resource/")[2]: blob for name, blob in read_rcc(path.read_bytes()).items()}

"""The pinned Debian packages whose pictures and sounds the starter corpus is made of: fetched, checked, unpacked, read.

    apt-get download | a folder of .deb files  ->  SHA-256 checked  ->  unpacked in the cache  ->  bytes of a file

Nothing is installed and nothing in a package is executed.
"""

import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from earsight.data.containers import read_ar, read_cat, read_group, read_patch, read_rcc
from earsight.errors import EarsightError


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    sha256: str  # of the .deb file
    root: str  # where its media lie; files in the label tables are named from here

    @property
    def deb(self) -> str:
        return f"{self.name}_{self.version}_all.deb"


PACKAGES = {
    package.name: package
    for package in (
        Package(
            "tuxpaint-stamps-default",
            "2022.06.04-1",
            "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
            "usr/share/tuxpaint/stamps",
        ),
        Package(
            "gcompris-qt-data",
            "3.1-2",
            "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
            "usr/share/gcompris-qt/rcc",
        ),
        Package(
            "pysiogame",
            "4.20.01-1",
            "6b22766dfd8ef3a046c2665fe2598ac8a1ecee3d331bda38accf53de65bc59bf",
            "usr/share/games/pysiogame/res/images",
        ),
        Package(
            "scratch",
            "1.4.0.6~dfsg1-6.1",
            "36c582eb93110f64f06c4e685c41e933ccba2fa68db12f79b10bfe840b21fc10",
            "usr/share/scratch/Media",
        ),
        Package(
            "openttd-opensfx",
            "1.0.3-2",
            "2898b4677a3caccc4abc08fb4cf83319047b5a04729291deb5c77a8cd713c006",
            "usr/share/games/openttd/baseset/opensfx",
        ),
        Package(
            "sonic-pi-samples",
            "3.2.2~repack-8",
            "25f2312d2fae005e6ad0f4726b8ed3084e776006a5a132083506e960224ac79d",
            "usr/share/sonic-pi/samples",
        ),
        Package(
            "asterisk-core-sounds-en-wav",
            "1.6.1-1",
            "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d",
            "usr/share/asterisk/sounds/en_US_f_Allison",
        ),
        Package(
            "scorched3d-data",
            "44+dfsg-8",
            "b0be0a6d561966a62b1f135e0e6f5681c85f12e34ecad5777cb1af9fbcb7f1da",
            "usr/share/games/scorched3d/data/globalmods",
        ),
        Package(
            "freepats",
            "20060219-4",
            "1282628c7ec015f0d39a8b1ee58a2d942220bbad38173d005bbfbaaf36e1d6f1",
            "usr/share/midi/freepats",
        ),
        Package(
            "openclonk-data",
            "8.1-3",
            "1505314b47196c5052caf75e870ea2cf36bdb4e1d0c7e3f133da93815b7e642f",
            "usr/share/games/openclonk",
        ),
        Package(
            "wesnoth-1.16-data",
            "1:1.16.9-1",
            "1012b964bd412a6770685e3324ae3b61e176caff7846192d1ee63d55cd621e26",
            "usr/share/games/wesnoth/1.16/data/core/sounds",
        ),
        Package(
            "searchandrescue-data",
            "1.3.0-1.1",
            "0036c09a92a90a2ce4ac3dde026bb90cc306cd1964f24749c0229926ff36d1d3",
            "usr/share/games/searchandrescue/sounds",
        ),
    )
}


def unpack(package: Package, cache_dir: Path, source_dir: Path | None = None) -> Path:
    """Make sure the package lies unpacked in the cache; the folder its media lie in.

    Args:
        source_dir: a folder holding the .deb file; None downloads it with apt-get.

    Raises:
        EarsightError: the file cannot be had, or is not the pinned one.
    """
    folder = cache_dir / "packages" / f"{package.name}-{package.sha256[:12]}"
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
        subprocess.run(["dpkg-deb", "-x", str(deb), str(folder)], check=True, capture_output=True)
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

    def __init__(self, cache_dir: Path, source_dir: Path | None = None) -> None:
        self._roots = {name: unpack(package, cache_dir, source_dir) for name, package in PACKAGES.items()}
        self._read_container = cache(self._read_container_now)

    def read(self, source: str, file: str) -> bytes:
        """The bytes of one file.

        Raises:
            EarsightError: the label tables name a file its package does not hold.
        """
        root = self._roots[source]
        if "!" in file:
            container, member = file.split("!", 1)
        elif ".cat:" in file or ".pat:" in file:
            container, member = file.split(":", 1)
        else:
            container, member = file, ""
        if not (root / container).is_file():
            raise EarsightError(f"{source} holds no {container}; the label tables and the pinned packages do not fit")
        if not member:
            return (root / container).read_bytes()
        members = self._read_container(root / container)
        if member not in members:
            raise EarsightError(f"{source}: {container} holds no {member}; the label tables and the pins do not fit")
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

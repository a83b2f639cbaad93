"""Debian packages of a few generated files, and the tables that name them."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image, ImageDraw

from earsight.data.starter import corpus, packages, report
from earsight.data.starter.packages import Package


def ar(members: dict[str, bytes]) -> bytes:
    blob = b"!<arch>\n"
    for name, data in members.items():
        blob += (
            f"{name + '/':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
            + data
            + b"\n" * (len(data) % 2)
        )
    return blob


def deb(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return ar({"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": packed.getvalue()})


def wav(waveform: np.ndarray, rate: int = 16000) -> bytes:
    packed = io.BytesIO()
    soundfile.write(packed, waveform, rate, format="WAV", subtype="PCM_16")
    return packed.getvalue()


def disc(colour: tuple[int, int, int], left: int = 20) -> Image.Image:
    picture = Image.new("RGBA", (120, 100), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((left, 10, left + 60, 90), fill=(*colour, 255))
    return picture


def publish(
    monkeypatch: pytest.MonkeyPatch, folder: Path, files: dict[str, dict[str, bytes]], **use: str
) -> dict[str, Package]:
    """Write .deb files to a folder and pin them instead of the real ones; as where there is no dpkg-deb and no apt."""
    made = {}
    for name, some in files.items():
        blob = deb({f"media/{path}": content for path, content in some.items()})
        made[name] = Package(
            name, "1-1", "all", use.get(name, "media"), "media", hashlib.sha256(blob).hexdigest(), 1, 2
        )
        (folder / made[name].deb).write_bytes(blob)
    for module in (packages, corpus, report):
        monkeypatch.setattr(module, "PACKAGES", made)
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    return made


def patchwork(seed: int) -> bytes:
    """A PNG picture that looks like no other."""
    colours = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    packed = io.BytesIO()
    Image.fromarray(colours).resize((32, 32), Image.Resampling.NEAREST).save(packed, "PNG")
    return packed.getvalue()


def noise(seed: int) -> bytes:
    """A WAV sound that is like no other."""
    draw = np.random.default_rng(seed)
    loudness = np.repeat(draw.uniform(0.05, 0.9, 16), 100)
    return wav(draw.uniform(-1, 1, 1600) * loudness)

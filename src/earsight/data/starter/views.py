"""Views of corpus items: a picture alone on a background, a sound alone in padding and noise.

Training draws a new view every time; validation and test have one view an item, the same on every machine.
Every background photograph belongs to one side of the split, like the items.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from PIL import Image, ImageEnhance, ImageFilter

from earsight.data.starter.corpus import Item
from earsight.data.starter.normal_forms import SAMPLE_RATE_HZ

SIDE = 260
LARGEST_ENLARGEMENT = 2.0  # of small cut-outs: more would show pixels
PLAIN = (238, 238, 234)  # behind cut-outs in validation and test
LARGEST_SQUEEZE = 1.4  # of a photograph's longer side
CUT_OUT_TRANSPARENT = 0.02  # a picture with a larger transparent share has no background of its own
LONGEST_SECONDS = 6.0
AUDIBLE = 0.05  # of the peak: where a sound is taken to begin


def render_picture(item: Item, rng: np.random.Generator, *, split: str) -> np.ndarray:
    """One view of a picture: (260, 260, 3) uint8.

    Args:
        split: "train" draws scale, place, background, colour and crop from rng; the others use none of it.
    """
    picture = _picture(item.path)
    cut_out = _is_cut_out(picture)
    if split != "train":
        if not cut_out:
            return np.asarray(_crop(picture.convert("RGB"), 1.0, 0.5, 0.5))
        return np.asarray(_place(picture, Image.new("RGB", (SIDE, SIDE), PLAIN), 0.85, 0.5, 0.5))
    picture = _recolour(picture, rng)
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if not cut_out:
        # Crops of a whole photograph must keep its object, which is nearly always near the middle.
        right, down = rng.uniform(0.25, 0.75, 2)
        return np.asarray(_crop(picture.convert("RGB"), rng.uniform(0.8, 1.0), right, down))
    picture = picture.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR, expand=True)
    background = _background(item.path.parent.parent / "backgrounds", rng, split)
    return np.asarray(_place(picture, background, rng.uniform(0.6, 1.0), rng.random(), rng.random()))


def render_sound(item: Item, rng: np.random.Generator, *, split: str) -> np.ndarray:
    """One view of a sound: (samples,) float32 at 16 kHz, peak at most 1.

    Args:
        split: "train" draws speed, gain, crop, padding and noise from rng; the others use none of it.
    """
    waveform, _ = soundfile.read(item.path, dtype="float32")
    longest = int(LONGEST_SECONDS * SAMPLE_RATE_HZ)
    if split != "train":
        return _peak(waveform[:longest], 0.7)
    waveform = soxr.resample(waveform, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ / rng.uniform(0.9, 1.1), quality="LQ")
    if len(waveform) > longest:
        start = int(rng.integers(len(waveform) - longest + 1))
        waveform = waveform[start : start + longest]
    before, after = (int(rng.uniform(0, 1) * SAMPLE_RATE_HZ) for _ in range(2))
    room = longest - len(waveform)  # padding never makes a view longer than a crop
    before = min(before, room)
    waveform = np.pad(waveform, (before, min(after, room - before)))
    level = float(np.sqrt(np.mean(np.square(waveform)))) or 1e-4
    noise = _noise(len(waveform), rng) * level * 10 ** (-rng.uniform(15, 40) / 20)
    return _peak(waveform + noise, 10 ** (-rng.uniform(1, 20) / 20))


def render_speech(spoken: np.ndarray, rng: np.random.Generator, *, split: str) -> np.ndarray:
    """A spoken sentence as a microphone might have it: (samples,) float32 at 16 kHz, peak at most 1.

    Args:
        split: "train" draws speed (and with it pitch and the length of the vocal tract), a telephone's band, noise and
            gain from rng; the others use none of it.
    """
    if split != "train":
        return _peak(spoken, 0.7)
    waveform = soxr.resample(spoken, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ / rng.uniform(0.85, 1.15), quality="LQ")
    if rng.random() < 0.15:
        narrow = soxr.resample(waveform, SAMPLE_RATE_HZ, 8000)
        waveform = soxr.resample(narrow, 8000, SAMPLE_RATE_HZ)
    if rng.random() < 0.6:
        level = float(np.sqrt(np.mean(np.square(waveform)))) or 1e-4
        waveform = waveform + _noise(len(waveform), rng) * level * 10 ** (-rng.uniform(10, 40) / 20)
    return _peak(waveform, 10 ** (-rng.uniform(1, 20) / 20))


def on_background(photos: Sequence[Path], which: int, rng: np.random.Generator, varied: bool = False) -> Image.Image:
    """What is behind a composed clip: a photograph, or below zero a plain light colour.

    Args:
        photos: those of the clip's side.
        which: a photograph's place among them, counted round.
        rng: for crop, blur and colour.
        varied: mirrored, in other colours, half of them with a second photograph shining through; in place of a plain
            colour also gradients and noise. There are a few dozen photographs; some others were taken for objects.
    """
    if which < 0 or not photos:
        if varied and rng.random() < 0.5:
            return _background(Path(), rng, "")
        return Image.new("RGB", (SIDE, SIDE), tuple(int(value) for value in rng.integers(180, 256, 3)))
    cropped = _behind(photos[which % len(photos)], rng, varied)
    if varied and rng.random() < 0.5:
        other = _behind(photos[int(rng.integers(len(photos)))], rng, varied)
        cropped = Image.blend(cropped, other, float(rng.uniform(0.15, 0.5)))
    return cropped.filter(ImageFilter.BoxBlur(float(rng.uniform(0, 3))))


def _behind(photo: Path, rng: np.random.Generator, varied: bool) -> Image.Image:
    picture = _picture(photo)
    cropped = _crop(picture.convert("RGB"), rng.uniform(0.4 if varied else 0.6, 1.0), rng.random(), rng.random())
    if not varied:
        return cropped
    if rng.random() < 0.5:
        cropped = cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return _recoloured(cropped, rng, 0.5)


def paste(frame: Image.Image, item: Item, centre: tuple[float, float], size: float) -> None:
    """Put an item into a frame, its centre at shares of the frame and its longer side a share of it."""
    scaled = _scaled(item.path, round(size * SIDE))
    frame.paste(
        scaled, (round(centre[0] * SIDE - scaled.width / 2), round(centre[1] * SIDE - scaled.height / 2)), scaled
    )


def trimmed(waveform: np.ndarray, longest_seconds: float) -> np.ndarray:
    """From where a sound is loud enough to be noticed, so long at most, faded out, at an even peak."""
    level = np.abs(waveform)
    loud = np.flatnonzero(level > AUDIBLE * level.max(initial=1e-6))
    waveform = waveform[loud[0] :][: round(longest_seconds * SAMPLE_RATE_HZ)].copy() if len(loud) else waveform
    fade = min(len(waveform), SAMPLE_RATE_HZ // 20)
    waveform[len(waveform) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return _peak(waveform, 0.7)


@lru_cache(maxsize=512)
def _scaled(path: Path, longest: int) -> Image.Image:
    picture = _picture(path)
    factor = longest / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


@lru_cache(maxsize=1500)
def _picture(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        # Decoding is most of the time of a view; twice the side of a view is all that is ever used.
        return picture.convert("RGBA")


def _is_cut_out(picture: Image.Image) -> bool:
    clear = picture.getchannel("A").histogram()[0]
    return clear > CUT_OUT_TRANSPARENT * picture.width * picture.height


def _place(picture: Image.Image, background: Image.Image, share: float, right: float, down: float) -> Image.Image:
    """Paste a cut-out so that its longer side fills a share of the view."""
    factor = min(share * SIDE / max(picture.size), LARGEST_ENLARGEMENT)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    scaled = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    frame = background.copy()
    frame.paste(scaled, (round((SIDE - size[0]) * right), round((SIDE - size[1]) * down)), scaled)
    return frame


def _crop(picture: Image.Image, share: float, right: float, down: float) -> Image.Image:
    """A part of a photograph at relative offsets, squeezed to a square: cutting a square would cut long objects."""
    longest = LARGEST_SQUEEZE * min(picture.size)
    width, height = share * min(picture.width, longest), share * min(picture.height, longest)
    left, top = (picture.width - width) * right, (picture.height - height) * down
    box = (left, top, left + width, top + height)
    return picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)


def _recolour(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    alpha = picture.getchannel("A")
    colours = _recoloured(picture.convert("RGB"), rng, 0.2)
    colours.putalpha(alpha)
    return colours


def _recoloured(colours: Image.Image, rng: np.random.Generator, by: float) -> Image.Image:
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        colours = change(colours).enhance(rng.uniform(1 - by, 1 + by))
    return colours


def _background(folder: Path, rng: np.random.Generator, split: str) -> Image.Image:
    manner = rng.choice(("plain", "light", "gradient", "noise", "photo"), p=(0.2, 0.25, 0.2, 0.1, 0.25))
    if manner == "photo" and (photos := _background_files(folder, split)):
        photo = _picture(photos[int(rng.integers(len(photos)))]).convert("RGB")
        cropped = _crop(photo, rng.uniform(0.4, 1.0), rng.random(), rng.random())
        return cropped.filter(ImageFilter.BoxBlur(float(rng.uniform(0, 4))))  # out of focus, as behind a subject
    if manner == "light":
        return Image.new("RGB", (SIDE, SIDE), tuple(int(value) for value in rng.integers(215, 256, 3)))
    first, second = rng.integers(0, 256, (2, 3)).astype(np.float32)
    if manner == "gradient":
        along = np.linspace(0, 1, SIDE, dtype=np.float32)
        angle = rng.uniform(0, 2 * np.pi)
        mix = np.clip(0.5 + (np.cos(angle) * (along - 0.5)[None] + np.sin(angle) * (along - 0.5)[:, None]), 0, 1)
        return Image.fromarray((first + (second - first) * mix[..., None]).astype(np.uint8))
    if manner == "noise":
        cells = rng.normal(first, 40, (int(rng.choice((8, 16, 64, 130))),) * 2 + (3,)).clip(0, 255).astype(np.uint8)
        return Image.fromarray(cells).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return Image.new("RGB", (SIDE, SIDE), tuple(int(value) for value in first))


@lru_cache(maxsize=8)
def _background_files(folder: Path, split: str) -> tuple[Path, ...]:
    return tuple(sorted(folder.glob(f"{split}-*.png")))


def _noise(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """White to brown noise of unit power: (n_samples,) float32."""
    white = rng.standard_normal(n_samples, dtype=np.float32)
    if n_samples < 2:
        return white
    spectrum = np.fft.rfft(white)
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (rng.uniform(0, 2) / 2)
    spectrum[0] = 0
    coloured = np.fft.irfft(spectrum, n_samples).astype(np.float32)
    return coloured / (coloured.std() + 1e-9)


def _peak(waveform: np.ndarray, peak: float) -> np.ndarray:
    return (waveform * (peak / max(float(np.abs(waveform).max()), 1e-6))).astype(np.float32)

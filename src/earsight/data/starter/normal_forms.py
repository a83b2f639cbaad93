"""Normal forms of the corpus: RGBA pictures cut to what they show, 16 kHz mono sounds without digital silence."""

import importlib.util
import io

import av
import numpy as np
import soundfile
import soxr
from PIL import Image, ImageDraw, ImageOps

from earsight.data.starter.containers import UNREADABLE, DamagedFileError
from earsight.errors import EarsightError

SAMPLE_RATE_HZ = 16_000
LONGEST_SOUND_SECONDS = 10
LONGEST_SIDE = 520  # twice the side of a training view
DRAWING_SIDE = 400  # of rendered vector drawings
SILENCE = 1e-4  # below 13-bit steps: nothing was recorded
PAPER = 235  # lightest grey that still counts as the paper a drawing is on


def normal_picture(blob: bytes, name: str, part: str = "", white_paper: bool = False) -> Image.Image:
    """Any picture file -> RGBA, cut to its visible part, at most LONGEST_SIDE.

    Args:
        part: "left" keeps the left half, where a file holds two animation phases side by side.
        white_paper: make white around a drawing transparent, so that it can stand before anything.

    Raises:
        DamagedFileError: no picture that can be read.
        EarsightError: a vector drawing, and no renderer is installed.
    """
    if name.endswith(".svg"):
        check_renderer()
    try:
        if name.endswith(".svg"):
            blob = _render_drawing(blob)
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(blob))).convert("RGBA")
    except (Image.DecompressionBombError, *UNREADABLE) as error:
        raise DamagedFileError(f"{name} cannot be read as a picture ({error})") from error
    if part == "left":
        picture = picture.crop((0, 0, picture.width // 2, picture.height))
    if white_paper:
        picture = _without_paper(picture)
    box = picture.getchannel("A").point(lambda alpha: 255 * (alpha > 8)).getbbox()
    picture = picture.crop(box) if box else picture
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return picture


def check_renderer() -> None:
    """Make sure that vector drawings can be rendered.

    Raises:
        EarsightError: they cannot.
    """
    if importlib.util.find_spec("resvg_py") is None:
        raise EarsightError("the corpus has vector drawings: `pip install resvg-py`, which renders them")


def _render_drawing(blob: bytes) -> bytes:
    import resvg_py

    # Without system fonts a drawing looks the same on every machine; some give their size in points and need a dpi.
    drawing = blob.decode("utf-8")
    return bytes(resvg_py.svg_to_bytes(svg_string=drawing, width=DRAWING_SIDE, dpi=96, skip_system_fonts=True))


def _without_paper(picture: Image.Image) -> Image.Image:
    """White connected with the border becomes transparent; white inside a drawing stays."""
    paper = picture.convert("L").point(lambda grey: 255 * (grey >= PAPER))
    framed = ImageOps.expand(paper, 1, 255)  # so that one fill reaches every side
    ImageDraw.floodfill(framed, (0, 0), 128)
    mask = framed.crop((1, 1, framed.width - 1, framed.height - 1)).point(lambda value: 0 if value == 128 else 255)
    picture.putalpha(mask)
    return picture


def picture_print(picture: Image.Image) -> np.ndarray:
    """What a picture looks like in 16 x 16 grey-backed colours: (16, 16, 3) uint8."""
    grey = Image.new("RGBA", picture.size, (128, 128, 128, 255))
    grey.alpha_composite(picture)
    return np.asarray(grey.convert("RGB").resize((16, 16), Image.Resampling.BOX))


def difference_hash(shape: np.ndarray) -> np.ndarray:
    """(16, 16, 3) uint8 -> 64 bits: is each of 8 x 8 cells darker than its right neighbour?"""
    grey = Image.fromarray(shape).convert("L").resize((9, 8), Image.Resampling.BOX)
    cells = np.asarray(grey, dtype=np.int16)
    return (cells[:, 1:] > cells[:, :-1]).ravel()


def same_picture(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two prints are of one picture, mirrored or not: few differing hash bits and close colours."""
    for candidate in (other, other[:, ::-1]):
        close = np.abs(one.astype(np.int16) - candidate.astype(np.int16)).mean() < 12
        if close and np.count_nonzero(difference_hash(one) != difference_hash(candidate)) <= 8:
            return True
    return False


def normal_sound(blob: bytes, name: str) -> np.ndarray:
    """Any sound file -> (samples,) float32 mono 16 kHz, silence at both ends cut, at most LONGEST_SOUND_SECONDS.

    Raises:
        DamagedFileError: no sound that can be read, or digital silence only.
    """
    try:
        samples, rate = soundfile.read(io.BytesIO(blob), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        samples, rate = _decode(blob, name)  # a stray trailing byte, or a codec libsndfile does not know
    mono = soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE_HZ) if rate != SAMPLE_RATE_HZ else samples.mean(axis=1)
    heard = np.flatnonzero(np.abs(mono) > SILENCE)
    if not len(heard):
        raise DamagedFileError(f"{name} holds digital silence only")
    mono = mono[heard[0] : heard[-1] + 1][: LONGEST_SOUND_SECONDS * SAMPLE_RATE_HZ]
    return np.clip(mono, -1, 1).astype(np.float32)


def _decode(blob: bytes, name: str) -> tuple[np.ndarray, int]:
    try:
        with av.open(io.BytesIO(blob)) as container:
            stream = container.streams.audio[0]
            to_float = av.AudioResampler(format="fltp", layout="mono", rate=stream.rate)
            parts = [part.to_ndarray() for frame in container.decode(stream) for part in to_float.resample(frame)]
            return np.concatenate(parts, axis=1).T, stream.rate
    except (av.error.FFmpegError, AttributeError, *UNREADABLE) as error:  # a stream of no known codec has no rate
        raise DamagedFileError(f"{name} cannot be read as a sound ({error})") from error


def sound_print(waveform: np.ndarray) -> str:
    """The loudness-normalised course of a sound, coarse enough to survive re-encoding, as hex."""
    peak = float(np.abs(waveform).max())
    blocks = np.array_split(np.abs(waveform) / peak, 64)
    course = bytes(min(15, int(16 * block.mean())) if len(block) else 0 for block in blocks)
    return course.hex() + f"-{len(waveform) // 160:05d}"  # with its length in hundredths of a second

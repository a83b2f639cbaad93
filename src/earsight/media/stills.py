"""Pictures that are not decoded from a container: image files, PIL images and arrays."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from earsight.errors import MediaError
from earsight.media.limits import Limits
from earsight.media.source import Source

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "AVIF", "PPM", "ICO", "MPO")
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"P4", b"P5", b"P6", b"\0\0\1\0")


@dataclass(frozen=True)
class Still:
    """One decoded image."""

    pixels: np.ndarray  # (height, width, 3) uint8 RGB
    format: str
    notes: tuple[str, ...]


def is_image(source: Source) -> bool:
    """Whether a file or bytes begin like a still image. A gif is a short film."""
    head = source.head()
    return (
        head.startswith(_MAGIC)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"mif1"))
    )


def header(source: Source, limits: Limits) -> tuple[str, int, int]:
    """(format, width, height) of an image, upright, without decoding it. Raises MediaError."""
    with _opened(source, limits) as image:
        swapped = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # Exif orientations that lie on their side
        size = image.size[::-1] if swapped else image.size
        return image.format or "image", *size


def decoded(source: Source, size: tuple[int, int] | None, limits: Limits) -> Still:
    """Decode an image file, bytes or a PIL image to RGB, upright, at `size` (width, height). Raises MediaError."""
    from PIL import ImageOps

    try:
        with _opened(source, limits) as image:
            name, n_frames = image.format or "image", getattr(image, "n_frames", 1)
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data:
                upright = upright.convert("RGBA")
                upright = _on_white(upright)
            pixels = resized(upright.convert("RGB"), size)
    except (OSError, ValueError, SyntaxError, ArithmeticError, LookupError, MemoryError, TypeError) as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{source.label}: an image that is damaged or cut short; copy it again.") from error
    note = (f"an animated {name} of {n_frames} frames: the first one was used.",) if n_frames > 1 else ()
    return Still(pixels, name, note)


def resized(picture: Any, size: tuple[int, int] | None) -> np.ndarray:
    """A PIL image as (height, width, 3) uint8, stretched to `size` (width, height)."""
    from PIL import Image

    if size is not None and picture.size != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.array(picture, dtype=np.uint8)


def _on_white(image: Any) -> Any:
    from PIL import Image

    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _opened(source: Source, limits: Limits) -> Any:
    from PIL import Image

    if source.image is not None:
        image = source.image.copy()
    else:
        try:
            image = Image.open(source.path or io.BytesIO(source.data or b""), formats=_FORMATS)
        except Image.DecompressionBombError as error:
            raise MediaError(f"{source.label}: over {limits.max_pixels:,} pixels; give a smaller image.") from error
        except (OSError, ValueError, SyntaxError, ArithmeticError, LookupError, TypeError) as error:
            raise MediaError(f"{source.label}: an image that is damaged at its start; copy it again.") from error
    if image.width * image.height > limits.max_pixels:
        image.close()
        raise MediaError(
            f"{source.label}: {image.width}x{image.height} is over {limits.max_pixels:,} pixels; give a smaller image."
        )
    return image

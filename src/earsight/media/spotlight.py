"""A still picture as a film that scans it: more detail than one frame holds (video-SALMONN, appendix I)."""

import numpy as np

from earsight.errors import MediaError


def spotlight(frame: np.ndarray, grid: int) -> np.ndarray:
    """Cut a picture into sub-pictures, from top left to bottom right, to be read one after the other like frames.

    (height, width, 3) uint8 -> (grid * grid, ceil(height / grid), ceil(width / grid), 3) uint8

    The appendix leaves three things open. Sub-pictures are equally large and together hold every pixel: where the
    sides are not multiples of `grid`, neighbours share a few. The order is row by row. The whole picture is not among
    what is returned, because it has another size: a system's configuration decides whether it, too, is shown, and then
    it is the first frame, which is the default.

    Raises:
        MediaError: not a picture, or one with fewer pixels on a side than `grid`.
    """
    if frame.ndim != 3 or grid < 1 or min(frame.shape[:2]) < grid:
        raise MediaError(
            f"a picture of shape {frame.shape} cannot be cut into {grid} x {grid}; give (height, width, 3) and a "
            "grid of at least 1 and at most the pixels of its shorter side"
        )
    tops, height = _cuts(frame.shape[0], grid)
    lefts, width = _cuts(frame.shape[1], grid)
    return np.stack([frame[top : top + height, left : left + width] for top in tops for left in lefts])


def _cuts(length: int, grid: int) -> tuple[list[int], int]:
    """Where the parts of a side begin, spread evenly, and how long each is."""
    part = -(-length // grid)
    return [round(index * (length - part) / max(1, grid - 1)) for index in range(grid)], part

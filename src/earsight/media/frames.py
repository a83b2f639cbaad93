"""The picture of a container: the frame on the screen at each wanted moment."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from earsight.media.container import decoded_packets

SLACK = 1e-6  # seconds; a moment this close before a frame's time-stamp counts as that frame's


@dataclass
class Picture:
    """Frames found. Times are on the container's own clock."""

    frames: list[np.ndarray] = field(default_factory=list)  # each (height, width, 3) uint8
    times: list[float] = field(default_factory=list)
    end: float | None = None  # when the last frame leaves the screen, if the end was reached
    plan: str = ""
    n_damaged: int = 0

    def show(self, pixels: np.ndarray, time: float, moment: float) -> None:
        """Add the frame with time-stamp `time` for a wanted moment.

        A frame that is still on the screen at a later moment is given again, with that moment as its time.
        """
        repeated = bool(self.times) and time <= self.times[-1]
        self.frames.append(pixels)
        self.times.append(max(moment, time) if repeated else time)


def turned(frame: Any, size: tuple[int, int] | None) -> np.ndarray:
    """An av.VideoFrame as upright (height, width, 3) uint8 RGB, stretched to `size` (width, height) by swscale."""
    turns = round(frame.rotation / 90) % 4  # counterclockwise quarter turns that set it upright
    width, height = size or ((frame.width, frame.height) if turns % 2 == 0 else (frame.height, frame.width))
    if turns % 2:
        width, height = height, width
    pixels = frame.reformat(width=width, height=height, format="rgb24", threads=1).to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def one_pass(container: Any, stream: Any, moments: list[float], size: tuple[int, int] | None) -> Picture:
    """Decode from the start to the last wanted moment, frame after frame. Works for every codec."""
    picture = Picture(plan="one pass")
    before, wanted = None, iter(moments)
    moment = next(wanted, None)
    pixels = None
    for frame in decoded_frames(container, stream, picture):
        time = float(frame.pts * stream.time_base)
        while moment is not None and before is not None and time > moment + SLACK:
            pixels = turned(before, size) if pixels is None else pixels
            picture.show(pixels, float(before.pts * stream.time_base), moment)
            moment = next(wanted, None)
        if moment is None:
            return picture
        before, pixels = frame, None
    if before is not None:
        time = float(before.pts * stream.time_base)
        lasts = float((before.duration or 0) * stream.time_base) or 1.0 / float(stream.average_rate or 25)
        picture.end = time + lasts
        pixels = turned(before, size)
        while moment is not None and (moment < picture.end or not picture.frames):
            picture.show(pixels, time, moment)
            moment = next(wanted, None)
    return picture


def decoded_frames(container: Any, stream: Any, picture: Picture) -> Iterator:
    """Frames with time-stamps in display order; damaged packets are skipped and counted."""
    clock = None
    for found in decoded_packets(container, stream, picture):
        for frame in found:
            if frame.pts is None:  # no time-stamp in the file: one average step after the last
                step = 1 / float(stream.average_rate or 25) / float(stream.time_base)
                frame.pts = 0 if clock is None else round(clock + step)
            clock = frame.pts
            yield frame

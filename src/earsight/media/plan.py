"""How to find the wanted frames: by seeking, in one pass or among keyframes, whichever decodes least."""

from earsight.media.container import ERRORS
from earsight.media.frames import Picture, one_pass
from earsight.media.limits import Limits
from earsight.media.sampling import Sampling


def find_frames(
    container, stream, first: float, end: float | None, sampling: Sampling, limits: Limits
) -> tuple[Picture, str]:
    """The frames on the screen at the sampled moments of [first, end) and a note ("" for none)."""
    if end is None:
        end = _last_seconds(container, stream, first)
    if end <= first:
        return Picture(), ""
    moments, note = sampling.moments(first, end)
    picture = one_pass(container, stream, moments, sampling.frame_size)
    return picture, note


def _last_seconds(container, stream, first: float) -> float:
    """When the last frame leaves the screen, by its packets' time-stamps alone; then back to the start."""
    end = first
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, *ERRORS):
            break
        if packet.pts is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * stream.time_base))
    container.seek(stream.start_time or 0, stream=stream)
    return end + 1e-3

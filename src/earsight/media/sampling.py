"""How a clip is sampled: which moments of its picture, at what size, and its sound at what rate."""

from dataclasses import dataclass
from math import ceil

from earsight.errors import MediaError

_SECOND_END = 1e-3  # seconds before the next second: the frame shown then is the last of this one
_TIME_SLACK = 1e-6  # seconds; floating-point noise must not add a frame at the very end of a span


@dataclass(frozen=True)
class Sampling:
    """What to take of a clip. Moments are `start + i / frames_per_second`, or `start + i * span / n_frames`."""

    frames_per_second: float = 1.0
    max_frames: int = 32  # a longer span gets this many, spread evenly over it, with a note
    frame_size: tuple[int, int] | None = (260, 260)  # (width, height), aspect ratio ignored; None keeps the file's size
    sample_rate_hz: int = 16_000
    max_seconds: float | None = None  # the rest of a longer clip is not looked at, with a note
    n_frames: int | None = None  # this many, spread evenly, instead of frames_per_second; max_frames does not apply
    second_ends: bool = False  # the first and the last frame of each second (as video-SALMONN's code samples 2 Hz)
    tolerance_seconds: float = 0.0  # how far from a wanted moment a keyframe may be to be taken instead; 0 is exact

    def __post_init__(self) -> None:
        positive = {
            "frames_per_second": self.frames_per_second,
            "max_frames": self.max_frames,
            "sample_rate_hz": self.sample_rate_hz,
            "max_seconds": 1 if self.max_seconds is None else self.max_seconds,
            "n_frames": 1 if self.n_frames is None else self.n_frames,
            "frame_size": min(self.frame_size or (1,)),
        }
        for name, value in positive.items():
            if not value > 0:
                raise MediaError(
                    f"Sampling({name}={getattr(self, name)!r}): expected more than 0; give a positive value."
                )
        if self.tolerance_seconds < 0:
            raise MediaError(f"Sampling(tolerance_seconds={self.tolerance_seconds}): expected 0 or more.")

    def moments(self, first_seconds: float, last_seconds: float) -> tuple[list[float], str]:
        """The wanted moments in [first, last), in seconds, and a note where max_frames thinned them ("" if not)."""
        span = max(last_seconds - first_seconds, 0.0)
        if self.n_frames is not None:
            return [first_seconds + i * span / self.n_frames for i in range(self.n_frames)], ""
        if self.second_ends:
            return self._second_ends(first_seconds, span)
        asked = max(ceil((span - _TIME_SLACK) * self.frames_per_second), 1)
        if asked <= self.max_frames:
            return [first_seconds + i / self.frames_per_second for i in range(asked)], ""
        note = (
            f"{asked} frames at {self.frames_per_second:g} a second are more than the limit of {self.max_frames}; "
            f"{self.max_frames} were spread over {span:.1f} s."
        )
        return [first_seconds + i * span / self.max_frames for i in range(self.max_frames)], note

    def _second_ends(self, first_seconds: float, span: float) -> tuple[list[float], str]:
        """The first and last frame of each second; whole seconds are thinned where there are too many."""
        seconds = max(ceil(span - _TIME_SLACK), 1)
        kept = min(seconds, max(self.max_frames // 2, 1))
        note = ""
        if kept < seconds:
            note = f"{2 * seconds} frames are more than the limit of {self.max_frames}; {kept} seconds were looked at."
        begins = [first_seconds + (i * seconds // kept) for i in range(kept)]
        return [moment for begin in begins for moment in (begin, begin + 1 - _SECOND_END)], note

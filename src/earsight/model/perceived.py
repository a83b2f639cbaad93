"""What was looked at, listened to and missing in a clip, in words for the answer."""

from earsight.types import Clip


def seen(clip: Clip) -> str:
    """What was looked at, in words."""
    if clip.picture != "present":
        return f"nothing: the picture is {clip.picture}"
    n = len(clip.frame_times)
    if n == 1:
        return "1 picture"
    return f"{n} frames between {clip.frame_times[0]:.1f} s and {clip.frame_times[-1]:.1f} s"


def heard(clip: Clip) -> str:
    """What was listened to, in words."""
    if clip.sound != "present":
        return f"nothing: the sound is {clip.sound}"
    late = f", from {clip.waveform_start_seconds:.1f} s on" if clip.waveform_start_seconds >= 0.05 else ""
    return f"{len(clip.waveform) / clip.sample_rate_hz:.1f} s of sound{late}"


def missing(clip: Clip) -> tuple[str, ...]:
    """Each sense that was not there, and how."""
    senses = (("picture", clip.picture), ("sound", clip.sound))
    return tuple(f"{sense}: {state}" for sense, state in senses if state != "present")

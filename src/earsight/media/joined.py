"""A picture or film and a sound that is kept in a file of its own, as one clip."""

from dataclasses import replace

from earsight.types import Clip


def with_sound_of(picture: Clip, sound: Clip) -> Clip:
    """The first one's frames with the second one's sound; both begin at the clip's zero."""
    return replace(
        picture,
        waveform=sound.waveform,
        waveform_start_seconds=sound.waveform_start_seconds,
        sample_rate_hz=sound.sample_rate_hz,
        sound=sound.sound,
        duration_seconds=max(picture.duration_seconds, sound.duration_seconds if sound.sound == "present" else 0.0),
        source=f"{picture.source} + {sound.source}",
        notes=(*picture.notes, *sound.notes),
    )

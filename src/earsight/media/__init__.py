"""Media in, arrays out: one clock, true time-stamps, a declared answer to every odd file (docs/media.md)."""

from earsight.media.clip import load_clip
from earsight.media.limits import Limits
from earsight.media.probe import MediaInfo, probe
from earsight.media.sampling import Sampling

__all__ = ["Limits", "MediaInfo", "Sampling", "load_clip", "probe"]

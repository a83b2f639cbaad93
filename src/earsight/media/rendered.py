"""Media that are made when they are asked for, instead of being read from a file."""

from typing import Protocol, runtime_checkable

from earsight.media.sampling import Sampling
from earsight.types import Clip


@runtime_checkable
class Renders(Protocol):
    """Anything that can show and sound itself; its repr names it for good."""

    def render(self, sampling: Sampling) -> Clip:
        """The clip at the sampling's moments, size and rate."""
        ...

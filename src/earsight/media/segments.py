"""Keyframe intervals read ahead as packets, so that only what the wanted frames need is decoded."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from earsight.media.container import ERRORS

# A keyframe interval is held in memory as compressed packets. Past these sizes the file is decoded in one pass.
MAX_BYTES = 32 << 20
MAX_PACKETS = 6000
_BACK_SECONDS = (0.0, 1.0, 4.0, 16.0)  # how far before a moment to seek until a keyframe at or before it is found


class Unsuitable(Exception):
    """The stream cannot be read by keyframe intervals: no time-stamps, or intervals too long to hold."""


@dataclass
class Segment:
    """Packets in decoding order, the first a keyframe, that show every frame from its time to `end`."""

    packets: list
    end: int | None  # ticks: when the next keyframe is shown; None at the end of the file

    def shown(self) -> list[int]:
        """Time-stamps of the frames it shows, sorted."""
        times = (p.pts for p in self.packets if not p.is_discard)
        return sorted(t for t in times if self.end is None or t < self.end)


@dataclass
class Reader:
    """Reads segments of one video stream in order, or from a seek on."""

    container: Any
    stream: Any
    n_damaged: int = 0
    n_seeks: int = 0
    longest: int = 0  # ticks between keyframes seen so far
    last_end: int | None = None  # ticks: when the last frame of the file leaves the screen, once it was read
    _ahead: list = field(default_factory=list)  # packets of the next segment already read
    _packets: Iterator | None = None
    _trusted: bool = True  # seeks have led where they should

    def next(self) -> Segment | None:
        """The next segment, or None at the end of the file. Raises Unsuitable."""
        packets = self._ahead or self._first_keyframe()
        if not packets:
            return None
        self._ahead, n_bytes = [], sum(p.size for p in packets)
        while (packet := self._read()) is not None:
            if packet.is_keyframe:
                return self._closed(packets, packet)
            packets.append(packet)
            n_bytes += packet.size
            if n_bytes > MAX_BYTES or len(packets) > MAX_PACKETS:
                raise Unsuitable
        self._ended(packets)
        return Segment(packets, None)

    def _closed(self, packets: list, key: Any) -> Segment:
        """A segment that ends where `key` is shown. Leading pictures, stored after it and shown before, join it."""
        self._ahead, leading = [key], False
        while (packet := self._read()) is not None:
            self._ahead.append(packet)
            if packet.is_keyframe or packet.pts > key.pts:
                break
            leading = True
        self.longest = max(self.longest, key.pts - packets[0].pts)
        if packet is None:
            self._ended(packets + self._ahead)
        if leading:  # an open group of pictures: they refer to both sides, so both are decoded in one go
            packets = packets + [p for p in self._ahead if p.pts <= key.pts]
        return Segment(packets, key.pts)

    def skips_to(self, tick: int) -> bool:
        """Seek if the keyframe before a wanted moment lies beyond the next segment; True if it did."""
        if not self._ahead or tick < self._ahead[0].pts or not self._trusted:
            return False
        here = self._ahead[0].pts
        entries = self.stream.index_entries
        if len(entries) > 1:
            at = entries.search_timestamp(tick, backward=True)
            far = at >= 0 and entries[at].timestamp > (self._ahead[0].dts or self._ahead[0].pts)
        else:
            far = tick - here > 2 * max(self.longest, 1)
        if far:
            self.seek(tick)
            # A seek that leads back, as in a damaged file, would lead back for ever: from here on read straight on.
            self._trusted = bool(self._ahead) and here < self._ahead[0].pts <= tick
        return far

    def seek(self, tick: int) -> None:
        """Go to the last keyframe shown at or before `tick`, or to the first of the file."""
        self.n_seeks += 1
        for back in (*_BACK_SECONDS, None):
            at = (self.stream.start_time or 0) if back is None else tick - round(back / self.stream.time_base)
            try:
                self.container.seek(at, stream=self.stream)
            except ERRORS:
                if back is None:
                    raise Unsuitable from None
                continue
            self._packets, self._ahead = None, []
            self._ahead = self._first_keyframe()
            if self._ahead and self._ahead[0].pts <= tick:
                return

    def _first_keyframe(self) -> list:
        while (packet := self._read()) is not None:
            if packet.is_keyframe:
                return [packet]
        return []

    def _ended(self, packets: list) -> None:
        last = max(packets, key=lambda p: p.pts)
        self.last_end = last.pts + (last.duration or step_of(self.stream))

    def _read(self) -> Any:
        """The next packet with data in it, or None at the end. Raises Unsuitable for one without a time-stamp."""
        if self._packets is None:
            self._packets = self.container.demux(self.stream)
        for _ in range(100):  # a reader that fails this often will not recover
            try:
                packet = next(self._packets)
            except StopIteration:
                return None
            except ERRORS:
                self.n_damaged += 1
                continue
            if packet.size == 0:
                continue
            if packet.pts is None:
                raise Unsuitable
            return packet
        return None


def step_of(stream: Any) -> int:
    """Ticks from one frame to the next on average."""
    return max(round(1 / float(stream.average_rate or 25) / float(stream.time_base)), 1)

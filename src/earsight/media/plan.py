"""How to find the wanted frames: by seeking, in one pass or among keyframes, whichever decodes least.

The file is read by keyframe intervals. Of each, the packets tell which frame is on the screen at each wanted moment;
it is decoded only as far as the last of those, leaving out what no other frame refers to. Intervals nobody wants are
sought over, and intervals are decoded side by side.
"""

import os
import threading
from bisect import bisect_right
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from earsight.errors import MediaError
from earsight.media import container as containers
from earsight.media.container import ERRORS
from earsight.media.frames import SLACK, Picture, one_pass, turned
from earsight.media.limits import Limits
from earsight.media.sampling import Sampling
from earsight.media.segments import Reader, Segment, Unsuitable
from earsight.media.source import Source

# Codecs whose keyframes start afresh. In others (gif) a "keyframe" may still build on the frame before it.
_BY_KEYFRAME = {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8", "vp9", "av1", "libdav1d", "mjpeg", "prores"}
# Codecs whose non-reference frames nothing refers to. (In HEVC a higher temporal layer may.)
_DROPPABLE = {"h264", "mpeg1video", "mpeg2video", "mpeg4"}
_N_WORKERS = min(2, os.cpu_count() or 1)
_CUT_SHORT_SECONDS = 0.5  # a picture that ends this long before it should is called cut short


@dataclass
class Work:
    """One segment to decode and the frames wanted of it."""

    packets: list
    wanted: dict[int, list[float]]  # time-stamp -> the moments (seconds) it is on the screen for


@dataclass
class Found:
    """Decoded frames of one `Work`: wanted time-stamp -> (time-stamp of the frame taken, its pixels)."""

    frames: dict[int, tuple[int, np.ndarray]] = field(default_factory=dict)
    n_damaged: int = 0


def find_frames(
    source: Source, container: Any, stream: Any, first: float, end: float | None, sampling: Sampling, limits: Limits
) -> tuple[Picture, list[str]]:
    """The frames on the screen at the sampled moments of [first, end) on the container's clock, and notes.

    Exact: equal to decoding everything, unless `sampling.tolerance_seconds` allows a keyframe nearby.
    """
    end = _last_seconds(container, stream, first) if end is None else end
    moments, note = sampling.moments(first, end)
    if end <= first:
        return Picture(), []
    picture = _found(source, container, stream, moments, sampling, limits)
    notes = [note] if note else []
    if picture.end is not None and picture.end < end - _CUT_SHORT_SECONDS and moments[-1] >= picture.end:
        notes.append(f"the picture ends {end - picture.end:.1f} s before the file says it does: cut short or damaged.")
        again, note = sampling.moments(first, picture.end)
        if again != moments[: len(again)] and picture.end > first:  # spread over what there is, not what was promised
            container.seek(stream.start_time or 0, stream=stream)
            ended = picture.end
            picture = _found(source, container, stream, again, sampling, limits)
            picture.end = ended
            notes = [note] * bool(note) + notes[-1:]
    picture.end = end if picture.end is None else min(picture.end, end)
    return picture, notes


def _found(
    source: Source, container: Any, stream: Any, moments: list[float], sampling: Sampling, limits: Limits
) -> Picture:
    _refuse_too_much(source, stream, len(moments), sampling, limits)
    if stream.codec_context.name in _BY_KEYFRAME:
        try:
            return _by_segments(source, container, stream, moments, sampling, limits)
        except Unsuitable:
            container.seek(stream.start_time or 0, stream=stream)
    return one_pass(container, stream, moments, sampling.frame_size)


def _refuse_too_much(source: Source, stream: Any, n_frames: int, sampling: Sampling, limits: Limits) -> None:
    width, height = sampling.frame_size or (stream.width, stream.height)
    if n_frames * width * height * 3 > limits.max_picture_bytes:
        raise MediaError(
            f"{source.label}: {n_frames} frames of {width}x{height} are over the limit of "
            f"{limits.max_picture_bytes:,} bytes; ask for fewer or smaller frames."
        )


def _by_segments(
    source: Source, container: Any, stream: Any, moments: list[float], sampling: Sampling, limits: Limits
) -> Picture:
    base = float(stream.time_base)
    asked = [(int((moment + SLACK) / base // 1), moment) for moment in moments]
    tolerance = round(sampling.tolerance_seconds / base)
    reader = Reader(container, stream)
    with _Decoders(source, stream, limits, sampling.frame_size) as decoders:
        works, dropped = _works(reader, asked, tolerance, decoders)
        results = decoders.results()
    picture = Picture(n_damaged=reader.n_damaged, plan="seek" if reader.n_seeks else "one pass")
    if works and all(set(work_wanted) <= keys for work_wanted, keys in works) and tolerance:
        picture.plan = "keyframes"
    for (wanted, _), found in zip(works, results, strict=True):
        picture.n_damaged += found.n_damaged
        for time in sorted(wanted):
            if time in found.frames:
                shown, pixels = found.frames[time]
                for moment in wanted[time]:
                    picture.show(pixels, float(shown * stream.time_base), moment)
    if reader.last_end is not None and (dropped or not works):
        picture.end = reader.last_end * base
    return picture


def _works(reader: Reader, asked: list[tuple[int, float]], tolerance: int, decoders: "_Decoders") -> tuple[list, int]:
    """Hand out the segments that hold wanted moments, given as (ticks, seconds).

    Returns [(wanted, keyframes)], one per segment handed out, and how many moments lie past the picture's end.
    """
    works: list[tuple[dict[int, list[float]], set[int]]] = []
    waiting = list(asked)
    if waiting[0][0] > (reader.stream.start_time or 0) + 2 / reader.stream.time_base:
        reader.seek(waiting[0][0])
    while waiting:
        reader.skips_to(waiting[0][0])
        segment = reader.next()
        if segment is None:
            break
        here = [pair for pair in waiting if segment.end is None or pair[0] < segment.end]
        later = waiting[len(here) :]
        if segment.end is None:
            here = [pair for pair in here if pair[0] < (reader.last_end or 0)] or ([] if works else here[:1])
            later = []
        wanted, deferred = _wanted(segment, here, tolerance)
        waiting = deferred + later
        if wanted:
            works.append((wanted, {p.pts for p in segment.packets if p.is_keyframe}))
            decoders.take(Work(_needed(segment.packets, wanted), wanted))
    n_given = sum(len(moments) for wanted, _ in works for moments in wanted.values())
    return works, len(asked) - n_given


def _wanted(segment: Segment, asked: list[tuple[int, float]], tolerance: int) -> tuple[dict[int, list[float]], list]:
    """Which frame is on the screen at each moment; and moments better served by the next segment's keyframe."""
    times, key = segment.shown(), segment.packets[0].pts
    wanted: dict[int, list[float]] = {}
    deferred = []
    for tick, moment in asked:
        if not times:  # every frame of it is marked as not to be shown
            break
        time = times[max(bisect_right(times, tick) - 1, 0)]
        near, next_near = abs(tick - key), abs((segment.end if segment.end is not None else key) - tick)
        if tolerance and segment.end is not None and next_near <= tolerance and next_near < near:
            deferred.append((segment.end, moment))
            continue
        wanted.setdefault(key if tolerance and near <= tolerance else time, []).append(moment)
    return wanted, deferred


def _needed(packets: list, wanted: dict[int, list[float]]) -> list:
    """The packets up to the last wanted one, in decoding order."""
    if set(wanted) == {packets[0].pts}:
        return packets[:1]
    last = max(i for i, packet in enumerate(packets) if packet.pts in wanted)
    return packets[: last + 1]


class _Decoders:
    """Decodes works in order handed out: one by the stream's own decoder, several side by side by one each."""

    def __init__(self, source: Source, stream: Any, limits: Limits, size: tuple[int, int] | None) -> None:
        self.source, self.stream, self.limits, self.size = source, stream, limits, size
        self.first: Work | None = None
        self.futures: list[Future] = []
        self.pool: ThreadPoolExecutor | None = None
        self.own = threading.local()
        self.stack, self.lock = ExitStack(), threading.Lock()
        self.room = threading.Semaphore(_N_WORKERS + 2)  # works waiting in memory

    def __enter__(self) -> "_Decoders":
        return self

    def __exit__(self, *exc: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)
        self.stack.close()

    def take(self, work: Work) -> None:
        if self.first is None and self.pool is None:
            self.first = work
            return
        if self.pool is None:
            self.pool = ThreadPoolExecutor(_N_WORKERS, thread_name_prefix="earsight-decode")
            self._submit(self.first)
            self.first = None
        self._submit(work)

    def results(self) -> list[Found]:
        if self.first is not None:
            return [decode_work(self.stream.codec_context, self.first, self.size)]
        return [future.result() for future in self.futures]

    def _submit(self, work: Work | None) -> None:
        assert work is not None and self.pool is not None
        self.room.acquire()
        self.futures.append(self.pool.submit(self._run, work))

    def _run(self, work: Work) -> Found:
        try:
            if not hasattr(self.own, "context"):
                self.own.context = self._context()
            return decode_work(self.own.context, work, self.size)
        finally:
            self.room.release()

    def _context(self) -> Any:
        """A decoder of this thread's own, from a container of its own: a seek in the first would empty its decoder."""
        with self.lock:
            container = self.stack.enter_context(containers.opened(self.source, self.limits, threads=1))
        return container.streams[self.stream.index].codec_context


def decode_work(context: Any, work: Work, size: tuple[int, int] | None) -> Found:
    """Decode a segment's packets and convert the wanted frames. A damaged one is replaced by the one before it."""
    found = Found()
    missing = sorted(work.wanted)
    before = None

    def meet(frame: Any) -> None:
        nonlocal before
        while missing and frame.pts is not None and frame.pts >= missing[0]:
            time = missing.pop(0)
            taken = frame if frame.pts == time or before is None else before
            found.frames[time] = (taken.pts, turned(taken, size))
            found.n_damaged += taken.pts != time or taken.is_corrupt
        before = frame

    droppable, skipping = context.name in _DROPPABLE, None
    for packet in (*work.packets, None):
        skip = "NONREF" if droppable and packet is not None and packet.pts not in work.wanted else "DEFAULT"
        if skip != skipping:
            context.skip_frame = skipping = skip
        try:
            for frame in context.decode(packet):
                meet(frame)
        except ERRORS:
            found.n_damaged += 1
        if not missing:
            break
    if missing and before is not None:
        pixels = turned(before, size)
        for time in missing:
            found.frames[time] = (before.pts, pixels)
            found.n_damaged += 1
    context.flush_buffers()
    return found


def _last_seconds(container: Any, stream: Any, first: float) -> float:
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

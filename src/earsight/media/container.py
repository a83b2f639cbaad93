"""Opening a container without letting it open anything else, and naming its streams and its clock."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import av

from earsight.errors import MediaError
from earsight.media.limits import Limits
from earsight.media.source import Source

# A container is opened only in these formats. Missing on purpose: playlists and scripts that name other files or
# addresses (hls, dash, concat, imf, sdp, rtsp, image2 patterns) and formats that turn any text into a picture (tty).
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,m4v,h264,hevc,ivf,obu,av1,mjpeg,mxf,nut,dv,rm,"
    "asf,yuv4mpegpipe,gif,apng,wav,w64,mp3,flac,ogg,aac,ac3,eac3,dts,amr,amrnb,amrwb,aiff,au,caf,ape,tta,wv,voc,mp2,"
    "gxf,swf,vob,live_flv,kux,mpegtsraw,wtv,truehd,mlp,opus,qcp,sox,gsm,tak,mpc,mpc8,dsf,webp_anim,smk,bink,roq"
)
ERRORS = (av.FFmpegError, OSError, ValueError, ArithmeticError, LookupError, MemoryError, RuntimeError, EOFError)
MOST_FAILED_READS = 100  # a demuxer that fails this often has nothing more to give
_NO_INDEX = b"ftyp"


@dataclass(frozen=True)
class Span:
    """When a stream plays, in seconds on the container's own clock."""

    start: float
    end: float | None  # None: the container does not say


@contextmanager
def opened(source: Source, limits: Limits, *, threads: int = 2) -> Iterator["av.container.InputContainer"]:
    """Open a path or bytes for reading. Raises MediaError, in one line, for whatever cannot be opened."""
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    file = f"file:{source.path}" if source.path is not None else io.BytesIO(source.data or b"")
    timeout = None if source.path is None else (limits.open_seconds, limits.open_seconds)
    try:
        container = av.open(file, "r", options=options, timeout=timeout, metadata_errors="replace")
    except ERRORS as error:
        raise MediaError(f"{source.label}: {_unopened(source, error)}") from error
    try:
        for stream in container.streams:
            if stream.type in ("video", "audio"):
                stream.thread_type = "AUTO"
                stream.thread_count = threads
        yield container
    finally:
        container.close()


class Damaged(Protocol):
    """What counts packets that could not be read or decoded."""

    n_damaged: int


def decoded_packets(container: "av.container.InputContainer", stream: Any, counts: Damaged) -> Iterator[list[Any]]:
    """The frames of each packet of a stream; damaged packets are skipped and counted."""
    packets = container.demux(stream)
    n_failed_reads = 0
    while n_failed_reads < MOST_FAILED_READS:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except ERRORS:
            counts.n_damaged += 1
            n_failed_reads += 1
            continue
        try:
            frames = packet.decode()
        except ERRORS:
            counts.n_damaged += 1
            continue
        yield frames


def _unopened(source: Source, error: BaseException) -> str:
    try:
        head = source.head()
    except OSError:
        head = b""
    if isinstance(error, av.error.ArgumentError) or head.startswith((b"#EXTM3U", b"ffconcat", b"<MPD", b"<?xml")):
        return "a playlist or a format that is not read; give the media file itself."
    if head[4:8] == _NO_INDEX:
        return "an mp4 whose index (moov) is missing or damaged: cut short or still being written; copy it again."
    if isinstance(error, (av.error.TimeoutError, av.error.ExitError)):
        return "did not open in time; copy it to a local disk."
    if head and all(byte in b"\t\r\n\f\b" or 32 <= byte < 127 for byte in head):
        return "text, not audio or video; give a media file."
    return "not audio, video or an image that can be read, or damaged at its start; check that it plays elsewhere."


def picture_stream(container: "av.container.InputContainer") -> Any:
    """The video stream to use, or None. Cover art and thumbnails are not a picture."""
    skipped = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & skipped and s.codec_context is not None]
    return max(streams, key=lambda s: (bool(s.disposition & 1), s.width * s.height), default=None)


def sound_stream(container: "av.container.InputContainer") -> Any:
    """The audio stream to use, or None: the default one, else the first."""
    streams = [s for s in container.streams.audio if s.codec_context is not None]
    return max(streams, key=lambda s: (bool(s.disposition & 1), -s.index), default=None)


def has_cover(container: "av.container.InputContainer") -> bool:
    return any(s.disposition & av.stream.Disposition.attached_pic for s in container.streams.video)


def span_of(stream: Any, container: "av.container.InputContainer") -> Span:
    """When a stream starts and ends by the container's own account."""
    base = container.start_time / av.time_base if container.start_time is not None else 0.0
    start = float(stream.start_time * stream.time_base) if stream.start_time is not None else base
    if stream.duration:
        return Span(start, start + float(stream.duration * stream.time_base))
    tagged = _tagged_seconds(stream.metadata)
    if tagged is not None:
        return Span(start, max(tagged, start))
    if container.duration:
        return Span(start, base + container.duration / av.time_base)
    return Span(start, None)


def _tagged_seconds(metadata: dict[str, str]) -> float | None:
    """Matroska says when each track ends in a tag such as DURATION=00:00:03.000000000."""
    for name, value in metadata.items():
        if name.upper().split("-")[0] == "DURATION":
            try:
                hours, minutes, seconds = value.split(":")
                return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            except ValueError:
                return None
    return None

"""Odd media, made with PyAV: small, deterministic, each with one property worth a test.

Every picture frame carries its number: its grey level is `grey_of(number)`, in the whole frame, so that a decoded
frame tells which one it was.
"""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

FPS = 30


def grey_of(number: int) -> int:
    """Grey levels of neighbouring frames differ by at least 20."""
    return 30 + (number * 83) % 191


def tone(seconds: float, rate: int, hz: float = 440.0, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def picture_frames(times: list[int], width: int, height: int) -> list[av.VideoFrame]:
    """One frame per time-stamp (ticks)."""
    texture = np.random.default_rng(0).integers(-8, 9, (height, width, 1))
    made = []
    for number, time in enumerate(times):
        pixels = np.clip(texture + grey_of(number), 0, 255).astype(np.uint8).repeat(3, axis=2)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts = time
        made.append(frame)
    return made


def sound_frames(channels: np.ndarray, rate: int, layout: str, start: float = 0.0) -> list[av.AudioFrame]:
    """(n_channels, samples) float32 as frames of 1024 samples."""
    made = []
    for at in range(0, channels.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(channels[:, at : at + 1024]), format="fltp", layout=layout
        )
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = round(start * rate) + at
        made.append(frame)
    return made


def write(
    path: Path,
    *,
    seconds: float = 2.0,
    times: list[int] | None = None,
    video: str | None = "libx264",
    size: tuple[int, int] = (64, 48),
    keyframe_every: int = 15,
    audio: str | None = "aac",
    channels: np.ndarray | None = None,
    rate: int = 44100,
    layout: str = "mono",
    sound_start: float = 0.0,
    rotation: int = 0,
    video_options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
) -> Path:
    """Write a container; its kind follows the suffix of `path`. `times` are in 1/1000 s (default: 30 a second)."""
    with av.open(str(path), "w") as container:
        tracks = []
        if video:
            stream = container.add_stream(video, rate=FPS)
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            stream.gop_size = keyframe_every
            clock = Fraction(1, FPS) if times is None else Fraction(1, 1000)
            stream.codec_context.time_base = clock
            stream.thread_count = 1
            stream.options = video_options or ({"preset": "ultrafast", "bf": "2"} if video == "libx264" else {})
            if rotation:
                stream.set_display_rotation(rotation)
            ticks = list(range(round(seconds * FPS))) if times is None else times
            frames = picture_frames(ticks, *size)
            for frame in frames:
                frame.time_base = clock
            tracks.append((stream, frames))
        if audio:
            stream = container.add_stream(audio, rate=rate)
            stream.layout = layout
            sound = tone(seconds, rate)[None] if channels is None else channels
            resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate)
            tracks.append(
                (stream, [out for f in sound_frames(sound, rate, layout, sound_start) for out in resampler.resample(f)])
            )
        packets = [p for stream, frames in tracks for f in (*frames, None) for p in stream.encode(f)]
        packets.sort(key=lambda p: float((p.dts if p.dts is not None else p.pts or 0) * p.time_base))
        container.mux(packets)
    return path


def write_wav(path: Path, rate: int = 16000, seconds: float = 1.0, n_channels: int = 1, level: float = 0.3) -> Path:
    samples = (tone(seconds, rate, level=level) * 32767).astype("<i2").repeat(n_channels)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(n_channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def write_image(path: Path, size: tuple[int, int] = (80, 60), **options) -> Path:
    half = np.zeros((size[1], size[0], 3), np.uint8)
    half[:, : size[0] // 2] = (255, 0, 0)
    Image.fromarray(half).save(path, **options)
    return path


def write_gif(path: Path, n_frames: int = 4, seconds_each: float = 0.5) -> Path:
    made = [Image.new("L", (40, 30), grey_of(i)) for i in range(n_frames)]
    made[0].save(path, save_all=True, append_images=made[1:], duration=round(seconds_each * 1000), loop=0)
    return path


def zoo(folder: Path) -> dict[str, Path]:
    """One of each container and codec, sound and picture, for damage and leak tests."""
    small = {"seconds": 1.0}
    return {
        "mp4": write(folder / "zoo.mp4", **small),
        "mkv": write(folder / "zoo.mkv", **small, audio="flac"),
        "webm": write(folder / "zoo.webm", **small, video="libvpx", audio="libopus", rate=48000),
        "avi": write(folder / "zoo.avi", **small, video="mpeg4", audio="libmp3lame"),
        "ts": write(folder / "zoo.ts", **small),
        "mov": write(folder / "zoo.mov", **small, video="mjpeg", audio="pcm_s16le", pix_fmt="yuvj420p"),
        "hevc": write(
            folder / "zoo_hevc.mp4", **small, video="libx265", video_options={"x265-params": "log-level=none"}
        ),
        "wav": write_wav(folder / "zoo.wav"),
        "mp3": write(folder / "zoo.mp3", **small, video=None, audio="libmp3lame"),
        "flac": write(folder / "zoo.flac", **small, video=None, audio="flac"),
        "ogg": write(folder / "zoo.ogg", **small, video=None, audio="libopus", rate=48000),
        "gif": write_gif(folder / "zoo.gif"),
        "png": write_image(folder / "zoo.png"),
        "jpg": write_image(folder / "zoo.jpg"),
    }


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A copy with bytes overwritten, zeroed, cut out, cut off or put in, by the generator's choice."""
    kind = rng.integers(5)
    at = int(rng.integers(len(data)))
    n = int(rng.integers(1, max(2, len(data) // 8)))
    if kind == 0:
        spoilt = np.frombuffer(data, np.uint8).copy()
        where = rng.integers(0, len(data), int(rng.integers(1, 64)))
        spoilt[where] = rng.integers(0, 256, len(where))
        return spoilt.tobytes()
    if kind == 1:
        return data[:at] + bytes(len(data[at : at + n])) + data[at + n :]
    if kind == 2:
        return data[:at] + data[at + n :]
    if kind == 3:
        return data[:at]
    return data[:at] + rng.integers(0, 256, n, dtype=np.uint8).tobytes() + data[at:]

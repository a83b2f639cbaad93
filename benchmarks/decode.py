"""Finding frames: Earsight's planner beside each fixed strategy, on the same clips, moments and output size.

    python -m benchmarks.decode

Comparators, each timed from opening the file to RGB frames of 260x260: PyAV in one pass (threads AUTO, only wanted
frames converted), PyAV seeking for each frame, torchcodec (exact mode, 2 threads, resized by its own decoder
transform where it has one). They take turns; the figure is the best of several turns.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from earsight.media import Limits, Sampling, container, load_clip, plan, probe
from earsight.media.source import resolved

SIZE = (260, 260)
TURNS = 5
TARGET = 1.05  # of the best comparator
CLIPS = (  # name, width, height, seconds, keyframe every, frame counts
    ("60 s 1280x720, keyframe every 250", 1280, 720, 60, 250, (8, 32, 60, 120)),
    ("10 s 640x360, keyframe every 30", 640, 360, 10, 30, (8, 10, 32, 60, 120)),
)


def make(path: Path, width: int, height: int, seconds: int, keyframe_every: int) -> Path:
    """A moving texture with a tone: 30 frames a second, H.264 with B-frames and one slice a frame, AAC."""
    texture = np.random.default_rng(0).integers(0, 255, (height // 8, width // 2, 3), dtype=np.uint8)
    texture = texture.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as out:
        video, audio = out.add_stream("libx264", rate=30), out.add_stream("aac", rate=44100, layout="stereo")
        video.width, video.height, video.pix_fmt, video.gop_size = width, height, "yuv420p", keyframe_every
        video.thread_type = "FRAME"  # slice threads would cut each frame into slices, which ordinary files do not have
        video.options = {"preset": "veryfast"}
        for number in range(30 * seconds):
            left = number * 3 % (3 * width)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(texture[:height, left : left + width]))
            frame.pts = number
            out.mux(video.encode(frame))
        tone = (0.3 * np.sin(np.arange(44100 * seconds) / 16)).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
        sound.sample_rate, sound.pts = 44100, 0
        out.mux(audio.encode(sound))
        out.mux(video.encode())
        out.mux(audio.encode())
    return path


def moments_of(path: Path, n_frames: int) -> list[float]:
    length = probe(path).duration_seconds or 0.0
    return [round(i * int(length) / n_frames, 6) for i in range(n_frames)]


def earsight(path: Path, n_frames: int) -> list[np.ndarray]:
    limits = Limits()
    sampling = Sampling(n_frames=n_frames, frame_size=SIZE)
    with resolved(path, limits) as given, container.opened(given, limits) as opened:
        stream = container.picture_stream(opened)
        span = container.span_of(stream, opened)
        return plan.find_frames(given, opened, stream, span.start, span.end, sampling, limits)[0].frames


def _rgb(frame: av.VideoFrame) -> np.ndarray:
    return frame.reformat(width=SIZE[0], height=SIZE[1], format="rgb24").to_ndarray()


def pyav_one_pass(path: Path, moments: list[float]) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    with av.open(str(path)) as opened:
        stream = opened.streams.video[0]
        stream.thread_type = "AUTO"
        before = None
        for frame in opened.decode(stream):
            while len(found) < len(moments) and before is not None and frame.time > moments[len(found)] + 1e-6:
                found.append(_rgb(before))
            if len(found) == len(moments):
                break
            before = frame
        while len(found) < len(moments):
            found.append(_rgb(before))
    return found


def pyav_seek(path: Path, moments: list[float]) -> list[np.ndarray]:
    found = []
    with av.open(str(path)) as opened:
        stream = opened.streams.video[0]
        stream.thread_type = "AUTO"
        for moment in moments:
            opened.seek(int(moment / stream.time_base), stream=stream)
            before = None
            for frame in opened.decode(stream):
                if before is not None and frame.time > moment + 1e-6:
                    break
                before = frame
            found.append(_rgb(before))
    return found


def torchcodec_exact() -> Callable[[Path, list[float]], list[np.ndarray]] | None:
    """The comparator, or None where torchcodec or its FFmpeg libraries are missing."""
    try:
        from torchcodec.decoders import VideoDecoder
        from torchcodec.transforms import Resize
    except (ImportError, RuntimeError, OSError):
        return None

    def decode(path: Path, moments: list[float]) -> list[np.ndarray]:
        resize = [Resize(SIZE[::-1])]
        decoder = VideoDecoder(str(path), num_ffmpeg_threads=2, dimension_order="NHWC", transforms=resize)
        return list(decoder.get_frames_played_at(moments).data.numpy())

    return decode


def timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - began)


def row(path: Path, n_frames: int, torchcodec: Callable | None) -> tuple[str, bool]:
    """One line of the table, and whether the target is met."""
    moments = moments_of(path, n_frames)
    ways: dict[str, Callable[[], list]] = {
        "earsight": lambda: earsight(path, n_frames),
        "one pass": lambda: pyav_one_pass(path, moments),
        "seek": lambda: pyav_seek(path, moments),
    }
    if torchcodec is not None:
        ways["torchcodec"] = lambda: torchcodec(path, moments)
    counts = {name: len(way()) for name, way in ways.items()}  # once unmeasured
    assert set(counts.values()) == {n_frames}, counts
    best = {name: float("inf") for name in ways}
    for _ in range(TURNS):
        for name, way in ways.items():
            if best[name] < 3 * best["earsight"] or best[name] == float("inf"):  # a hopeless one needs one turn
                best[name] = min(best[name], timed(way))
    ratio = best["earsight"] / min(value for name, value in best.items() if name != "earsight")
    cells = [f"{best[name]:.0f} ms" if name in best else "-" for name in ("earsight", "one pass", "seek", "torchcodec")]
    used = load_clip(path, Sampling(n_frames=n_frames), audio="ignore").decode_plan
    return f"| {n_frames} | {' | '.join(cells)} | {ratio:.2f} | {used} |", ratio <= TARGET


def keyframe_rows(path: Path) -> None:
    print("\n| other, on the 10 s clip | best |\n|---|---|")
    tolerant = Sampling(n_frames=10, frame_size=SIZE, tolerance_seconds=0.5)
    cases: dict[str, Callable[[], object]] = {
        "10 frames, tolerance 0.5 s (keyframes)": lambda: load_clip(path, tolerant, audio="ignore"),
        "10 frames and sound": lambda: load_clip(path, Sampling(n_frames=10)),
        "probe": lambda: probe(path),
    }
    for name, case in cases.items():
        print(f"| {name} | {min(timed(case) for _ in range(3 * TURNS)):.1f} ms |")


def main() -> None:
    torchcodec = torchcodec_exact()
    print(f"{os.cpu_count()} cores; best of {TURNS} turns, ratio to the best comparator, target {TARGET} at most.")
    if torchcodec is None:
        print("torchcodec is left out: it or the FFmpeg libraries it needs are not installed.")
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, width, height, seconds, every, counts) in enumerate(CLIPS):
            path = make(Path(folder) / f"{number}.mp4", width, height, seconds, every)
            print(f"\n| {name}: frames | Earsight | PyAV one pass | PyAV seek | torchcodec | ratio | plan |")
            print("|---|---|---|---|---|---|---|")
            for n_frames in counts:
                line, met = row(path, n_frames, torchcodec)
                missed += not met
                print(line, flush=True)
        keyframe_rows(path)
    print(f"\n{'every row meets the target' if not missed else f'{missed} rows miss the target'}")


if __name__ == "__main__":
    main()

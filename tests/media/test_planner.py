"""The planner takes shortcuts; these tests hold it to what decoding everything gives."""

import generate
import numpy as np
import pytest

from earsight.media import Limits, Sampling, container, frames, load_clip, plan
from earsight.media.source import resolved

SIZE = (48, 40)


def both_ways(path, sampling):
    """(planned, decoded one by one from the start) for the same moments."""
    limits = Limits()
    with resolved(path, limits) as given:
        with container.opened(given, limits) as opened:
            stream = container.picture_stream(opened)
            span = container.span_of(stream, opened)
            planned, _ = plan.find_frames(given, opened, stream, span.start, span.end, sampling, limits)
        with container.opened(given, limits) as opened:
            moments, _ = sampling.moments(span.start, span.end)
            return planned, frames.one_pass(opened, container.picture_stream(opened), moments, sampling.frame_size)


FILMS = {
    "h264.mp4": {"keyframe_every": 20, "video_options": {"bf": "3", "b-pyramid": "normal", "preset": "veryfast"}},
    "h264_open.mp4": {"keyframe_every": 20, "video_options": {"bf": "3", "x264-params": "open-gop=1:min-keyint=5"}},
    "h264.mkv": {"keyframe_every": 40},
    "h264.ts": {"keyframe_every": 20},
    "hevc.mp4": {
        "video": "libx265",
        "keyframe_every": 20,
        "video_options": {"x265-params": "log-level=none:bframes=4"},
    },
    "vp8.webm": {"video": "libvpx", "audio": None, "keyframe_every": 25},
    "vp9.webm": {"video": "libvpx-vp9", "audio": None, "keyframe_every": 25, "video_options": {"cpu-used": "8"}},
    "mpeg4.avi": {"video": "mpeg4", "audio": "libmp3lame", "video_options": {"bf": "2"}},
    "mpeg4.mp4": {"video": "mpeg4", "video_options": {"bf": "2"}},
    "mpeg2.ts": {"video": "mpeg2video", "video_options": {"bf": "2"}},
    "mjpeg.mov": {"video": "mjpeg", "pix_fmt": "yuvj420p"},
}


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("n_frames", [1, 5, 37, 200])
def test_planned_frames_are_exactly_those_of_decoding_everything(folder, name, n_frames):
    path = folder / f"plan_{name}"
    if not path.exists():
        generate.write(path, seconds=5, size=(96, 80), **FILMS[name])
    planned, plain = both_ways(path, Sampling(n_frames=n_frames, frame_size=SIZE))
    assert planned.times == plain.times
    assert all(np.array_equal(a, b) for a, b in zip(planned.frames, plain.frames, strict=True))
    assert planned.n_damaged == 0


def test_sparse_frames_of_a_long_film_are_found_by_seeking(folder):
    path = generate.write(folder / "sparse.mp4", seconds=20, keyframe_every=15, audio=None)
    clip = load_clip(path, Sampling(n_frames=4, frame_size=SIZE))
    assert clip.decode_plan == "seek" and np.allclose(clip.frame_times, [0, 5, 10, 15])


def test_a_declared_tolerance_takes_keyframes_within_it(folder):
    path = generate.write(
        folder / "keys.mp4", seconds=6, keyframe_every=30, audio=None, video_options={"x264-params": "scenecut=0"}
    )
    clip = load_clip(path, Sampling(n_frames=6, frame_size=SIZE, tolerance_seconds=0.5), start_seconds=0.2)
    assert clip.decode_plan == "keyframes"
    assert np.allclose(clip.frame_times[1:] + 0.2, np.arange(1, 6))
    assert np.abs(clip.frame_times - np.arange(6) * 5.8 / 6).max() <= 0.5 + 1e-6


def test_a_keyframe_interval_too_long_to_hold_is_decoded_in_one_pass(folder, monkeypatch):
    path = generate.write(folder / "endless.mp4", seconds=5, keyframe_every=1000, audio=None)
    expected = load_clip(path, Sampling(frame_size=SIZE))
    monkeypatch.setattr("earsight.media.segments.MAX_PACKETS", 50)
    clip = load_clip(path, Sampling(frame_size=SIZE))
    assert clip.decode_plan == "one pass" and np.array_equal(clip.frames, expected.frames)


def test_two_runs_give_the_same_clip(folder):
    path = generate.write(folder / "twice.mp4", seconds=3)
    first, second = load_clip(path), load_clip(path)
    assert np.array_equal(first.frames, second.frames) and np.array_equal(first.waveform, second.waveform)

"""One test for each row of the table in docs/media.md."""

import subprocess
import sys

import av
import generate
import numpy as np
import pytest

from earsight.errors import MediaError
from earsight.media import Limits, Sampling, load_clip, probe

EVERY_FRAME = Sampling(frames_per_second=30, max_frames=1000, frame_size=(16, 16))


def refusal(source, **options) -> str:
    """The one line a medium is refused with, by load_clip."""
    with pytest.raises(MediaError) as caught:
        load_clip(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def numbers(clip) -> list[float]:
    return [float(frame.mean()) for frame in clip.frames]


def rms(waveform) -> float:
    return float(np.sqrt(np.mean(np.square(waveform))))


def test_a_film_gives_frames_and_sound_on_one_clock(folder):
    clip = load_clip(generate.write(folder / "film.mp4", seconds=3), Sampling(frame_size=(20, 10)))
    assert clip.frames.shape == (3, 10, 20, 3) and clip.frames.dtype == np.uint8
    assert np.allclose(clip.frame_times, [0, 1, 2])
    assert clip.waveform.dtype == np.float32 and abs(len(clip.waveform) - 48000) < 1200
    assert (clip.picture, clip.sound, clip.waveform_start_seconds, clip.notes) == ("present", "present", 0.0, ())
    assert abs(clip.duration_seconds - 3) < 0.1
    expected = [generate.grey_of(i) for i in (0, 30, 60)]
    assert np.allclose(numbers(clip), expected, atol=6)


def test_a_film_without_sound_has_absent_sound(folder):
    clip = load_clip(generate.write(folder / "mute.mp4", audio=None))
    assert (clip.sound, len(clip.waveform), clip.picture) == ("absent", 0, "present")
    assert "no sound" in refusal(folder / "mute.mp4", audio="require")
    assert probe(folder / "mute.mp4").sound == "absent"


def test_sound_alone_has_absent_picture(folder):
    clip = load_clip(generate.write(folder / "alone.m4a", video=None))
    assert (clip.picture, clip.frames.shape, clip.sound) == ("absent", (0, 260, 260, 3), "present")
    assert "ignored" in refusal(folder / "alone.m4a", audio="ignore")


def test_silent_sound_is_kept_and_called_silent(folder):
    path = generate.write(folder / "silent.mp4", channels=np.zeros((1, 88200), np.float32))
    clip = load_clip(path)
    assert clip.sound == "silent" and len(clip.waveform) > 30000
    assert "silent" in refusal(path, audio="require")
    assert load_clip(path, audio="ignore").sound == "ignored"


def test_late_sound_starts_late_on_the_same_clock(folder):
    path = generate.write(folder / "late.mkv", seconds=3, audio="flac", rate=16000, sound_start=1.5)
    clip = load_clip(path)
    assert abs(clip.waveform_start_seconds - 1.5) < 0.01
    assert clip.frame_times[0] == 0 and rms(clip.waveform[:1600]) > 0.1
    assert abs(clip.duration_seconds - 4.5) < 0.05
    later = load_clip(path, start_seconds=1.0)
    assert abs(later.waveform_start_seconds - 0.5) < 0.01
    assert load_clip(path, start_seconds=2.0).waveform_start_seconds == 0


def test_sound_longer_than_the_picture_is_kept_and_frames_end_with_the_picture(folder):
    for name in ("long.mkv", "long.mp4"):
        path = generate.write(folder / name, seconds=2, channels=generate.tone(5, 44100)[None])
        clip = load_clip(path)
        assert len(clip.frames) == 2 and abs(len(clip.waveform) / 16000 - 5) < 0.1, name
        assert abs(clip.duration_seconds - 5) < 0.1 and not clip.notes, (name, clip.notes)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_frame_rate_frames_are_those_on_the_screen(folder, suffix):
    rng = np.random.default_rng(3)
    times = np.cumsum(np.r_[0, rng.integers(20, 400, 40)]).tolist()
    path = generate.write(folder / f"variable.{suffix}", times=times, audio=None)
    clip = load_clip(path, Sampling(frames_per_second=2, max_frames=100, frame_size=(16, 16)))
    on_screen = [np.searchsorted(times, round(500 * i), side="right") - 1 for i in range(len(clip.frames))]
    assert len(clip.frames) >= times[-1] // 500
    assert np.allclose(numbers(clip), [generate.grey_of(i) for i in on_screen], atol=6)
    assert np.allclose(clip.frame_times, [times[i] / 1000 for i in on_screen], atol=0.002)
    assert probe(path).variable_frame_rate or suffix == "mkv"


def test_a_frame_held_on_the_screen_is_given_again_at_each_wanted_moment(folder):
    path = generate.write(folder / "slides.mkv", times=[0, 2500, 5000, 5100], audio=None)
    clip = load_clip(path, Sampling(frame_size=(16, 16)))
    assert np.allclose(clip.frame_times, [0, 1, 2, 2.5, 4, 5], atol=0.002)
    assert np.allclose(numbers(clip), [generate.grey_of(i) for i in (0, 0, 0, 1, 1, 2)], atol=6)


@pytest.mark.parametrize("rate", [5000, 8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_every_sample_rate_becomes_16_khz(folder, rate):
    clip = load_clip(generate.write_wav(folder / f"{rate}.wav", rate=rate, seconds=1.0))
    assert abs(len(clip.waveform) - 16000) <= 1
    peak = np.abs(np.fft.rfft(clip.waveform)).argmax() * 16000 / len(clip.waveform)
    assert abs(peak - 440) < 2
    assert abs(rms(clip.waveform) - 0.3 / np.sqrt(2)) < 0.01


def test_left_only_and_right_only_have_the_same_energy(folder):
    energies = []
    for side in (0, 1):
        channels = np.zeros((2, 16000), np.float32)
        channels[side] = generate.tone(1, 16000)
        path = generate.write(
            folder / f"side{side}.mkv", video=None, audio="flac", channels=channels, rate=16000, layout="stereo"
        )
        energies.append(rms(load_clip(path).waveform))
    assert energies[0] > 0.1 and abs(energies[0] - energies[1]) < 1e-4


def test_each_of_the_six_channels_of_surround_is_heard(folder):
    for channel in range(6):
        channels = np.zeros((6, 16000), np.float32)
        channels[channel] = generate.tone(1, 16000)
        path = generate.write(
            folder / f"surround{channel}.mkv", video=None, audio="flac", channels=channels, rate=16000, layout="5.1"
        )
        assert abs(rms(load_clip(path).waveform) - 0.3 / np.sqrt(2) / 6) < 0.002


def test_odd_trailing_bytes_of_a_wav_are_left_out(folder):
    path = generate.write_wav(folder / "odd.wav", n_channels=2)
    path.write_bytes(path.read_bytes() + b"\x01\x02\x03")
    assert abs(len(load_clip(path).waveform) - 16000) <= 1
    data = bytearray(path.read_bytes()[:-4])  # the last sample cut in the middle
    assert abs(len(load_clip(bytes(data)).waveform) - 16000) <= 2


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_rotation_is_honoured(folder, degrees):
    path = folder / f"turned{degrees}.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        if degrees:
            stream.set_display_rotation(degrees)
        pixels = np.zeros((32, 64, 3), np.uint8)
        pixels[:16, :32] = 255  # bright in the stored top left corner
        for i in range(30):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    clip = load_clip(path, Sampling(frame_size=None))
    upright = np.rot90(pixels, degrees // 90)  # counterclockwise
    assert clip.frames.shape[1:] == upright.shape
    assert np.abs(clip.frames[0].astype(int) - upright).mean() < 12
    assert load_clip(path, Sampling(frame_size=(20, 40))).frames.shape[1:3] == (40, 20)
    info = probe(path)
    assert (info.width, info.height) == upright.shape[1::-1]


def test_an_mp4_cut_before_its_index_is_refused(folder):
    data = generate.write(folder / "whole.mp4").read_bytes()
    assert "index (moov)" in refusal(data[: len(data) // 2])


def test_an_mkv_cut_short_is_used_as_far_as_it_goes_and_that_is_noted(folder):
    data = generate.write(folder / "whole.mkv", seconds=6).read_bytes()
    (folder / "cut.mkv").write_bytes(data[: len(data) // 2])
    clip = load_clip(folder / "cut.mkv", Sampling(n_frames=8, frame_size=(16, 16)))
    assert clip.picture == clip.sound == "present"
    assert any("cut short" in note for note in clip.notes)
    assert len(clip.frames) == 8 and clip.frame_times[-1] > 1.5 and (np.diff(clip.frame_times) > 0).all()
    assert 2 < clip.duration_seconds < 4


def test_an_empty_file_is_refused(folder):
    (folder / "empty.mp4").touch()
    assert "empty" in refusal(folder / "empty.mp4") and "empty" in refusal(b"")


def test_corrupt_packets_in_the_middle_are_skipped_and_counted(folder):
    path = generate.write(folder / "spoilt.mkv", seconds=4, rate=16000, audio="flac")
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for at in range(len(data) // 3, len(data) * 2 // 3, 400):
        data[at : at + 12] = rng.bytes(12)
    clip = load_clip(bytes(data), EVERY_FRAME)
    assert clip.picture == clip.sound == "present" and len(clip.frames) > 60
    assert any("damaged" in note for note in clip.notes)


def test_a_still_image_is_one_frame_without_times(folder):
    for name in ("still.png", "still.jpg", "still.webp", "still.bmp"):
        clip = load_clip(generate.write_image(folder / name), Sampling(frame_size=(40, 30)))
        assert clip.frames.shape == (1, 30, 40, 3) and clip.duration_seconds == 0
        assert (clip.picture, clip.sound, clip.decode_plan) == ("present", "absent", "still")
        assert clip.frames[0, 15, 5, 0] > 230 and clip.frames[0, 15, 35].max() < 25, name
        assert probe(folder / name).picture == "still"


def test_a_gif_is_a_film_without_sound(folder):
    clip = load_clip(generate.write_gif(folder / "four.gif"), Sampling(frames_per_second=2, frame_size=(16, 16)))
    assert np.allclose(clip.frame_times, [0, 0.5, 1, 1.5])
    assert np.allclose(numbers(clip), [generate.grey_of(i) for i in range(4)], atol=3)
    assert abs(clip.duration_seconds - 2) < 0.02 and clip.sound == "absent"


def test_a_film_of_one_frame_gives_it(folder):
    clip = load_clip(generate.write(folder / "one.mp4", times=[0], audio=None))
    assert len(clip.frames) == 1 and clip.frame_times[0] == 0


def test_frames_20000_pixels_wide_are_scaled_and_larger_ones_than_the_limit_refused(folder):
    path = generate.write(
        folder / "wide.mkv", times=[0, 33], size=(20000, 16), video="mjpeg", audio=None, pix_fmt="yuvj420p"
    )
    assert load_clip(path).frames.shape[1:] == (260, 260, 3)
    assert "pixels" in refusal(path, limits=Limits(max_pixels=100_000))
    generate.write_image(folder / "wide.png", size=(20000, 16))
    assert "pixels" in refusal(folder / "wide.png", limits=Limits(max_pixels=100_000))


def test_text_named_mp4_a_directory_and_a_missing_file_are_refused(folder):
    (folder / "text.mp4").write_text("This is a shopping list.\n" * 40)
    assert "text" in refusal(folder / "text.mp4")
    assert "directory" in refusal(folder)
    assert "no such file" in refusal(folder / "missing.mp4")


def test_cover_art_is_not_a_picture(folder):
    cover = generate.write_image(folder / "cover.jpg", size=(32, 32)).read_bytes()
    sound = generate.write(folder / "plain.mp3", video=None, audio="libmp3lame").read_bytes()
    body = b"\0image/jpeg\0\x03\0" + cover
    frame = b"APIC" + len(body).to_bytes(4, "big") + b"\0\0" + body
    n = len(frame)
    size = bytes((n >> shift) & 0x7F for shift in (21, 14, 7, 0))
    start = sound.find(b"\xff\xfb")
    clip = load_clip(b"ID3\x03\0\0" + size + frame + sound[start:])
    assert clip.picture == "absent" and clip.sound == "present"
    assert any("cover" in note for note in clip.notes)


def test_start_and_end_hold_for_picture_and_sound(folder):
    path = generate.write(folder / "span.mp4", seconds=6, rate=16000)
    clip = load_clip(path, Sampling(frames_per_second=2, frame_size=(16, 16)), start_seconds=2, end_seconds=4)
    assert np.allclose(clip.frame_times, [0, 0.5, 1, 1.5])
    assert np.allclose(numbers(clip), [generate.grey_of(i) for i in (60, 75, 90, 105)], atol=6)
    assert abs(len(clip.waveform) - 32000) <= 2 and abs(clip.duration_seconds - 2) < 0.01
    assert "earlier start" in refusal(path, start_seconds=60)
    assert "end after" in refusal(path, start_seconds=3, end_seconds=2)


def test_a_longer_span_than_max_frames_is_thinned_evenly_and_that_is_noted(folder):
    path = generate.write(folder / "many.mp4", seconds=6)
    clip = load_clip(path, Sampling(max_frames=4, frame_size=(16, 16)))
    assert np.allclose(clip.frame_times, [0, 1.5, 3, 4.5], atol=0.05) and "spread" in clip.notes[0]
    assert load_clip(path, Sampling(max_seconds=2)).duration_seconds <= 2
    short = load_clip(path, limits=Limits(max_sound_seconds=1))
    assert abs(len(short.waveform) - 16000) <= 1 and any("cut" in note for note in short.notes)


def test_a_two_hour_file_stays_small_in_memory(folder):
    path = generate.write(
        folder / "hours.mkv", times=list(range(0, 7_200_000, 20_000)), keyframe_every=60, rate=8000, audio="flac",
        channels=np.tile(generate.tone(10, 8000), 720)[None],
    )  # fmt: skip
    script = (
        "import resource, sys; from earsight.media import load_clip, Sampling;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "clip = load_clip(sys.argv[1], Sampling(max_frames=16, max_seconds=None));"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "print(len(clip.frames), len(clip.waveform) // 16000, (after - before) // 1024, *clip.notes)"
    )
    out = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True).stdout
    n_frames, seconds, grown, *notes = out.split()
    assert (int(n_frames), int(seconds)) == (16, 3600) and "cut" in notes
    assert int(grown) < 700  # MB: an hour of 16 kHz float32 is 230, joined once


def test_nothing_is_printed_about_damaged_files(folder):
    data = generate.write(folder / "loud.mkv").read_bytes()
    (folder / "loud_cut.mkv").write_bytes(data[: len(data) // 2] + bytes(500) + data[len(data) // 2 + 500 : -900])
    script = "import sys; from earsight.media import load_clip; load_clip(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", script, str(folder / "loud_cut.mkv")], capture_output=True, check=True)
    assert done.stdout == done.stderr == b""


def test_a_late_picture_starts_late_on_the_same_clock(folder):
    times = list(range(1500, 3000, 33))
    clip = load_clip(generate.write(folder / "late_picture.mkv", times=times, audio="flac", rate=16000))
    assert np.allclose(clip.frame_times, [1.5, 2.5], atol=0.034) and clip.waveform_start_seconds == 0


def test_a_hole_in_the_sound_is_filled_so_that_the_rest_stays_in_place(folder):
    path = folder / "hole.mkv"
    tone = generate.tone(1.024, 16000)[None]
    frames = generate.sound_frames(tone, 16000, "mono") + generate.sound_frames(tone, 16000, "mono", start=3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16000)
        for frame in frames:
            for part in resampler.resample(frame):
                part.pts = frame.pts
                container.mux(stream.encode(part))
        container.mux(stream.encode())
    heard = load_clip(path).waveform
    assert abs(len(heard) / 16000 - 4.024) < 0.01
    assert rms(heard[:16000]) > 0.2 and rms(heard[17600:47000]) < 0.001 and rms(heard[48200:64000]) > 0.2


def test_an_animated_image_gives_its_first_frame_and_transparency_becomes_white(folder):
    from PIL import Image

    made = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    made[0].save(folder / "two.png", save_all=True, append_images=made[1:])
    clip = load_clip(folder / "two.png")
    assert clip.frames[0, 0, 0].tolist() == [255, 0, 0] and "first" in clip.notes[0]
    assert (load_clip(Image.new("RGBA", (8, 8), (255, 0, 0, 0))).frames == 255).all()


def test_the_first_of_several_sound_tracks_is_used_and_that_is_noted(folder):
    path = folder / "tracks.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("flac", rate=16000, layout="mono") for _ in range(2)]
        for stream, level in zip(streams, (0.3, 0.0), strict=True):
            resampler = av.AudioResampler(format="s16", layout="mono", rate=16000)
            for frame in generate.sound_frames(generate.tone(1, 16000, level=level)[None], 16000, "mono"):
                container.mux([p for part in resampler.resample(frame) for p in stream.encode(part)])
            container.mux(stream.encode())
    clip = load_clip(path)
    assert clip.sound == "present" and "2 sound tracks" in clip.notes[0]

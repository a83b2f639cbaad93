"""Makes a small clip from a photograph and a recording: the camera moves in slowly while the sound is heard.

python examples/compose_clip.py photo.webp sound.wav out.mp4 --seconds 5 --sound-at 1
"""

import argparse
from pathlib import Path

import av
import numpy as np
from PIL import Image

from earsight.media import Sampling, load_clip

WIDTH, HEIGHT, FRAMES_PER_SECOND, RATE_HZ = 480, 360, 12, 44100


def frame(photo: Image.Image, share: float) -> Image.Image:
    """The photograph, cut to the frame's shape, a share of it from the middle outwards."""
    scale = min(photo.width / WIDTH, photo.height / HEIGHT) * share
    width, height = WIDTH * scale, HEIGHT * scale
    left, top = (photo.width - width) / 2, (photo.height - height) / 2
    return photo.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def sound_track(path: Path, seconds: float, sound_at: float) -> np.ndarray:
    """(samples,) float32: quiet, then the recording, cut at the end."""
    clip = load_clip(path, Sampling(sample_rate_hz=RATE_HZ))
    track = np.zeros(round(seconds * RATE_HZ), dtype=np.float32)
    first = round(sound_at * RATE_HZ)
    heard = clip.waveform[: len(track) - first]
    track[first : first + len(heard)] = heard
    return track


def write(photo: Image.Image, track: np.ndarray, seconds: float, out: Path) -> None:
    """One H.264 and AAC file."""
    with av.open(str(out), "w") as container:
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"crf": "27"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=RATE_HZ, layout="mono")
        n_frames = round(seconds * FRAMES_PER_SECOND)
        for index in range(n_frames):
            picture = frame(photo, 1.0 - 0.2 * index / n_frames)
            container.mux(video.encode(av.VideoFrame.from_image(picture)))
        container.mux(video.encode())
        for start in range(0, len(track), 1024):
            block = av.AudioFrame.from_ndarray(track[None, start : start + 1024], format="fltp", layout="mono")
            block.sample_rate, block.pts = RATE_HZ, start
            container.mux(audio.encode(block))
        container.mux(audio.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("sound", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--sound-at", type=float, default=1.0)
    given = parser.parse_args()
    with Image.open(given.photo) as photo:
        picture = photo.convert("RGB")
    write(picture, sound_track(given.sound, given.seconds, given.sound_at), given.seconds, given.out)


if __name__ == "__main__":
    main()

"""A few made-up records with their media, for tiny trainings: tones, coloured squares, short films. Nothing is learnt
from them but that the path works."""

import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 210), "white": (235, 235, 235)}
TONES = {"low": 220, "middle": 440, "high": 880, "shrill": 1760}
RATE_HZ = 16000


def write_made_up(root: Path) -> Path:
    """Write sounds.jsonl, pictures.jsonl, films.jsonl and negatives.jsonl with their media, once."""
    if (root / "negatives.jsonl").is_file():
        return root
    root.mkdir(parents=True, exist_ok=True)
    for index, (tone, hertz) in enumerate(TONES.items()):
        _write_wave(root / f"{tone}.wav", _tone(hertz, 1.0 + 0.3 * index))
    for colour, value in COLOURS.items():
        _write_picture(root / f"{colour}.png", value)
    for (colour, value), (tone, hertz) in zip(COLOURS.items(), TONES.items(), strict=True):
        _write_film(root / f"{colour}_{tone}.mkv", value, _tone(hertz, 2.0))
    for name, records in _records().items():
        text = "".join(json.dumps(record) + "\n" for record in records)
        (root / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return root


def _records() -> dict[str, list[dict[str, Any]]]:
    pairs = list(zip(COLOURS, TONES, strict=True))
    films = [_record("films", f"{c}_{t}", "av_description", "video", f"{c}_{t}.mkv", _told(c, t)) for c, t in pairs]
    no = "No, it does not."
    return {
        "sounds": [
            _record("sounds", t, "audio_caption", "audio", f"{t}.wav", f"A {t} tone.", heard=["a tone", t], said=t)
            for t in TONES
        ],
        "pictures": [
            _record("pictures", c, "image_caption", "image", f"{c}.png", f"A {c} square.", seen=["a square", c])
            for c in COLOURS
        ],
        "films": films,
        "negatives": [_record("negatives", f"{c}_{t}", "av_matching", "video", f"{c}_{t}.mkv", no) for c, t in pairs],
    }


def _told(colour: str, tone: str) -> str:
    return f"A {colour} square and a {tone} tone."


def _record(source: str, name: str, task: str, kind: str, path: str, answer: str, **words: Any) -> dict[str, Any]:
    """`words` are what the objective "words" is to reach (`earsight.training.alignment`)."""
    question = {"audio": "What do you hear?", "image": "What do you see?", "video": "What do you see and hear?"}[kind]
    content = [{"type": kind, "path": path}, {"type": "text", "text": question}]
    told = [{"type": "text", "text": answer}]
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": told}]
    made = {"id": f"{source}/{name}", "source": source, "task": task, "messages": messages, "licence": "CC0-1.0"}
    return made | ({"extra": {"words": words}} if words else {})


def _tone(hertz: float, seconds: float) -> np.ndarray:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.2 * 32767 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


def _write_wave(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())


def _write_picture(path: Path, colour: tuple[int, int, int]) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64), colour).save(path)


def _frames(colour: tuple[int, int, int]) -> Iterator[np.ndarray]:
    for index in range(8):
        frame = np.full((64, 64, 3), 90, dtype=np.uint8)
        frame[8:40, 4 * index : 4 * index + 24] = colour
        yield frame


def _write_film(path: Path, colour: tuple[int, int, int], samples: np.ndarray) -> None:
    import av

    with av.open(str(path), "w") as container:
        picture: Any = container.add_stream("ffv1", rate=4)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound: Any = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for frame in _frames(colour):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(picture.encode())
        heard = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        heard.sample_rate = RATE_HZ
        container.mux(sound.encode(heard))
        container.mux(sound.encode())

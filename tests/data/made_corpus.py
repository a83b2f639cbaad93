"""A small corpus of generated pictures and sounds, with voices that are tones: no package is read."""

import numpy as np
import soundfile
from PIL import Image

from earsight.data.starter.corpus import SAMPLE_RATE_HZ, Corpus, Item

OBJECTS = {"owl": "bird", "cow": "mammal", "drum": "instrument", "crow": "bird", "bus": "vehicle"}
SIDES = ("train", "val", "test", "val_known", "test_known")


def write_corpus(folder):
    """One picture and one sound of every object on every side, and two backgrounds a side."""
    rng = np.random.default_rng(0)
    pictures, sounds = [], []
    for name in ("pictures", "sounds", "backgrounds"):
        (folder / name).mkdir(parents=True)
    for split in SIDES:
        for name, kind in OBJECTS.items():
            # An object of one side is no object of another but for the known ones.
            key = name if split in ("train", "val_known", "test_known") else f"{split} {name}"
            drawn = np.zeros((80, 60, 4), dtype=np.uint8)
            drawn[10:70, 5:55] = (*rng.integers(0, 255, 3), 255)
            Image.fromarray(drawn).save(folder / "pictures" / f"{split}-{name}.png")
            tone = np.sin(np.arange(12000) * rng.uniform(0.05, 0.5)).astype(np.float32) * 0.5
            soundfile.write(folder / "sounds" / f"{split}-{name}.wav", tone, SAMPLE_RATE_HZ)
            shared = (key, name, kind)
            where = folder / "pictures" / f"{split}-{name}.png"
            pictures.append(Item(f"p-{split}-{name}", *shared, where, "made", "CC0", split))
            where = folder / "sounds" / f"{split}-{name}.wav"
            sounds.append(Item(f"s-{split}-{name}", *shared, where, "made", "CC0", split))
        for number in range(2):
            photo = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(photo).save(folder / "backgrounds" / f"{split}-{number}.png")
    return Corpus(pictures, sounds, "0" * 64, ())


class Tones:
    """Stands for the synthesizers, which are programs of packages: a sentence is a tone as long as it is."""

    def speak(self, voice, text):
        pitch = 0.05 + sum(voice.encode()) % 7 / 50
        return (np.sin(np.arange(800 * len(text)) * pitch) * 0.5).astype(np.float32)

"""The starter corpus as records, for the published trainings at the starter's scale: views of training items.

pictures.jsonl   a picture, asked what it shows            sounds.jsonl      a sound, asked what it is
films.jsonl      a picture with a sound, asked of both     negatives.jsonl   a picture without sound, asked of it

Only the training side of the corpus is used: what is held out stays so.
"""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from earsight.data.questions import QUESTIONS, Scene, answer
from earsight.data.records import Record, write_jsonl
from earsight.data.starter_corpus import SAMPLE_RATE_HZ, Corpus, Item
from earsight.data.views import render_picture, render_sound

VIEWS = {"picture": 3, "sound": 4}  # of each item; the first is rendered as in validation, the others are varied
SAME_OBJECT = 0.5  # share of films whose sound is of the object that is shown, where there is one


def write_starter_records(root: Path, corpus: Corpus, seed: int = 17) -> Path:
    """Write the records with their media below `root`, once for a corpus and a seed."""
    folder = root / f"{corpus.hash[:12]}-{seed}"
    done = folder / "negatives.jsonl"  # the last to be written
    if done.is_file():
        return folder
    pictures, sounds = corpus.of("picture", "train"), corpus.of("sound", "train")
    _write_media(folder, pictures, sounds, seed)
    draw = random.Random(seed)
    write_jsonl(folder / "pictures.jsonl", _pictures(pictures, draw))
    write_jsonl(folder / "sounds.jsonl", _sounds(sounds, draw))
    write_jsonl(folder / "films.jsonl", _films(pictures, sounds, draw))
    write_jsonl(done, _negatives(pictures, draw))
    return folder


def _write_media(folder: Path, pictures: list[Item], sounds: list[Item], seed: int) -> None:
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for item, view in _views(pictures, "picture"):
        frame = render_picture(item, _rng(seed, item, view), split="train" if view else "val")
        Image.fromarray(frame).save(folder / _file(item, view, "png"))
    for item, view in _views(sounds, "sound"):
        waveform = render_sound(item, _rng(seed, item, view), split="train" if view else "val")
        soundfile.write(folder / _file(item, view, "wav"), waveform, SAMPLE_RATE_HZ)


def _rng(seed: int, item: Item, view: int) -> np.random.Generator:
    """A view's randomness is its own: adding an item leaves the others as they were."""
    digest = hashlib.sha256(f"{seed}/{item.id}@{view}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _views(items: list[Item], sense: str) -> Iterator[tuple[Item, int]]:
    return ((item, view) for item in items for view in range(VIEWS[sense]))


def _file(item: Item, view: int, ending: str) -> str:
    return f"{item.id}@{view}.{ending}"


def _record(name: str, source: str, task: str, medium: dict[str, Any], scene: Scene, draw: random.Random) -> Record:
    content = [medium, {"type": "text", "text": draw.choice(QUESTIONS[task])}]
    told = [{"type": "text", "text": answer(scene, task)}]
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": told}]
    return Record(f"{source}/{name}", source, task, messages)


def _pictures(items: list[Item], draw: random.Random) -> Iterator[Record]:
    for item, view in _views(items, "picture"):
        scene = Scene("present", "absent", item.kind, item.name)
        medium = {"type": "image", "path": _file(item, view, "png")}
        for task in ("see", "see_kind"):
            yield _record(f"{item.id}@{view}/{task}", "pictures", task, medium, scene, draw)


def _sounds(items: list[Item], draw: random.Random) -> Iterator[Record]:
    for item, view in _views(items, "sound"):
        scene = Scene("absent", "present", None, None, item.kind, item.name)
        medium = {"type": "audio", "path": _file(item, view, "wav")}
        for task in ("hear", "hear_kind"):
            yield _record(f"{item.id}@{view}/{task}", "sounds", task, medium, scene, draw)


def _films(pictures: list[Item], sounds: list[Item], draw: random.Random) -> Iterator[Record]:
    by_key: dict[str, list[Item]] = {}
    for sound in sounds:
        by_key.setdefault(sound.key, []).append(sound)
    for picture, view in _views(pictures, "picture"):
        same = by_key.get(picture.key, []) if draw.random() < SAME_OBJECT else []
        sound = draw.choice(same or sounds)
        heard = _file(sound, draw.randrange(VIEWS["sound"]), "wav")
        scene = Scene("present", "present", picture.kind, picture.name, sound.kind, sound.name)
        medium = {"type": "image", "path": _file(picture, view, "png"), "sound": heard}
        task = draw.choice(("both", "both", "see_kind", "hear_kind"))
        yield _record(f"{picture.id}@{view}/{task}", "films", task, medium, scene, draw)


def _negatives(pictures: list[Item], draw: random.Random) -> Iterator[Record]:
    for picture, view in _views(pictures, "picture"):
        scene = Scene("present", "absent", picture.kind, picture.name)
        task = draw.choice(("hear", "any_sound"))
        medium = {"type": "image", "path": _file(picture, view, "png")}
        yield _record(f"{picture.id}@{view}/{task}", "negatives", task, medium, scene, draw)

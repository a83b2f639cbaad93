"""The starter corpus as records. Their media are addresses that are rendered when they are asked for (`rendering.py`).

pictures.jsonl   a picture, asked what it shows            sounds.jsonl      a sound, asked what it is
films.jsonl      a picture with a sound, asked of both     negatives.jsonl   a sense that is missing, asked of it
speech.jsonl     a spoken sentence, to be written down     composed.jsonl    clips whose course is known
prototypes.jsonl classes of the picture encoder, as features without a picture

Only the training side is used: what is held out stays so.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from earsight.data.records import Record, write_jsonl
from earsight.data.starter import corpus as starter_corpus
from earsight.data.starter.composed import Composer, Plan
from earsight.data.starter.corpus import Corpus, Item
from earsight.data.starter.licences import Tier
from earsight.data.starter.prototypes import PREFIX, prototype_items
from earsight.data.starter.questions import PICTURE_KINDS, QUESTIONS, SOUND_KINDS, UNNAMED_SOUNDS, Scene, answer
from earsight.data.starter.rendering import Renderer, address
from earsight.data.starter.sentences import sentences, side
from earsight.data.starter.voices import FLITE, TRAINED_VOICES, Voices

VERSION = "1"  # raise when what is written changes
VIEWS = {"picture": 4, "sound": 5}  # of each item; the first is rendered as in validation, the others are varied
FILMS = 3  # of each picture
SAME_OBJECT = 0.5  # share of films whose sound is of the object that is shown, where there is one
FLITE_SHARE = 3  # flite's voices speak so often for once of eSpeak's, whose formants are nobody's
COMPOSED = {
    "which_side": 500,
    "direction": 400,
    "when": 800,
    "which_first": 800,
    "coincide": 800,
    "how_many": 800,
    "nothing_there": 200,
    "matching": 1200,
    "spoken_question": 1200,
}
SOURCE_FILE = "corpus.json"  # beside the records: which corpus their addresses mean


def write_starter_records(
    root: Path,
    corpus: Corpus,
    cache_dir: Path,
    source_dir: Path | None = None,
    tier: Tier = "gpl",
    seed: int = 17,
) -> Path:
    """Write the records below `root`, once for a corpus and a seed; returns their folder."""
    folder = root / f"{corpus.hash[:12]}-{VERSION}-{seed}"
    done = folder / SOURCE_FILE  # the last to be written
    if done.is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    pictures, sounds = corpus.of("picture", "train"), corpus.of("sound", "train")
    draw = random.Random(seed)
    unseen = (item for item in (*corpus.pictures, *corpus.sounds) if item.split in ("val", "test"))
    write_jsonl(folder / "pictures.jsonl", _pictures(pictures, draw))
    write_jsonl(folder / "sounds.jsonl", _sounds(sounds, draw))
    write_jsonl(folder / "films.jsonl", _films(pictures, sounds, draw))
    write_jsonl(folder / "negatives.jsonl", _negatives(pictures, sounds, draw))
    write_jsonl(folder / "prototypes.jsonl", _prototypes(prototype_items(unseen), draw))
    spoken = [one for one in sentences(cache_dir, source_dir) if side(one) == "train"]
    write_jsonl(folder / "speech.jsonl", _speech(spoken, draw))
    composer = Composer(corpus, "train", TRAINED_VOICES)
    write_jsonl(folder / "composed.jsonl", _composed(composer))
    packages = str(source_dir) if source_dir else None
    places = {"cache": str(cache_dir), "packages": packages, "tier": tier, "hash": corpus.hash}
    done.write_text(json.dumps(places), encoding="utf-8")
    return folder


def renderer_of(root: Path) -> Renderer | None:
    """What renders the addresses of the records in a folder; None where they name files."""
    file = root / SOURCE_FILE
    if not file.is_file():
        return None
    places = json.loads(file.read_text(encoding="utf-8"))
    cache_dir, source_dir = Path(places["cache"]), Path(places["packages"]) if places["packages"] else None
    corpus = starter_corpus.build(cache_dir, source_dir, places.get("tier", "gpl"))
    return Renderer(corpus, Voices.unpacked(cache_dir, source_dir))


def record(
    name: str, source: str, task: str, medium: dict[str, Any], told: tuple[str, str], extra: dict[str, Any]
) -> Record:
    """One question about one medium, and its answer."""
    content = [medium, {"type": "text", "text": told[0]}]
    messages = [
        {"role": "user", "content": content},
        {"role": "assistant", "content": [{"type": "text", "text": told[1]}]},
    ]
    return Record(f"{source}/{name}", source, task, messages, extra=extra)


def words_of(picture: Item | None = None, sound: Item | None = None, said: str = "") -> dict[str, Any]:
    """What the first stage is to find in a medium (`earsight.training.alignment`)."""
    found: dict[str, Any] = {}
    if picture:
        found["seen"] = [PICTURE_KINDS[picture.kind], picture.name]
    if sound:
        found["heard"] = [SOUND_KINDS[sound.kind], "" if sound.kind in UNNAMED_SOUNDS else sound.name]
    if said:
        found["said"] = said
    return {"words": found}


def _views(items: Sequence[Item], sense: str) -> Iterator[tuple[Item, int]]:
    return ((item, view) for item in items for view in range(VIEWS[sense]))


def _told(scene: Scene, task: str, draw: random.Random) -> tuple[str, str]:
    return draw.choice(QUESTIONS[task]), answer(scene, task)


def _pictures(items: Sequence[Item], draw: random.Random) -> Iterator[Record]:
    for item, view in _views(items, "picture"):
        scene = Scene("present", "absent", item.kind, item.name)
        medium = {"type": "image", "path": address("picture", item.id, view)}
        for task in ("see", "see_kind", "see_name", draw.choice(("animal", "any_picture", "see_name"))):
            told = _told(scene, task, draw)
            yield record(f"{item.id}@{view}/{task}", "pictures", task, medium, told, words_of(item))


def _prototypes(items: Sequence[Item], draw: random.Random) -> Iterator[Record]:
    for item, view in _views(items, "picture"):
        scene = Scene("present", "absent", item.kind, item.name)
        medium = {"type": "image", "path": f"{PREFIX}{item.id}/{view}"}
        task = draw.choice(("see", "see_kind", "see_name"))
        told = _told(scene, task, draw)
        yield record(f"{item.id}@{view}/{task}", "prototypes", task, medium, told, words_of(item))


def _sounds(items: Sequence[Item], draw: random.Random) -> Iterator[Record]:
    for item, view in _views(items, "sound"):
        scene = Scene("absent", "present", None, None, item.kind, item.name)
        medium = {"type": "audio", "path": address("sound", item.id, view)}
        more = ("any_sound", "see", "hear_name") if item.kind in UNNAMED_SOUNDS else ("any_sound", "see", "transcribe")
        for task in ("hear", "hear_kind", "hear_name", draw.choice(more)):
            told = _told(scene, task, draw)
            yield record(f"{item.id}@{view}/{task}", "sounds", task, medium, told, words_of(None, item))


def _films(pictures: Sequence[Item], sounds: Sequence[Item], draw: random.Random) -> Iterator[Record]:
    by_key: dict[str, list[Item]] = {}
    for sound in sounds:
        by_key.setdefault(sound.key, []).append(sound)
    for picture in pictures:
        for turn in range(FILMS):
            same = by_key.get(picture.key, []) if draw.random() < SAME_OBJECT else []
            sound = draw.choice(same or sounds)
            scene = Scene("present", "present", picture.kind, picture.name, sound.kind, sound.name)
            medium = {
                "type": "image",
                "path": address("picture", picture.id, draw.randrange(VIEWS["picture"])),
                "sound": address("sound", sound.id, draw.randrange(VIEWS["sound"])),
            }
            for task in ("both", draw.choice(("see_kind", "see_name", "see", "any_picture"))):
                told = _told(scene, task, draw)
                yield record(f"{picture.id}@{turn}/{task}", "films", task, medium, told, words_of(picture, sound))
            task = draw.choice(("hear_kind", "hear_name", "hear", "any_sound"))
            told = _told(scene, task, draw)
            yield record(f"{picture.id}@{turn}/{task}", "films", task, medium, told, words_of(picture, sound))


def _negatives(pictures: Sequence[Item], sounds: Sequence[Item], draw: random.Random) -> Iterator[Record]:
    """A sense that is absent, silent or was to be ignored, and a question that needs it."""
    for picture, view in _views(pictures, "picture"):
        state = draw.choice(("absent", "silent", "ignored"))
        scene = Scene("present", state, picture.kind, picture.name)
        medium: dict[str, Any] = {"type": "image", "path": address("picture", picture.id, view)}
        if state != "absent":
            medium["sound"] = address("silence") if state == "silent" else address("sound", draw.choice(sounds).id, 0)
        if state == "ignored":
            medium["audio"] = "ignore"
        task = draw.choice(("hear", "any_sound", "hear_kind", "hear_name", "transcribe", "both"))
        words = words_of(picture)
        yield record(f"{picture.id}@{view}/{task}", "negatives", task, medium, _told(scene, task, draw), words)
    for sound, view in _views(sounds, "sound"):
        scene = Scene("absent", "present", None, None, sound.kind, sound.name)
        task = draw.choice(("see", "any_picture", "see_kind", "see_name"))
        medium = {"type": "audio", "path": address("sound", sound.id, view)}
        told = _told(scene, task, draw)
        yield record(f"{sound.id}@{view}/{task}", "negatives", task, medium, told, words_of(None, sound))


def _speech(spoken: Sequence[str], draw: random.Random) -> Iterator[Record]:
    shares = [FLITE_SHARE if voice in FLITE else 1 for voice in TRAINED_VOICES]
    for text in spoken:
        voice = draw.choices(TRAINED_VOICES, weights=shares)[0]
        medium = {"type": "audio", "path": address("speech", "train", voice, text)}
        told = (draw.choice(QUESTIONS["transcribe"]), text)
        extra = words_of(said=text) | {"voice": f"synthetic: {voice}"}
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        yield record(name, "speech", "transcribe", medium, told, extra)


def _composed(composer: Composer) -> Iterator[Record]:
    numbered = [(task, number) for task in composer.tasks for number in range(COMPOSED[task])]
    for task, number in numbered:
        yield composed_record(composer.plan(task, number), composer.split, number)


def composed_record(plan: Plan, split: str, number: int) -> Record:
    """A composed clip, its question and what is true of it."""
    medium = {"type": "video", "path": address("composed", split, plan.task, number)}
    extra: dict[str, Any] = {"cluster": list(plan.clusters)}
    if plan.options:
        extra["options"] = list(plan.options)
    return record(f"{plan.task}/{number}", "composed", plan.task, medium, (plan.question, plan.answer), extra)

"""The starter corpus as records. Their media are addresses that are rendered when they are asked for (`rendering.py`).

pictures.jsonl   a picture, asked what it shows            sounds.jsonl      a sound, asked what it is
films.jsonl      a picture with a sound, asked of both     negatives.jsonl   a sense that is missing, asked of it
speech.jsonl     a spoken sentence, to be written down     word_lists.jsonl  words that sentences seldom have, likewise
composed.jsonl   clips whose course is known               prototypes.jsonl  classes of the picture encoder, as features
further.jsonl    choices, two sounds, speech in noise ...  names.jsonl       names that people read in six languages

A medium is asked several questions in one conversation: its soft tokens are read once for all of them.
Only the training side is used: what is held out stays so.
"""

import hashlib
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from earsight.data.records import Record, write_jsonl
from earsight.data.starter import corpus as starter_corpus
from earsight.data.starter.composed import Composer, Plan
from earsight.data.starter.conversations import Turns, record, words_of
from earsight.data.starter.corpus import Corpus, Item
from earsight.data.starter.course import course, further_questions
from earsight.data.starter.further_records import further_records, name_records
from earsight.data.starter.further_tasks import FurtherComposer
from earsight.data.starter.licences import Tier
from earsight.data.starter.prototypes import PREFIX, prototype_items
from earsight.data.starter.questions import QUESTIONS, UNNAMED_SOUNDS, Scene, answer
from earsight.data.starter.rendering import Renderer, address
from earsight.data.starter.sentences import seldom_words, sentences, side
from earsight.data.starter.spoken_names import spoken_names
from earsight.data.starter.voices import FLITE, TRAINED_VOICES

VERSION = "7"  # raise when what is written changes
VIEWS = {"picture": 6, "sound": 6}  # of each item; the first is rendered as in validation, the others are varied
FILMS = 3  # of each picture
SAME_OBJECT = 0.5  # share of films whose sound is of the object that is shown, where there is one
FLITE_SHARE = 3  # flite's voices speak so often for once of eSpeak's, whose formants are nobody's
FURTHER = 2  # questions about a composed clip after the one it was made for
WORD_LISTS = 1  # that each word is in which the sentences seldom have
WORDS_TOGETHER = 5
FRAGMENTS = 12  # of so many sentences one is also spoken as a word or two
COMPOSED = {
    "which_side": 700,
    "direction": 500,
    "when": 900,
    "which_first": 1100,
    "coincide": 1500,
    "how_many": 2000,
    "nothing_there": 600,
    "matching": 1200,
    "spoken_question": 1400,
}
IGNORED_CLIPS = 300  # composed clips whose sound was to be ignored; numbers after those that are asked otherwise
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

    def drawing(name: str) -> random.Random:
        """Each file draws for itself: a change of one leaves the others, and the features stored of them, alone."""
        return random.Random(f"{seed}/{name}")

    unseen = (item for item in (*corpus.pictures, *corpus.sounds) if item.split in ("val", "test"))
    write_jsonl(folder / "pictures.jsonl", _pictures(pictures, drawing("pictures")))
    write_jsonl(folder / "sounds.jsonl", _sounds(sounds, drawing("sounds")))
    write_jsonl(folder / "films.jsonl", _films(pictures, sounds, drawing("films")))
    composer, further = Composer(corpus, "train", TRAINED_VOICES), FurtherComposer(corpus, "train", TRAINED_VOICES)
    negatives = (*_negatives(pictures, sounds, drawing("negatives")), *_ignored(composer, drawing("ignored")))
    write_jsonl(folder / "negatives.jsonl", negatives)
    write_jsonl(folder / "prototypes.jsonl", _prototypes(prototype_items(unseen), drawing("prototypes")))
    spoken = [one for one in sentences(cache_dir, source_dir) if side(one) == "train"]
    write_jsonl(folder / "speech.jsonl", _speech(spoken, seed))
    write_jsonl(folder / "word_lists.jsonl", _word_lists(seldom_words(spoken, cache_dir, source_dir), seed))
    write_jsonl(folder / "composed.jsonl", _composed(composer))
    write_jsonl(folder / "further.jsonl", further_records(further, spoken, seed))
    write_jsonl(folder / "names.jsonl", name_records(spoken_names(corpus, cache_dir, source_dir), seed))
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
    return Renderer.tried(corpus, cache_dir, source_dir)


def _views(items: Sequence[Item], sense: str) -> Iterator[tuple[Item, int]]:
    return ((item, view) for item in items for view in range(VIEWS[sense]))


def _asked(scene: Scene, tasks: Sequence[str], draw: random.Random) -> Turns:
    """Questions of these tasks, in random order: none of them is always the first."""
    return [(draw.choice(QUESTIONS[task]), answer(scene, task)) for task in draw.sample(tasks, len(tasks))]


def _pictures(items: Sequence[Item], draw: random.Random) -> Iterator[Record]:
    for item, view in _views(items, "picture"):
        scene = Scene("present", "absent", item.kind, item.name)
        medium = {"type": "image", "path": address("picture", item.id, view)}
        tasks = ("see_kind", "see_name", draw.choice(("see", "see", "animal", "any_picture")))
        yield record(f"{item.id}@{view}", "pictures", "see", medium, _asked(scene, tasks, draw), words_of(item))


def _prototypes(items: Sequence[Item], draw: random.Random) -> Iterator[Record]:
    for item, view in _views(items, "picture"):
        scene = Scene("present", "absent", item.kind, item.name)
        medium = {"type": "image", "path": f"{PREFIX}{item.id}/{view}"}
        turns = _asked(scene, ("see_name", draw.choice(("see", "see_kind"))), draw)
        yield record(f"{item.id}@{view}", "prototypes", "see", medium, turns, words_of(item))


def _sounds(items: Sequence[Item], draw: random.Random) -> Iterator[Record]:
    for item, view in _views(items, "sound"):
        scene = Scene("absent", "present", None, None, item.kind, item.name)
        medium = {"type": "audio", "path": address("sound", item.id, view)}
        more = ("hear", "any_sound", "see") if item.kind in UNNAMED_SOUNDS else ("hear", "any_sound", "transcribe")
        turns = _asked(scene, ("hear_kind", "hear_name", draw.choice(more)), draw)
        yield record(f"{item.id}@{view}", "sounds", "hear", medium, turns, words_of(None, item))


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
            seen = draw.choice(("see_kind", "see_name", "see", "any_picture"))
            heard = draw.choice(("hear_kind", "hear_name", "hear", "any_sound"))
            turns = _asked(scene, ("both", seen, heard), draw)
            yield record(f"{picture.id}@{turn}", "films", "both", medium, turns, words_of(picture, sound))


def _negatives(pictures: Sequence[Item], sounds: Sequence[Item], draw: random.Random) -> Iterator[Record]:
    """A sense that is absent, silent or was to be ignored, and questions that need it."""
    for picture, view in _views(pictures, "picture"):
        state = draw.choice(("absent", "silent", "ignored"))
        scene = Scene("present", state, picture.kind, picture.name)
        medium: dict[str, Any] = {"type": "image", "path": address("picture", picture.id, view)}
        if state != "absent":
            medium["sound"] = address("silence") if state == "silent" else address("sound", draw.choice(sounds).id, 0)
        if state == "ignored":
            medium["audio"] = "ignore"
        tasks = draw.sample(("hear", "any_sound", "hear_kind", "hear_name", "transcribe", "both"), 3)
        turns = _asked(scene, tasks, draw)
        yield record(f"{picture.id}@{view}", "negatives", "hear", medium, turns, words_of(picture))
    for sound, view in _views(sounds, "sound"):
        scene = Scene("absent", "present", None, None, sound.kind, sound.name)
        turns = _asked(scene, (*draw.sample(("see", "any_picture", "see_kind", "see_name"), 2), "any_sound"), draw)
        medium = {"type": "audio", "path": address("sound", sound.id, view)}
        yield record(f"{sound.id}@{view}", "negatives", "see", medium, turns, words_of(None, sound))


def _ignored(composer: Composer, draw: random.Random) -> Iterator[Record]:
    """Films whose sound was to be ignored, asked of it, and of what they show."""
    for number in range(COMPOSED["when"], COMPOSED["when"] + IGNORED_CLIPS):
        plan = composer.plan("when", number)
        actor = plan.actors[0] if plan.actors else None
        scene = Scene("present", "ignored", *((actor.item.kind, actor.item.name) if actor else ()))
        asked = _asked(scene, draw.sample(("hear", "any_sound", "hear_kind", "hear_name", "transcribe"), 2), draw)
        told = "There is no object." if actor is None else answer(scene, "see_kind")
        turns = [*asked, (draw.choice(QUESTIONS["see_kind"]), told)]
        draw.shuffle(turns)
        medium = {"type": "video", "path": address("composed", composer.split, "when", number), "audio": "ignore"}
        words = {"words": course(replace(plan, cues=()))}
        yield record(f"ignored/{number}", "negatives", "hear", medium, turns, words)


def _speech(spoken: Sequence[str], seed: int) -> Iterator[Record]:
    for number, sentence in enumerate(spoken):
        draw = random.Random(f"{seed}/speech/{sentence}")
        for text in (sentence, _fragment(sentence, draw)) if number % FRAGMENTS == 0 else (sentence,):
            name = hashlib.sha256(f"{sentence}/{text}".encode()).hexdigest()[:16]
            yield _spoken(name, "speech", text, draw)


def _word_lists(words: Sequence[str], seed: int) -> Iterator[Record]:
    """A few words at a time, in an order of no meaning: each is to be heard, and none can be guessed."""
    for turn in range(WORD_LISTS):
        draw = random.Random(f"{seed}/word lists/{turn}")
        shuffled = draw.sample(words, len(words))
        for first in range(0, len(shuffled), WORDS_TOGETHER):
            yield _spoken(f"{turn}/{first}", "word_lists", " ".join(shuffled[first : first + WORDS_TOGETHER]), draw)


def _spoken(name: str, source: str, text: str, draw: random.Random) -> Record:
    voice = draw.choices(TRAINED_VOICES, weights=[FLITE_SHARE if one in FLITE else 1 for one in TRAINED_VOICES])[0]
    medium = {"type": "audio", "path": address("speech", "train", voice, text)}
    turns = [(draw.choice(QUESTIONS["transcribe"]), text)]
    return record(name, source, "transcribe", medium, turns, words_of(said=text) | {"voice": f"synthetic: {voice}"})


def _fragment(sentence: str, draw: random.Random) -> str:
    """A word or two of a sentence: what is said is not always a sentence."""
    words = sentence.split()
    first, length = draw.randrange(len(words)), draw.choice((1, 1, 2))
    return " ".join(words[first : first + length])


def _composed(composer: Composer) -> Iterator[Record]:
    numbered = [(task, number) for task in composer.tasks for number in range(COMPOSED[task])]
    for task, number in numbered:
        yield composed_record(composer.plan(task, number), composer.split, number)


def composed_record(plan: Plan, split: str, number: int) -> Record:
    """A composed clip, the question it was made for, further ones, and its course."""
    medium = {"type": "video", "path": address("composed", split, plan.task, number)}
    draw = random.Random(f"{split}/{plan.task}/{number}/questions")
    more = further_questions(plan, draw)[:FURTHER]
    turns = [(plan.question, plan.answer), *((question, told) for _, question, told in more)]
    draw.shuffle(turns)
    words: dict[str, Any] = dict(course(plan))
    if said := [cue.text for cue in plan.cues if cue.text]:
        words["said"] = re.sub(r"[^a-z ]", "", said[0].lower())
    extra: dict[str, Any] = {"cluster": list(plan.clusters), "words": words}
    if plan.options:
        extra["options"] = list(plan.options)
    return record(f"{plan.task}/{number}", "composed", plan.task, medium, turns, extra)

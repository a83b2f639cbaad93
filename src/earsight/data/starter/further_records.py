"""The further tasks as training records: choices, two sounds at once, spoken names, speech in noise, other languages.

further.jsonl   clips of `further_tasks.py`; sentences over a sound, to be written down, and the sound to be told
names.jsonl     names that people read in six languages: to be written down, translated, their language told
"""

import random
from collections.abc import Iterator, Sequence

from earsight.data.records import Record
from earsight.data.starter.conversations import Turns, record
from earsight.data.starter.further_tasks import FurtherComposer
from earsight.data.starter.questions import QUESTIONS, SOUND_KINDS, sentence
from earsight.data.starter.rendering import address
from earsight.data.starter.spoken_names import LANGUAGES, SpokenName, side_of

FURTHER = {
    "which_picture": 600,
    "which_sound": 600,
    "sound_is": 400,
    "two_sounds": 700,
    "spoken_name": 800,
    "described": 500,
}
NOISY = 900  # sentences over a sound
DECIBELS = (0, 10, 20)  # that the sound is below the sentence
NAME_VIEWS = 2  # of each recording; held-out ones have one, as it is
BEHIND = ("What is heard behind the voice?", "What kind of sound is in the background?")
TRANSLATE = ("Translate what is said into English.", "What does it mean in English?")
LANGUAGE = ("Which language is spoken?", "In which language is it said?")


def further_records(composer: FurtherComposer, spoken: Sequence[str], seed: int) -> Iterator[Record]:
    """Clips of each task, then sentences over sounds."""
    for task in composer.tasks:
        for number in range(FURTHER[task]):
            yield plan_record(composer, task, number)
    draw = random.Random(f"{seed}/noisy")
    for number in range(NOISY):
        yield _noisy(f"noisy/{number}", composer, draw.choice(spoken), draw)


def plan_record(composer: FurtherComposer, task: str, number: int) -> Record:
    """One clip and its question."""
    plan = composer.plan(task, number)
    at = address("further", composer.split, task, number)
    medium = {"type": "audio" if plan.background is None else "video", "path": at}
    extra = {"cluster": list(plan.clusters)} | ({"options": list(plan.options)} if plan.options else {})
    return record(f"{task}/{number}", "further", task, medium, [(plan.question, plan.answer)], extra)


def behind_told(kind: str) -> str:
    """The answer to what is heard behind a voice."""
    return sentence(SOUND_KINDS[kind])


def _noisy(name: str, composer: FurtherComposer, text: str, draw: random.Random) -> Record:
    sound, voice = composer.sound(draw), draw.choice(composer.voices)
    medium = {"type": "audio", "path": address("noisy", composer.split, voice, sound.id, draw.choice(DECIBELS), text)}
    turns = [(draw.choice(QUESTIONS["transcribe"]), text), (draw.choice(BEHIND), behind_told(sound.kind))]
    draw.shuffle(turns)
    extra = {"cluster": [sound.key], "voice": f"synthetic: {voice}"}
    return record(name, "further", "speech_in_noise", medium, turns, extra)


def name_records(names: Sequence[SpokenName], seed: int) -> Iterator[Record]:
    """The training side's recordings, each asked of what is said, and of its language or meaning."""
    for one in names:
        if side_of(one.picture.split) != "train":
            continue
        draw = random.Random(f"{seed}/names/{one.id}")
        for view in range(1, NAME_VIEWS + 1):
            medium = {"type": "audio", "path": address("named", one.picture.id, one.language, view)}
            extra = {"cluster": [one.picture.key], "voice": f"a person: {LANGUAGES[one.language]}"}
            yield record(f"{one.id}@{view}", "names", "name_read_aloud", medium, name_turns(one, draw), extra)


def name_turns(one: SpokenName, draw: random.Random) -> Turns:
    """What may be asked of a recording, in random order; English is not translated."""
    turns = [
        (draw.choice(QUESTIONS["transcribe"]), said_as(one.text)),
        (draw.choice(LANGUAGE), f"{LANGUAGES[one.language]}."),
    ]
    if one.language != "en":
        turns.append((draw.choice(TRANSLATE), one.english))
    draw.shuffle(turns)
    return turns


def said_as(text: str) -> str:
    """A name as it is transcribed: in small letters, without its full stop, as sentences are."""
    return text.rstrip(" .").lower()

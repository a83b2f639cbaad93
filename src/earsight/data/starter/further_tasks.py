"""Tasks that the starter learns after the composed clips: choices, two sounds at once, names that are spoken.

task, split, number -> plan (as in `composed.py`) -> question and answer
                                                  -> frames at any moments, waveform

Wrong choices are hard in half of the cases: of the right one's own kind.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from earsight.data.starter.composed import Composer, Cue, Plan, any_background, of_one_key
from earsight.data.starter.corpus import Corpus, Item, Split
from earsight.data.starter.questions import PICTURE_KINDS, SOUND_KINDS, sentence, with_article

FURTHER_PLANS = "1"  # raise when an address is to draw another clip: stored features are known by it
CHOICES = 3
REAL_SHARE = 0.25  # of the spoken names, where there is a person's recording of any; synthetic voices say the others
HARD_SHARE = 0.5


class FurtherComposer(Composer):
    """Draws further plans from the items of one side."""

    def __init__(self, corpus: Corpus, split: Split, voices: Sequence[str] = ()) -> None:
        super().__init__(corpus, split, voices)
        self.read_aloud = _read_aloud(self.pictures, corpus.of("sound", split))

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it can draw: without speech nothing is named aloud, and two sounds need two kinds."""
        able = {
            "two_sounds": len({item.kind for item in self.sounds}) > 1,
            "spoken_name": bool(self.voices),
            "described": bool(self.voices),
        }
        return tuple(task for task in TASKS if able.get(task, True))

    def plan(self, task: str, number: int) -> Plan:
        """The number-th clip of a task."""
        return TASKS[task](self, random.Random(f"further/{self.split}/{task}/{number}"))

    def named_aloud(self, draw: random.Random) -> tuple[Item, Cue]:
        """A picture, and somebody who says what it shows."""
        if self.read_aloud and draw.random() < REAL_SHARE:
            picture = draw.choice(sorted(self.read_aloud, key=lambda item: item.id))
            return picture, Cue(draw.uniform(0.2, 0.5), self.read_aloud[picture], longest_seconds=3)
        picture = self.picture(draw)
        said = Cue(draw.uniform(0.2, 0.5), voice=draw.choice(self.voices), text=f"{with_article(picture.name)}.")
        return picture, said


def _read_aloud(pictures: Sequence[Item], sounds: Sequence[Item]) -> dict[Item, Item]:
    """{picture: its name as a person reads it}: recordings that lie beside their picture in one package."""
    beside = {(item.source, item.file): item for item in sounds if item.kind == "speech"}
    found = {}
    for picture in (item for item in pictures if item.file):
        place = PurePosixPath(picture.file)
        recording = beside.get((picture.source, str(place.with_name(f"{place.stem}_desc.ogg"))))
        if recording:
            found[picture] = recording
    return found


def _other(items: Sequence[Item], right: Item, taken: Sequence[str], draw: random.Random) -> Item | None:
    """One that is called otherwise, often of the same kind; none of its words is a word of those that are taken."""
    words = {word for name in taken for word in name.split()}
    apart = [item for item in items if item.key != right.key and not words & set(item.name.split())]
    near = [item for item in apart if item.kind == right.kind]
    some = near if near and draw.random() < HARD_SHARE else apart
    return draw.choice(of_one_key(some, draw)) if some else None


def _options(items: Sequence[Item], right: Item, draw: random.Random) -> list[str]:
    names = [right.name]
    while len(names) < CHOICES and (other := _other(items, right, names, draw)):
        names.append(other.name)
    draw.shuffle(names)
    return names


def _one_of(names: Sequence[str]) -> str:
    """["owl", "goose", "lamp"] -> "an owl, a goose or a lamp" """
    *first, last = [with_article(name) for name in names]
    return f"{', '.join(first)} or {last}" if first else last


def _which_picture(composer: FurtherComposer, draw: random.Random) -> Plan:
    actor = composer.standing(draw)
    names = _options(composer.pictures, actor.item, draw)
    question = draw.choice(("Which of these is shown: {}?", "What is it, {}?")).format(_one_of(names))
    told = f"It is {with_article(actor.item.name)}."
    return Plan("which_picture", 2, (actor,), (), any_background(draw), question, told, tuple(names))


def _which_sound(composer: FurtherComposer, draw: random.Random) -> Plan:
    right = draw.choice(of_one_key(composer.named, draw))
    names = _options(composer.named, right, draw)
    question = draw.choice(("Which of these is heard: {}?", "What makes the sound, {}?")).format(_one_of(names))
    cue, told = Cue(draw.uniform(0, 0.5), right, longest_seconds=4), f"It is {with_article(right.name)}."
    return Plan("which_sound", 5, (), (cue,), None, question, told, tuple(names))


def _sound_is(composer: FurtherComposer, draw: random.Random) -> Plan:
    item = draw.choice(of_one_key(composer.named, draw))
    other = _other(composer.named, item, [item.name], draw) if draw.random() < 0.5 else None
    question = draw.choice(("Is it the sound of {}?", "Does {} make this sound?"))
    told = "No, it is not." if other else "Yes, it is."
    cue = Cue(draw.uniform(0, 0.5), item, longest_seconds=4)
    return Plan("sound_is", 5, (), (cue,), None, question.format(with_article((other or item).name)), told)


def _two_sounds(composer: FurtherComposer, draw: random.Random) -> Plan:
    """Both at once, of two kinds, which are told in one order."""
    kinds = draw.sample(sorted({item.kind for item in composer.sounds}), 2)
    kinds.sort(key=list(SOUND_KINDS).index)
    items = [draw.choice(of_one_key([one for one in composer.sounds if one.kind == kind], draw)) for kind in kinds]
    cues = tuple(Cue(draw.uniform(0, 1), item, loudness_db=draw.uniform(-6, 0), longest_seconds=4) for item in items)
    question = draw.choice(("Which two kinds of sound do you hear?", "Two sounds are heard: of which kinds?"))
    told = " and ".join(SOUND_KINDS[kind] for kind in kinds)
    return Plan("two_sounds", 5, (), cues, None, question, sentence(told))


def _spoken_name(composer: FurtherComposer, draw: random.Random) -> Plan:
    named, cue = composer.named_aloud(draw)
    other = _other(composer.pictures, named, [named.name], draw) if draw.random() < 0.5 else None
    actor = replace(composer.standing(draw), item=other or named)
    question = draw.choice(("Does the speaker name what is shown?", "Is what is said the name of the object?"))
    told = "No, something else." if other else "Yes, the same."
    plan = Plan("spoken_name", 3, (actor,), (cue,), any_background(draw), question, told)
    return replace(plan, named=(named.key,))


def _described(composer: FurtherComposer, draw: random.Random) -> Plan:
    named, cue = composer.named_aloud(draw)
    question = draw.choice(("What kind of thing does the speaker name?", "What kind of thing is spoken of?"))
    told = PICTURE_KINDS[named.kind]
    plan = Plan("described", 3, (), (cue,), None, question, sentence(told))
    return replace(plan, options=tuple(PICTURE_KINDS.values()), named=(named.key,))


TASKS: dict[str, Callable[[FurtherComposer, random.Random], Plan]] = {
    "which_picture": _which_picture,
    "which_sound": _which_sound,
    "sound_is": _sound_is,
    "two_sounds": _two_sounds,
    "spoken_name": _spoken_name,
    "described": _described,
}

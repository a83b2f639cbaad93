"""Composed clips: real cut-outs on real backgrounds, a real sound at a known time, so that the true answer is known.

    task, split, number -> plan (what appears when and where, what sounds when) -> question and answer
                                                                              -> frames at any moments, waveform

A plan is drawn from its address alone, so a clip is the same wherever it is rendered, and takes no room on a disk.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from earsight.data.starter.corpus import Corpus, Item, Split
from earsight.data.starter.questions import PICTURE_KINDS, UNNAMED_SOUNDS, sentence

PLANS = "3"  # raise when an address is to draw another clip: stored features are known by it
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven")
SEATS = ((0.26, 0.28), (0.74, 0.28), (0.26, 0.74), (0.74, 0.74))  # where several objects stand: centres, right and down
# A clip's length says nothing about its course: it is drawn apart from it. Nor does the moment at which one of two
# things begins tell whether they coincide. Which of them is first cannot be hidden so: the later something begins, the
# likelier something else was before it. With these numbers the best guess from one sense is right in 0.64 of cases.
LAST_MOMENTS = {"when": 5, "which_first": 7, "coincide": 6}
APART_SECONDS = (1, 2)  # between two moments whose order is asked
BEFORE = 0.4  # seconds: an object appears so long before its moment, so that the moment's frame shows it


@dataclass(frozen=True)
class Actor:
    """One cut-out: where its centre is at the clip's begin and end, as shares of the frame."""

    item: Item
    begin: tuple[float, float]
    end: tuple[float, float]
    size: float  # its longer side, as a share of the frame
    appears_seconds: float = 0.0

    def is_there(self, seconds: float) -> bool:
        """Whether it is seen at a moment."""
        return seconds >= self.appears_seconds

    def place(self, seconds: float, duration_seconds: float) -> tuple[float, float]:
        """Its centre at a moment."""
        along = seconds / duration_seconds
        return tuple(a + (b - a) * along for a, b in zip(self.begin, self.end, strict=True))  # type: ignore[return-value]


@dataclass(frozen=True)
class Cue:
    """One sound: an item's, or a sentence in a synthetic voice."""

    begins_seconds: float
    item: Item | None = None
    voice: str = ""
    text: str = ""
    loudness_db: float = 0.0
    longest_seconds: float = 2.5


@dataclass(frozen=True)
class Plan:
    """A whole clip, its question and its answer."""

    task: str
    duration_seconds: float
    actors: tuple[Actor, ...]
    cues: tuple[Cue, ...]
    background: int | None  # which of the split's photographs; below zero: a plain colour; None: sound alone
    question: str
    answer: str
    options: tuple[str, ...] = ()
    named: tuple[str, ...] = ()  # keys of objects that are only spoken of

    @property
    def clusters(self) -> tuple[str, ...]:
        """The objects it is made of, for intervals."""
        items = [actor.item for actor in self.actors] + [cue.item for cue in self.cues if cue.item]
        return tuple(sorted({*(item.key for item in items), *self.named}))


class Composer:
    """Draws plans from the items of one side."""

    def __init__(self, corpus: Corpus, split: Split, voices: Sequence[str] = ()) -> None:
        self.split, self.voices = split, tuple(voices)
        self.pictures = corpus.of("picture", split)
        self.sounds = [item for item in corpus.of("sound", split) if item.kind != "speech"]
        self.named = [item for item in self.sounds if item.kind not in UNNAMED_SOUNDS]
        self.pairs = _pairs(self.pictures, self.named)

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it can draw: a smaller licence tier may have no object that is both seen and heard."""
        return tuple(task for task in TASKS if task != "matching" or len(self.pairs) > 1)

    def plan(self, task: str, number: int) -> Plan:
        """The number-th clip of a task."""
        return TASKS[task](self, random.Random(f"{self.split}/{task}/{number}"))

    def picture(self, draw: random.Random) -> Item:
        """Evenly over objects."""
        return draw.choice(of_one_key(self.pictures, draw))

    def sound(self, draw: random.Random) -> Item:
        """Evenly over objects."""
        return draw.choice(of_one_key(self.sounds, draw))

    def standing(self, draw: random.Random, appears_seconds: float = 0.0) -> Actor:
        """One object near the middle that moves a little."""
        begin = (draw.uniform(0.35, 0.65), draw.uniform(0.4, 0.6))
        end = (begin[0] + draw.uniform(-0.15, 0.15), begin[1] + draw.uniform(-0.1, 0.1))
        return Actor(self.picture(draw), begin, end, draw.uniform(0.45, 0.75), appears_seconds)


def _pairs(pictures: Sequence[Item], sounds: Sequence[Item]) -> dict[str, tuple[list[Item], list[Item]]]:
    """Objects that can be seen and heard: {key: (pictures, sounds)}."""
    keys = sorted({item.key for item in pictures} & {item.key for item in sounds})
    return {key: tuple([one for one in some if one.key == key] for some in (pictures, sounds)) for key in keys}  # type: ignore[misc]


def of_one_key(items: Sequence[Item], draw: random.Random) -> list[Item]:
    """Those of one object: evenly over objects."""
    key = draw.choice(sorted({item.key for item in items}))
    return [item for item in items if item.key == key]


def any_background(draw: random.Random) -> int:
    """A photograph mostly, else a plain colour (`Plan.background`)."""
    return draw.randrange(1000) if draw.random() < 0.7 else -1 - draw.randrange(1000)


def _which_side(composer: Composer, draw: random.Random) -> Plan:
    side = draw.choice(("left", "right"))
    across = draw.uniform(0.2, 0.32) if side == "left" else draw.uniform(0.68, 0.8)
    actor = composer.standing(draw)
    actor = replace(
        actor, size=draw.uniform(0.3, 0.5), begin=(across, actor.begin[1]), end=(across, draw.uniform(0.3, 0.7))
    )
    cues = (Cue(draw.uniform(0, 2), composer.sound(draw)),) if draw.random() < 0.5 else ()
    question = draw.choice(
        ("On which side is it, left or right?", "Is the object on the left or on the right?", "On which side is it?")
    )
    seconds = draw.choice((3, 4, 5))
    return Plan(
        "which_side", seconds, (actor,), cues, any_background(draw), question, f"On the {side}.", ("left", "right")
    )


def _direction(composer: Composer, draw: random.Random) -> Plan:
    way = draw.choice(("left", "right"))
    near, far = draw.uniform(0.2, 0.3), draw.uniform(0.7, 0.8)
    begin, end = ((far, near), (near, far))[way == "right"]
    down = draw.uniform(0.35, 0.65)
    actor = replace(composer.standing(draw), size=draw.uniform(0.3, 0.5), begin=(begin, down), end=(end, down))
    question = draw.choice(("Does it move to the left or to the right?", "In which direction does it move?"))
    seconds = draw.choice((4, 5, 6))
    return Plan("direction", seconds, (actor,), (), any_background(draw), question, f"To the {way}.", ("left", "right"))


def _when(composer: Composer, draw: random.Random) -> Plan:
    second = draw.randint(1, LAST_MOMENTS["when"])
    actors = (composer.standing(draw),) if draw.random() < 0.7 else ()
    cue = Cue(second + draw.uniform(0.0, 0.2), composer.sound(draw))
    question = draw.choice(("When does the sound begin?", "After how many seconds does the sound begin?"))
    answer = f"After {NUMBERS[second]} second{'s' * (second > 1)}."
    return Plan("when", _length("when", draw), actors, (cue,), any_background(draw), question, answer)


def _which_first(composer: Composer, draw: random.Random) -> Plan:
    first = draw.choice(("object", "sound"))
    apart = draw.choice(APART_SECONDS)
    early = draw.randint(1, LAST_MOMENTS["which_first"] - apart)
    appears, sounds = (early, early + apart) if first == "object" else (early + apart, early)
    actor = composer.standing(draw, appears - BEFORE)
    question = draw.choice(("Which comes first, the object or the sound?", "What is there first, object or sound?"))
    cue = Cue(sounds + draw.uniform(0, 0.2), composer.sound(draw))
    seconds = _length("which_first", draw)
    return Plan(
        "which_first", seconds, (actor,), (cue,), any_background(draw), question, f"The {first}.", ("object", "sound")
    )


def _coincide(composer: Composer, draw: random.Random) -> Plan:
    together = draw.random() < 0.5
    last = LAST_MOMENTS["coincide"]
    appears = draw.randint(1, last)
    # Around a circle of moments, two steps off at least: every moment is as likely apart as together.
    sounds = appears if together else (appears + draw.randint(2, last - 2) - 1) % last + 1
    actor = composer.standing(draw, appears - BEFORE)
    question = draw.choice(
        ("Does the sound begin when the object appears?", "Do the object and the sound begin together?")
    )
    cue = Cue(sounds + draw.uniform(0, 0.2), composer.sound(draw))
    answer = "Yes, together." if together else "No, apart."
    return Plan("coincide", _length("coincide", draw), (actor,), (cue,), any_background(draw), question, answer)


def _length(task: str, draw: random.Random) -> int:
    """Seconds of a clip in which something begins: time enough after the last moment at which it may."""
    return LAST_MOMENTS[task] + draw.choice((1, 2))


def _how_many(composer: Composer, draw: random.Random) -> Plan:
    count = draw.choice((1, 2, 3, 4))
    actors = []
    for right, down in draw.sample(SEATS, count):
        begin = (right + draw.uniform(-0.05, 0.05), down + draw.uniform(-0.05, 0.05))
        end = (begin[0] + draw.uniform(-0.04, 0.04), begin[1] + draw.uniform(-0.04, 0.04))
        actors.append(Actor(composer.picture(draw), begin, end, draw.uniform(0.28, 0.4)))
    cues = (Cue(draw.uniform(0, 2), composer.sound(draw)),) if draw.random() < 0.3 else ()
    question = draw.choice(("How many objects are there?", "How many things do you see?"))
    answer = f"{NUMBERS[count].capitalize()}."
    return Plan("how_many", draw.choice((2, 3, 4)), tuple(actors), cues, any_background(draw), question, answer)


def _nothing(composer: Composer, draw: random.Random) -> Plan:
    question = draw.choice(("How many objects are there?", "How many things do you see?"))
    return Plan("nothing_there", draw.choice((2, 3, 4)), (), (), any_background(draw), question, "There is no object.")


def _matching(composer: Composer, draw: random.Random) -> Plan:
    """Half belong together; half of the foreign sounds are of the picture's own kind."""
    key = draw.choice(sorted(composer.pairs))
    pictures, sounds = composer.pairs[key]
    picture, sound, answer = draw.choice(pictures), draw.choice(sounds), "Yes, it does."
    if draw.random() < 0.5:
        near = draw.random() < 0.5
        others = [one for one in composer.named if one.key != key and (one.kind == sound.kind) == near]
        others = others or [one for one in composer.named if one.key != key]
        sound, answer = draw.choice(of_one_key(others, draw)), "No, it does not."
    actor = replace(composer.standing(draw), item=picture)
    question = draw.choice(("Does the sound belong to the object?", "Does the sound belong to what is shown?"))
    cue = Cue(draw.uniform(0, 0.5), sound, longest_seconds=4)
    return Plan("matching", draw.choice((3, 4)), (actor,), (cue,), any_background(draw), question, answer)


def _spoken(composer: Composer, draw: random.Random) -> Plan:
    """Another task's question, spoken over a background sound; the text only says to answer it."""
    task = draw.choice(("see_kind", "see_kind", "which_side", "how_many"))
    plan = _see_kind(composer, draw) if task == "see_kind" else TASKS[task](composer, draw)
    said = Cue(draw.uniform(0.1, 0.5), voice=draw.choice(composer.voices), text=plan.question, longest_seconds=6)
    noise = Cue(0.0, composer.sound(draw), loudness_db=draw.uniform(-25, -12), longest_seconds=5)
    question = draw.choice(("Answer the spoken question.", "Listen to the question and answer it."))
    return replace(plan, task="spoken_question", question=question, cues=(said, noise), duration_seconds=4)


def _see_kind(composer: Composer, draw: random.Random) -> Plan:
    actor = composer.standing(draw)
    question = draw.choice(("What kind of thing is shown?", "What kind of thing do you see?"))
    answer = PICTURE_KINDS[actor.item.kind]
    return Plan(
        "see_kind", 3, (actor,), (), any_background(draw), question, sentence(answer),
        tuple(PICTURE_KINDS.values()),
    )  # fmt: skip


TASKS: dict[str, Callable[[Composer, random.Random], Plan]] = {
    "which_side": _which_side,
    "direction": _direction,
    "when": _when,
    "which_first": _which_first,
    "coincide": _coincide,
    "how_many": _how_many,
    "nothing_there": _nothing,
    "matching": _matching,
    "spoken_question": _spoken,
}

"""The held-out tests of the further tasks, a benchmark of their own: what `frozen.py` asks stays as it is.

unseen objects     which of three names, with the right one among them; yes or no; two sounds at once; spoken names
speech in noise    unseen sentences over unseen sounds, at three levels, to be written down; and the sound to be told
other languages    names of unseen objects in voices that were trained on: one person reads each language
"""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.records import Record
from earsight.data.starter import frozen
from earsight.data.starter.frozen import BOTH, HEARD, SEEN, UNSEEN_VOICE_SHARE, Writer, ability, tested
from earsight.data.starter.further_records import BEHIND, DECIBELS, LANGUAGE, TRANSLATE, behind_told, said_as
from earsight.data.starter.questions import QUESTIONS
from earsight.data.starter.rendering import address
from earsight.data.starter.sentences import sentences, side
from earsight.data.starter.spoken_names import LANGUAGES, SpokenName, side_of
from earsight.data.starter.voices import HELD_OUT_VOICES, TRAINED_VOICES

COUNTS = {"test": 100, "val": 30}  # clips of each task
NOISY = {"test": 240, "val": 90}  # sentences, a third at each level of noise
ABILITIES = {
    "which_picture": ability("which of three names is the object's (unseen objects)", SEEN, "option"),
    "which_sound": ability("which of three names is the sound's (unseen objects)", HEARD, "option"),
    "sound_is": ability("is it the sound of this (unseen objects)", HEARD, "yes_no"),
    "two_sounds": ability("the kinds of two sounds at once (unseen objects)", HEARD, "exact"),
    "spoken_name": ability("is what is said the object's name (unseen objects)", BOTH, "yes_no"),
    "described": ability("what kind of thing is named aloud (unseen objects)", HEARD, "exact"),
    **{
        f"transcribe_noise_{below}db": ability(f"unseen sentences over a sound {below} dB below", HEARD, "words",
                                               None, "wer")
        for below in DECIBELS
    },
    "behind_speech": ability("the kind of sound behind a sentence (unseen objects)", HEARD, "exact"),
    "language": ability("which of six languages is spoken, each by one person", HEARD, "exact"),
    "transcribe_names": ability("names of unseen objects in five other languages", HEARD, "words", None, "wer"),
    "translate_names": ability("the same, said in English", HEARD, "name"),
}  # fmt: skip
NAMED = ("language", "transcribe_names", "translate_names")  # each recording is asked one of these


class FurtherWriter(Writer):
    """Records of one side of the further tasks."""

    version = "1"

    def records(self, cache_dir: Path, source_dir: Path | None) -> Iterator[Record]:
        """All that is asked of this side."""
        yield from self.clips()
        yield from self.noisy(cache_dir, source_dir)
        yield from self.abroad(list(self.renderer.names.values()))

    def described(self) -> dict[str, Any]:
        """What is asked, as benchmark.json tells it."""
        return {
            "name": f"starter-further-{self.split}",
            "version": self.version,
            "description": f"Held-out tests of further tasks, starter corpus {self.corpus.hash[:12]}, {self.split}.",
            "abilities": ABILITIES,
            "majority": self.majority(),
        }

    def clips(self) -> Iterator[Record]:
        """Choices, two sounds, spoken names."""
        composer = self.renderer.further(self.split)
        for task in composer.tasks:
            for number in range(COUNTS[self.split]):
                plan = composer.plan(task, number)
                at, name = address("further", self.split, task, number), f"{task}-{number:03d}"
                medium = self.rendered_sound(at, name) if plan.background is None else self.film(at, name)
                record = tested(f"{task}/{number}", task, medium, (plan.question, plan.answer), list(plan.clusters))
                yield _with(record, options=list(plan.options)) if plan.options else record

    def noisy(self, cache_dir: Path, source_dir: Path | None) -> Iterator[Record]:
        """Sentences over sounds, none of them in the other benchmark: what is said, and what is heard behind it."""
        held_out = [text for text in sentences(cache_dir, source_dir) if side(text) == self.split]
        held_out = held_out[frozen.COUNTS[self.split]["speech"] :][: NOISY[self.split]]
        composer, draw = self.renderer.further(self.split), random.Random(f"benchmark/noisy/{self.split}")
        for number, text in enumerate(held_out):
            below, sound = DECIBELS[number % len(DECIBELS)], composer.sound(draw)
            voice = draw.choice(HELD_OUT_VOICES if number % UNSEEN_VOICE_SHARE == 1 else TRAINED_VOICES)
            at = address("noisy", self.split, voice, sound.id, below, text)
            medium = self.rendered_sound(at, f"noisy-{number:03d}")
            extra = {"voice": f"synthetic: {voice}", "decibels": below}
            name, said = f"transcribe_noise_{below}db", (QUESTIONS["transcribe"][0], text)
            yield _with(tested(f"noisy/{number}/said", name, medium, said, [text]), **extra)
            heard = (BEHIND[0], behind_told(sound.kind))
            yield _with(tested(f"noisy/{number}/behind", "behind_speech", medium, heard, [sound.key]), **extra)

    def abroad(self, names: list[SpokenName]) -> Iterator[Record]:
        """Names that people read."""
        for number, one in enumerate(name for name in names if side_of(name.picture.split) == self.split):
            name = NAMED[number // len(LANGUAGES) % len(NAMED)] if one.language != "en" else "language"
            told = {
                "language": (LANGUAGE[0], f"{LANGUAGES[one.language]}."),
                "transcribe_names": (QUESTIONS["transcribe"][0], said_as(one.text)),
                "translate_names": (TRANSLATE[0], one.english),
            }[name]
            medium = self.rendered_sound(
                address("named", one.picture.id, one.language, 0), f"{one.picture.id}-{one.language}"
            )
            record = tested(f"names/{one.id}", name, medium, told, [one.picture.key])
            yield _with(record, voice=f"a person: {LANGUAGES[one.language]}")

    def majority(self) -> dict[str, str]:
        """Each ability's most frequent answer in training."""
        composer = self.renderer.further("train")
        told = {task: [composer.plan(task, number).answer for number in range(200)] for task in composer.tasks}
        told["behind_speech"] = [behind_told(item.kind) for item in composer.sounds]
        named = [one for one in self.renderer.names.values() if side_of(one.picture.split) == "train"]
        told["language"] = [f"{LANGUAGES[one.language]}." for one in named]
        told["translate_names"] = [one.english for one in named if one.language != "en"]
        return {name: Counter(some).most_common(1)[0][0] for name, some in told.items() if some}


def _with(record: Record, **extra: Any) -> Record:
    record.extra.update(extra)
    return record

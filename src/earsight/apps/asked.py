"""What was asked for on the command line, checked before anything heavy is imported."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from earsight.errors import EarsightError
from earsight.types import AudioPolicy

USAGE = 'earsight ask CLIP "QUESTION", or earsight ask CLIP... --question "QUESTION"'


@dataclass(frozen=True)
class Wishes:
    """The options of one question; the names are those of `Assistant.ask`."""

    audio: AudioPolicy = "auto"
    start_seconds: float | None = None
    end_seconds: float | None = None
    max_new_tokens: int | None = None  # None: as many as the system says
    explain: bool = False
    lora_scale: float = 1.0

    def __post_init__(self) -> None:
        check_span(self.start_seconds, self.end_seconds)
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise EarsightError(f"--max-new-tokens {self.max_new_tokens}: at least 1 is needed")
        if not 0 <= self.lora_scale < float("inf"):
            raise EarsightError(f"--lora-scale {self.lora_scale:g}: expected 0 or more; 1 is as trained")

    def values(self) -> dict[str, Any]:
        """As keyword arguments of `Assistant.ask`."""
        return asdict(self)


def check_span(start_seconds: float | None, end_seconds: float | None) -> None:
    """Raises EarsightError unless the span can hold something; either side may be open."""
    for name, value in (("--start", start_seconds), ("--end", end_seconds)):
        if value is not None and not 0 <= value < float("inf"):  # written so that nan fails too
            raise EarsightError(f"{name} {value:g}: expected seconds from the clip's beginning, 0 or more")
    if start_seconds is not None and end_seconds is not None and end_seconds <= start_seconds:
        raise EarsightError(f"--end {end_seconds:g} is not after --start {start_seconds:g}; give a later end")


def is_address(source: str) -> bool:
    """Whether a source is a URL or a data URI and not a path."""
    return source.lower().startswith(("http://", "https://", "data:"))


def is_there(source: str) -> bool:
    """Whether a source can be tried: an address, or a path that exists."""
    return is_address(source) or os.path.exists(source)


def check_there(clip: str) -> None:
    """Raises EarsightError for a path that does not exist."""
    if not is_there(clip):
        raise EarsightError(f"{clip}: no such file; give a video, sound or image file, or an address")


def clips_and_question(given: Sequence[str], question: str | None) -> tuple[list[str], str]:
    """Tell clips from the question among what was given by position.

    With --question everything given by position is a clip. Without it exactly two are expected, the clip and then the
    question; a second one that exists, is an address or looks like a file's name is taken for a clip whose question
    was forgotten, never guessed about.

    Raises:
        EarsightError: says how to give what is missing.
    """
    if question is None:
        question = _positional_question(given)
        given = given[:1]
    if not question.strip():
        raise EarsightError('an empty question was given; ask something, for example "What do you see?"')
    if empty := [clip for clip in given if not clip.strip()]:
        raise EarsightError(f"a clip with an empty name was given ({empty[0]!r}); give a file or an address")
    return list(given), question


def _positional_question(given: Sequence[str]) -> str:
    if len(given) == 1:
        raise EarsightError(f"no question was given for {given[0]}; {USAGE}")
    if len(given) > 2:
        looks = "if these are words of one question, put it in quotes; for several clips use --question"
        raise EarsightError(f"{len(given)} arguments were given without --question; {looks}")
    clip, question = given
    if is_there(question) and not is_there(clip):
        raise EarsightError(f'{question} is a clip and "{clip}" is not: the clip comes first; {USAGE}')
    if is_there(question) or _looks_like_a_file(question):
        raise EarsightError(f"two clips and no question were given ({clip}, {question}); {USAGE}")
    return question


def _looks_like_a_file(text: str) -> bool:
    # One word with a short ending, such as clip.mp4: a clip that was mistyped, not a question.
    ending = PurePath(text).suffix
    return not any(letter.isspace() for letter in text) and 2 <= len(ending) <= 5 and ending[1:].isalnum()

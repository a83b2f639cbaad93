"""From a free answer to what is compared: each ability of a benchmark names one of these strategies.

exact   the answer itself: lower case, without punctuation, without an article at its front
name    the guessed name in a sentence: "I see a bird, probably an owl." -> "owl"
option  which of the record's options is mentioned first
yes_no  "yes" or "no"
number  the one number in it, in digits or words
words   all words, for word error rates

An answer that holds nothing of the kind ("none") or hedges between two ("ambiguous") is wrong; both are counted apart.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Reason = Literal["", "none", "ambiguous"]


@dataclass(frozen=True)
class Extracted:
    """What an answer says."""

    value: str | None
    reason: Reason = ""  # why there is no value


NONE, AMBIGUOUS = Extracted(None, "none"), Extracted(None, "ambiguous")

ARTICLES = {"a", "an", "the", "some"}
HEDGES = {"probably", "perhaps", "maybe", "possibly", "likely"}
# What stands after one of these is where a thing is, not what it is: "an owl on a branch".
PLACES = {"in", "on", "at", "with", "near", "behind", "under", "beside", "by", "from", "to", "for", "against", "over"}
ENDS_PHRASE = (
    PLACES | HEDGES | ARTICLES | {"and", "or", "but", "that", "which", "who", "is", "are", "was", "were", "has"}
)
LEAD_IN = re.compile(r"(?:(?:i (?:think|see|hear|guess)|it (?:is|sounds like|looks like)|its|this is|that is)\s+)+")
MEDIUM_OF = re.compile(r"(?:sound|noise|picture|photo|photograph|image|drawing|kind|type|sort) of (?=.)")

YES = {"yes", "yeah", "yep"}
NO = {"no", "nope", "not", "isnt", "arent", "doesnt", "dont", "wasnt", "didnt", "cannot", "cant"}

# fmt: off
SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
TENTHS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# fmt: on
UNITS = {word: value for value, word in enumerate(SMALL)} | {"once": 1, "twice": 2, "thrice": 3}
TENS = {word: 10 * value for value, word in enumerate(TENTHS, start=2)}
NOTHING = {"no", "none", "never", "nothing"}


def extract(strategy: str, text: str, options: Sequence[str] = ()) -> Extracted:
    """What an answer, or a reference, says under a strategy; equal values are the same answer.

    Raises:
        KeyError: no such strategy; benchmarks are checked when they are loaded.
    """
    return STRATEGIES[strategy](text, options)


def plain(text: str) -> str:
    """Lower case, no punctuation, single spaces; apostrophes vanish, hyphens part words, numbers stay as written."""
    text = unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'").replace("'", "")
    return " ".join(re.sub(r"[\W_]+", " ", text).split())


def exact(text: str, options: Sequence[str] = ()) -> Extracted:
    """The whole answer, without articles at its front."""
    words = plain(text).split()
    while len(words) > 1 and words[0] in ARTICLES:
        words = words[1:]
    return Extracted(" ".join(words)) if words else NONE


def words(text: str, options: Sequence[str] = ()) -> Extracted:
    """All words, in order; an empty transcript is a value: every word of the reference is missing."""
    return Extracted(plain(text))


def yes_no(text: str, options: Sequence[str] = ()) -> Extracted:
    """The first yes or no; "yes or no" is ambiguous. "There is no dog" and "It does not bark" are a no."""
    said = plain(text).split()
    found = [(at, "yes" if word in YES else "no") for at, word in enumerate(said) if word in YES or word in NO]
    if not found:
        return NONE
    between = said[found[0][0] + 1 : found[1][0]] if len(found) > 1 else []
    if len(found) > 1 and found[0][1] != found[1][1] and between in (["or"], ["and"]):
        return AMBIGUOUS
    return Extracted(found[0][1])


def option(text: str, options: Sequence[str] = ()) -> Extracted:
    """The option mentioned first, the longest where several begin there, plurals too; "not a dog" mentions no dog.

    Ambiguous where another follows with no more than "or", "and" or a comma between: "a dog or a cat".
    """
    said = plain(text).split()
    found: list[tuple[int, int, str]] = []  # begins, minus its length, option
    for one in options:
        wanted = (exact(one).value or "").split()
        for at in range(len(said) - len(wanted) + 1):
            if wanted and _same(said[at : at + len(wanted)], wanted) and not _negated(said, at):
                found.append((at, -len(wanted), " ".join(wanted)))
    if not found:
        return NONE
    begins, minus, value = min(found)
    later = [one for one in sorted(found) if one[0] >= begins - minus and one[2] != value]
    if later and set(said[begins - minus : later[0][0]]) <= {"or", "and", *ARTICLES}:
        return AMBIGUOUS
    return Extracted(value)


def number(text: str, options: Sequence[str] = ()) -> Extracted:
    """The one number in the answer; two that differ are ambiguous. "None" and "no" are 0 where there is no other."""
    lowered = unicodedata.normalize("NFKC", text).lower()
    tokens = re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+", re.sub(r"(?<=\d),(?=\d{3}\b)", "", lowered))
    values: set[float] = set()
    at = 0
    while at < len(tokens):
        value, after = _number_at(tokens, at)
        if value is not None:
            values.add(value)
        at = after
    if not values and NOTHING & set(tokens):
        values = {0.0}
    if len(values) > 1:
        return AMBIGUOUS
    return Extracted(f"{values.pop():g}") if values else NONE


def name(text: str, options: Sequence[str] = ()) -> Extracted:
    """The guessed name: what follows "probably"; else the last noun phrase after an article, but not the place it is
    at; else the answer without "It is" and the like."""
    clauses = [plain(clause).split() for clause in re.split(r"[.,;:!?()\n]+", text)]
    for said in clauses:
        for at, word in enumerate(said):
            if word in HEDGES and (guess := _phrase(said, at + 1)):
                return Extracted(guess)
    phrases: list[str] = []
    places: list[str] = []
    for said in clauses:
        for at, word in enumerate(said):
            if word in ARTICLES and (guess := _phrase(said, at + 1)):
                (places if at and said[at - 1] in PLACES else phrases).append(guess)
    if phrases or places:
        return Extracted((phrases or places)[-1])
    return exact(LEAD_IN.sub("", plain(text), count=1) if LEAD_IN.match(plain(text)) else text)


STRATEGIES: dict[str, Callable[[str, Sequence[str]], Extracted]] = {
    "exact": exact,
    "name": name,
    "option": option,
    "yes_no": yes_no,
    "number": number,
    "words": words,
}


def _phrase(said: Sequence[str], at: int) -> str:
    """The noun phrase that begins at a word, without its article and without "picture of"."""
    while at < len(said) and said[at] in ARTICLES:
        at += 1
    kept: list[str] = []
    for word in said[at:]:
        if word in ENDS_PHRASE:
            break
        kept.append(word)
    while kept and kept[-1] in ("of", "like"):
        kept.pop()
    return MEDIUM_OF.sub("", " ".join(kept))


def _same(said: Sequence[str], wanted: Sequence[str]) -> bool:
    last = wanted[-1]
    return list(said[:-1]) == list(wanted[:-1]) and said[-1] in (last, f"{last}s", f"{last}es")


def _negated(said: Sequence[str], at: int) -> bool:
    before = [word for word in said[max(0, at - 2) : at] if word not in ARTICLES]
    return bool(before) and before[-1] in ("not", "isnt", "no")


def _number_at(tokens: Sequence[str], at: int) -> tuple[float | None, int]:
    """The number that begins at a token, and where it ends; (None, at + 1) where none begins."""
    word = tokens[at]
    if word[0].isdigit():
        return float(word), at + 1
    value, after = _below_hundred(tokens, at)
    if value is None:
        return None, at + 1
    if 0 < value < 10 and after < len(tokens) and tokens[after] == "hundred":
        rest = after + 2 if tokens[after + 1 : after + 2] == ["and"] else after + 1
        more, end = _below_hundred(tokens, rest)
        return (100 * value + more, end) if more else (100 * value, after + 1)
    return value, after


def _below_hundred(tokens: Sequence[str], at: int) -> tuple[float | None, int]:
    word = tokens[at] if at < len(tokens) else ""
    if word in TENS:
        unit = UNITS.get(tokens[at + 1], 0) if at + 1 < len(tokens) else 0
        return (TENS[word] + unit, at + 2) if 0 < unit < 10 else (TENS[word], at + 1)
    return (UNITS[word], at + 1) if word in UNITS else (None, at)

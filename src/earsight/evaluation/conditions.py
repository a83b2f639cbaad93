"""What a model is given when it is asked: everything, or less of it. No file is written or encoded anew.

A score that stands without the sense it needs was not won by that sense: each ability is asked again with senses taken
away, with its sound replaced by noise (Dolphin, figure 1), and answered by one and the same answer for all.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from earsight.data.records import Record
from earsight.errors import EarsightError
from earsight.evaluation.metrics import accepted
from earsight.model.conversation import Medium
from earsight.types import Clip

if TYPE_CHECKING:
    from earsight.evaluation.benchmark import Benchmark

FULL = "full"
MAJORITY, BEST_CONSTANT = "majority", "best constant"  # no model is asked


@dataclass(frozen=True)
class Condition:
    """What is left of a record's media."""

    about: str
    senses: tuple[str, ...]
    noise: bool = False  # the sound becomes white noise of the same length and level


CONDITIONS = {
    FULL: Condition("everything", ("picture", "sound")),
    "text only": Condition("the question alone, its media taken out", ()),
    "picture only": Condition("media met with sight only, their sound ignored", ("picture",)),
    "sound only": Condition("media met with hearing only, their picture ignored", ("sound",)),
    "white noise": Condition("sound replaced by white noise of its length and level", ("picture", "sound"), noise=True),
}


def chosen(names: Sequence[str]) -> list[str]:
    """Conditions by name, each once; none named: all.

    Raises:
        EarsightError: an unknown condition, with the nearest.
    """
    for name in names:
        if name not in CONDITIONS:
            near = get_close_matches(name, list(CONDITIONS), 1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(CONDITIONS)}"
            raise EarsightError(f"no condition '{name}'; {hint}")
    return list(dict.fromkeys(names or CONDITIONS))


def effective(condition: str, messages: Sequence[Mapping[str, Any]]) -> str:
    """The condition, or "full" where it takes nothing from these messages: such a record is not asked twice."""
    one = CONDITIONS[condition]
    brought = [_brings(part) for part in _media_parts(messages)]
    if any(set(senses) - set(one.senses) or (one.noise and "sound" in senses) for senses in brought):
        return condition
    return FULL


def messages_under(condition: str, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages as a condition leaves them: media parts stay where a sense is left, else only the words do."""
    if CONDITIONS[condition].senses:
        return [dict(message) for message in messages]
    kept = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            content = [part for part in content if part["type"] == "text"]
        kept.append({**message, "content": content})
    return kept


def medium_under(condition: str, medium: Medium, decode: Callable[[Medium], Clip]) -> Medium:
    """A medium as a condition leaves it. `decode` is called only where sound has to be replaced.

    Raises:
        MediaError: of `decode`.
    """
    one = CONDITIONS[condition]
    # A name that is no sense stands for none: an empty tuple would mean "those of its kind".
    senses = tuple(sense for sense in medium.senses if sense in one.senses) or ("none",)
    if one.noise and "sound" in senses:
        clip = with_white_noise(decode(medium), zlib.crc32(repr(_named(medium)).encode()))
        return Medium("video", clip, senses=senses, question=medium.question)
    return replace(medium, senses=senses)


def with_white_noise(clip: Clip, seed: int) -> Clip:
    """The clip with Gaussian white noise for its sound: as long, at the same root mean square; silence stays silent."""
    if clip.sound != "present":
        return clip
    import numpy as np

    level = float(np.sqrt(np.mean(np.square(clip.waveform, dtype=np.float64))))
    noise = np.random.default_rng(seed).standard_normal(len(clip.waveform))
    noise *= level / np.sqrt(np.mean(np.square(noise)))
    return replace(clip, waveform=np.clip(noise, -1, 1).astype(np.float32))


def constant_answer(benchmark: "Benchmark", ability: str, records: Sequence[Record]) -> tuple[str, str]:
    """("majority", the most frequent answer in training) where the benchmark says it; else ("best constant", the one
    answer that would score best on these very records: no blind guess can beat it). Word errors: nothing is said."""
    if ability in benchmark.majority:
        return MAJORITY, benchmark.majority[ability]
    one = benchmark.abilities[ability]
    if one.metric == "wer":
        return BEST_CONSTANT, ""
    counts = Counter(value for record in records for value in sorted(accepted(one, record)))
    return BEST_CONSTANT, counts.most_common(1)[0][0] if counts else ""


def _media_parts(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    contents = [message["content"] for message in messages if not isinstance(message["content"], str)]
    return [part for content in contents for part in content if part["type"] != "text"]


def _brings(part: Mapping[str, Any]) -> tuple[str, ...]:
    """The senses that a media part may bring, whatever its file holds."""
    if part["type"] == "audio":
        return ("sound",)
    heard = (part["type"] == "video" or "sound" in part) and part.get("audio") != "ignore"
    return ("picture", "sound") if heard else ("picture",)


def _named(medium: Medium) -> tuple[Any, ...]:
    """What a medium is called: its noise is the same in every run, wherever the benchmark lies."""
    name = str(medium.source).replace("\\", "/").rsplit("/", 1)[-1]
    return name, medium.start_seconds, medium.end_seconds

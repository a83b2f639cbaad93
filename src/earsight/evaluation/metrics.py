"""What an answer scores: a numerator and a denominator for each record, so that any set of records can be summed.

accuracy   1 or 0 over 1; higher is better
wer        word errors over the reference's words, summed before they are divided (jiwer); lower is better
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from earsight.data.faults import words as words_of
from earsight.data.records import Record
from earsight.errors import EarsightError
from earsight.evaluation.extraction import Reason, extract

if TYPE_CHECKING:
    from earsight.evaluation.benchmark import Ability


@dataclass(frozen=True)
class Outcome:
    """One answer's share of a score."""

    numerator: float
    denominator: float
    found: str = ""  # what was read from the answer
    unclear: Reason = ""

    @property
    def ratio(self) -> float:
        return self.numerator / self.denominator


@dataclass(frozen=True)
class Metric:
    """How answers become a score."""

    of: Callable[["Ability", Record, str], Outcome]
    failed: Callable[["Ability", Record], Outcome]  # of a record that could not be asked
    higher_is_better: bool

    def meets(self, score: float, target: float) -> bool:
        """Whether a score is at least as good as a target."""
        return score >= target if self.higher_is_better else score <= target

    def is_wrong(self, outcome: Outcome) -> bool:
        return outcome.ratio < 1 if self.higher_is_better else outcome.ratio > 0


def outcome(ability: "Ability", record: Record, reply: str | None) -> Outcome:
    """What a reply scores; None: the record could not be asked, which is wrong."""
    metric = METRICS[ability.metric]
    return metric.failed(ability, record) if reply is None else metric.of(ability, record, reply)


def score(outcomes: Sequence[Outcome]) -> float:
    """Sum over sum; 0 where there is nothing."""
    total = sum(one.denominator for one in outcomes)
    return sum(one.numerator for one in outcomes) / total if total else 0.0


def reference_text(record: Record) -> str:
    """The record's own answer."""
    return words_of(record.messages[-1])


def options_of(record: Record) -> list[str]:
    """What an answer may choose from."""
    return [str(one) for one in record.extra.get("options", ())]


def accepted(ability: "Ability", record: Record) -> set[str]:
    """What counts as right: the reference and extra["accepted"], read as answers are.

    Raises:
        EarsightError: a reference that does not say anything of the kind the ability asks for.
    """
    values: set[str] = set()
    for text in (reference_text(record), *map(str, record.extra.get("accepted", ()))):
        found = extract(ability.extract, text, options_of(record))
        if not found.value:
            what = f"{ability.extract} in the reference {text!r} is {found.reason or 'none'}"
            raise EarsightError(f"record {record.id}: {what}; mend the record or the ability's extract")
        values.add(found.value)
    return values


def _accuracy(ability: "Ability", record: Record, reply: str) -> Outcome:
    found = extract(ability.extract, reply, options_of(record))
    if found.value is None:
        return Outcome(0, 1, "", found.reason)
    right = accepted(ability, record)
    hit = found.value in right
    if ability.extract == "number" and ability.tolerance:
        hit = any(abs(float(found.value) - float(one)) <= ability.tolerance + 1e-9 for one in right)
    return Outcome(int(hit), 1, found.value)


def _word_errors(ability: "Ability", record: Record, reply: str) -> Outcome:
    reference, said = _words(ability, record), extract(ability.extract, reply).value or ""
    counted = _jiwer().process_words(reference, said)
    errors = counted.substitutions + counted.deletions + counted.insertions
    return Outcome(errors, len(reference.split()), said)


def _words(ability: "Ability", record: Record) -> str:
    return extract(ability.extract, reference_text(record)).value or ""


def _jiwer():  # type: ignore[no-untyped-def]
    try:
        import jiwer
    except ImportError as error:
        raise EarsightError("word error rates need jiwer; install earsight[evaluate]") from error
    return jiwer


def _all_words_missing(ability: "Ability", record: Record) -> Outcome:
    n_words = len(_words(ability, record).split())
    return Outcome(n_words, n_words)


METRICS = {
    "accuracy": Metric(_accuracy, lambda ability, record: Outcome(0, 1), higher_is_better=True),
    "wer": Metric(_word_errors, _all_words_missing, higher_is_better=False),
}

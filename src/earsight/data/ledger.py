"""What became of every sample of a run: used, used after truncation, skipped or damaged, by source and reason.

None is ever replaced by another. Above a set rate of lost samples the run stops.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Self, get_args

from earsight.errors import EarsightError

Outcome = Literal["used", "truncated", "skipped", "damaged"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
LOST: tuple[Outcome, ...] = ("skipped", "damaged")
CUT = "answer cut"  # the reason that says: used, but not whole


def outcome_of(reason: str) -> Outcome:
    """What a reason tells by itself: none is used, a cut answer truncated, a damaged medium damaged, else skipped."""
    if not reason:
        return "used"
    return "truncated" if reason == CUT else "damaged" if "damaged" in reason else "skipped"


class Ledger:
    """Counts samples. Threads may share one; processes count on their own and are merged."""

    def __init__(self, max_skip_rate: float | None = None, least_samples: int = 100) -> None:
        self.max_skip_rate, self.least_samples = max_skip_rate, least_samples
        self.counts: dict[str, Counter[tuple[Outcome, str]]] = {}  # by source
        self._lock = Lock()

    def note(self, source: str, reason: str = "", outcome: Outcome | None = None, count: int = 1) -> None:
        """One sample more. A truncated sample is noted twice, as used and as truncated."""
        with self._lock:
            self.counts.setdefault(source, Counter())[outcome or outcome_of(reason), reason] += count

    def total(self, *outcomes: Outcome) -> int:
        """Samples with one of these outcomes."""
        counts = list(self.counts.values())
        return sum(n for one in counts for (outcome, _), n in list(one.items()) if outcome in outcomes)

    @property
    def skip_rate(self) -> float:
        """Share of samples that were lost."""
        lost, used = self.total(*LOST), self.total("used")
        return lost / (lost + used) if lost else 0.0

    def check(self) -> None:
        """Nothing, or the end of the run.

        Raises:
            EarsightError: more samples were lost than `max_skip_rate` allows; says which and why.
        """
        lost, used = self.total(*LOST), self.total("used")
        if self.max_skip_rate is None or lost + used < self.least_samples or self.skip_rate <= self.max_skip_rate:
            return
        reasons: Counter[str] = Counter()
        for source, counts in self.counts.items():
            for (outcome, reason), count in counts.items():
                if outcome in LOST:
                    reasons[f"{source}: {reason or outcome}"] += count
        named = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(5))
        more = f"; and {len(reasons) - 5} other reasons" if len(reasons) > 5 else ""
        raise EarsightError(
            f"{lost} of {lost + used} samples could not be used, over max_skip_rate {self.max_skip_rate:g}: "
            f"{named}{more}"
        )

    def merge(self, other: "Ledger | Mapping[str, Any]") -> None:
        """Add the counts of another process's ledger, or of its `to_json`."""
        given = other if isinstance(other, Ledger) else Ledger.of(other)
        for source, counts in given.counts.items():
            for (outcome, reason), count in counts.items():
                self.note(source, reason, outcome, count)

    def to_json(self) -> dict[str, Any]:
        """As plain types: totals, then {source: {outcome: {reason: count}}}."""
        sources: dict[str, dict[str, dict[str, int]]] = {}
        for source, counts in sorted(self.counts.items()):
            told = sources.setdefault(source, {})
            for (outcome, reason), count in counts.most_common():
                told.setdefault(outcome, {})[reason] = count
        totals: dict[str, int] = {outcome: self.total(outcome) for outcome in OUTCOMES}
        return {
            "max_skip_rate": self.max_skip_rate,
            "skip_rate": round(self.skip_rate, 6),
            **totals,
            "sources": sources,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """What `to_json` told."""
        made = cls(told.get("max_skip_rate"))
        for source, outcomes in told["sources"].items():
            for outcome, reasons in outcomes.items():
                for reason, count in reasons.items():
                    made.note(source, reason, outcome, count)
        return made

    @classmethod
    def read(cls, path: Path) -> Self:
        """The ledger of a run that goes on.

        Raises:
            EarsightError: the file is not there or not a ledger.
        """
        try:
            return cls.of(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise EarsightError(f"{path}: not a ledger of a run ({type(error).__name__})") from error

    def write(self, path: Path) -> None:
        """Write it beside the run, whole or not at all.

        Raises:
            EarsightError: it cannot be written.
        """
        partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                partial.write_text(text, encoding="utf-8", errors="backslashreplace")
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise EarsightError(f"{path}: cannot be written ({error.strerror or error}); make room") from error

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())

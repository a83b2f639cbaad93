"""What was wrong in a file that is read in spite of it: places and reasons, counted by reason."""

import re
from collections import Counter
from typing import Any

_NUMBERS = re.compile(r"\d+(\.\d+)?")


class Problems:
    """Collects what importers and readers leave out. The first few of each kind are kept with their places."""

    def __init__(self, kept: int = 5) -> None:
        self.kept = kept
        self.counts: Counter[str] = Counter()  # by kind of reason
        self.first: dict[str, list[tuple[str, str]]] = {}  # kind -> (place, reason), the first few

    def add(self, place: str, reason: str) -> None:
        """One more: "file:line" and why. Reasons that differ in numbers or after a colon are of one kind."""
        kind = _NUMBERS.sub("N", reason.split(": ")[0])
        self.counts[kind] += 1
        first = self.first.setdefault(kind, [])
        if len(first) < self.kept:
            first.append((place, reason))

    def __len__(self) -> int:
        return self.counts.total()

    def lines(self) -> list[str]:
        """To print: each kind with how often it was found, and the first places."""
        rows = []
        for kind, count in self.counts.most_common():
            rows.append(f"{count:,} x {kind}")
            rows += [f"  {place}: {reason}" for place, reason in self.first[kind]]
        return rows

    def to_json(self) -> dict[str, Any]:
        """As plain types."""
        first = {
            kind: [{"place": place, "reason": reason} for place, reason in self.first[kind]] for kind in self.first
        }
        return {"total": len(self), "counts": dict(self.counts.most_common()), "first": first}

"""How long the command line and the import take before any work, beside an interpreter that does nothing."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 7
CASES = (  # what, how, target in seconds
    ("python -c pass", [sys.executable, "-c", "pass"], None),
    ("import earsight", [sys.executable, "-c", "import earsight"], 0.3),
    ("earsight --help", [str(Path(sys.executable).parent / "earsight"), "--help"], 0.4),
    ("earsight ask --help", [str(Path(sys.executable).parent / "earsight"), "ask", "--help"], 0.4),
)


def seconds(command: list[str]) -> float:
    """Wall time of one run from start to end of the process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Print minimum and median; the cases take turns, so that a busy moment does not fall on one of them."""
    for _, command, _ in CASES:  # once unmeasured: files come into memory, byte code is written
        seconds(command)
    taken: dict[str, list[float]] = {what: [] for what, _, _ in CASES}
    for _ in range(RUNS):
        for what, command, _ in CASES:
            taken[what].append(seconds(command))
    print(f"| start-up, {RUNS} runs | minimum | median | target | reached |\n|---|---|---|---|---|")
    for what, _, target in CASES:
        median = statistics.median(taken[what])
        goal = "| - | - |" if target is None else f"| under {target} s | {'yes' if median < target else 'no'} |"
        print(f"| `{what}` | {min(taken[what]):.3f} s | {median:.3f} s {goal}")


if __name__ == "__main__":
    main()

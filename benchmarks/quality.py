"""How often the starter is right on the held-out tests, beside its blind baselines.

    python -m benchmarks.quality

Builds corpus and tests from their source packages at first use (Debian's package client or EARSIGHT_CORPUS_FROM); takes
some ten minutes on two cores.
"""

from pathlib import Path

from earsight.apps.evaluate import Evaluation, found
from earsight.errors import EarsightError


def main() -> None:
    try:
        print(Evaluation("starter", found(Path("starter")), [], [], None, 16).run({}, None, True, True))
    except EarsightError as error:
        print(f"not measured: {error}")


if __name__ == "__main__":
    main()

"""How often the starter is right on held-out objects and recordings, beside its blind baselines.

    python -m benchmarks.quality

Builds the corpus from its source packages at first use (about 280 MB, Debian's package client or EARSIGHT_CORPUS_FROM).
"""

import os
import sys

from earsight.errors import EarsightError
from earsight.evaluation import starter_benchmark


def main() -> None:
    source = os.environ.get("EARSIGHT_CORPUS_FROM")
    given, sys.argv = sys.argv, ["quality", *(["--corpus-from", source] if source else [])]
    try:
        starter_benchmark.main()
    except EarsightError as error:
        print(f"not measured: {error}")
    finally:
        sys.argv = given


if __name__ == "__main__":
    main()

"""What a licence tier of the starter corpus leaves to train on, beside what the held-out tests ask.

    python -m benchmarks.tiers

Counted in the corpora as they were built (`earsight corpus build starter`, and with --tier open or share-alike); a tier
that is not built is left out. The tests are those of the whole corpus: every model is asked the same.
"""

import sys

from earsight.data.starter.corpus import Corpus, Sense, load_built
from earsight.data.starter.licences import TIERS
from earsight.errors import EarsightError

SENSES: tuple[Sense, ...] = ("picture", "sound")


def row(tier: str, built: Corpus, whole: Corpus) -> str:
    """A tier's training items, and the shares of the tests' items whose name, or kind, is among them."""
    cells = []
    for sense in SENSES:
        trained = built.of(sense, "train")
        names, kinds = {item.name for item in trained}, {item.kind for item in trained}
        known, unseen = whole.of(sense, "test_known"), whole.of(sense, "test")
        cells += [
            str(len(trained)),
            f"{sum(item.name in names for item in known)} of {len(known)}",
            f"{sum(item.kind in kinds for item in unseen)} of {len(unseen)}",
        ]
    objects = [{item.key for item in built.of(sense, "train")} for sense in SENSES]
    return f"| {tier} | " + " | ".join([*cells, str(len(objects[0] & objects[1]))]) + " |"


def main() -> None:
    try:
        whole = load_built()
    except EarsightError as error:
        sys.exit(f"tiers: {error}")
    print("| tier | pictures | names asked | kinds asked | sounds | names asked | kinds asked | seen and heard |")
    print("|---" * 8 + "|")
    for tier in TIERS:
        try:
            print(row(tier, load_built(tier), whole))
        except EarsightError as error:
            print(f"{tier}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()

"""On what terms each file of the corpus may be passed on, and whose it is.

open         public domain, CC0, CC BY and permissive licences
share-alike  and CC BY-SA and GFDL
gpl          and the rest: everything
"""

import re
from difflib import get_close_matches
from functools import cache
from typing import Literal, NamedTuple, get_args

from earsight.data.starter.label_tables import table
from earsight.errors import EarsightError

Tier = Literal["open", "share-alike", "gpl"]
TIERS: tuple[Tier, ...] = get_args(Tier)  # each holds those before it

VERSION = r"([ -]\d[\d.]*)?"
OPEN = re.compile(rf"public domain|CC0{VERSION}|CC BY{VERSION}|BSD.*|MIT|Expat|ISC|Apache.*|WordNet.*", re.IGNORECASE)
SHARE_ALIKE = re.compile(rf"CC BY-SA{VERSION}|GFDL.*", re.IGNORECASE)


class Author(NamedTuple):
    name: str
    address: str  # where the original or its author is found; "" where that is not known


def tier_of(licence: str) -> Tier:
    """The strictest tier that holds a licence; one that is not known is "gpl"."""
    if OPEN.fullmatch(licence.strip()):
        return "open"
    return "share-alike" if SHARE_ALIKE.fullmatch(licence.strip()) else "gpl"


def holds(tier: Tier, licence: str) -> bool:
    """Whether a corpus of a tier may hold a file of this licence."""
    return TIERS.index(tier_of(licence)) <= TIERS.index(tier)


def get_tier(name: str) -> Tier:
    """A tier by its name.

    Raises:
        EarsightError: there is none of that name.
    """
    for tier in TIERS:
        if tier == name:
            return tier
    near = "".join(f"; did you mean {one}?" for one in get_close_matches(name, TIERS, 1))
    raise EarsightError(f"no licence tier '{name}'; there are: {', '.join(TIERS)}{near}")


def author_of(source: str, file: str) -> Author:
    """Who made a file: named for it, for its folder (`folder/*`), or for its package (`*`); ("", "") for no one."""
    named = _authors().get(source, {})
    if file in named:
        return named[file]
    folders = [pattern for pattern in named if pattern.endswith("*") and file.startswith(pattern[:-1])]
    return named[max(folders, key=len)] if folders else Author("", "")


@cache
def _authors() -> dict[str, dict[str, Author]]:
    found: dict[str, dict[str, Author]] = {}
    for line in table("authors.tsv").decode().splitlines()[1:]:
        source, file, name, address = line.split("\t")
        found.setdefault(source, {})[file] = Author(name, address)
    return found

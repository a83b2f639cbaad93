"""`earsight corpus build | show`: the starter corpus from its packages; what is in it."""

import json
import signal
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from earsight.apps import terminal
from earsight.errors import EarsightError

app = typer.Typer(help="Build the corpus the starter is trained and tested on, or look at it.", no_args_is_help=True)
CORPORA = ("starter",)
PARTS = ("speech",)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Which corpus: starter.")]
Tier = Annotated[str, typer.Option(metavar="open|share-alike|gpl", help="Which licences it may hold; gpl is all.")]
Cache = Annotated[Path | None, typer.Option(metavar="DIR", help="Where it is built, instead of the user's cache.")]


@app.command()
def build(
    name: Name,
    tier: Tier = "gpl",
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Folder with the .deb files, instead of apt-get.")
    ] = None,
    cache: Cache = None,
    without: Annotated[str, typer.Option(metavar="speech", help="Leave out what speech is made of.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Build a corpus from its Debian packages: fetched with apt-get and unpacked in the cache, not installed."""
    _check("corpus", name, CORPORA)
    if without:
        _check("part", without, PARTS)
    from earsight.data.starter import corpus, licences, report

    chosen = licences.get_tier(tier)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a build that is ended leaves nothing half-written
    with terminal.Waiting("looking for the corpus' packages ...", quiet) as waiting:
        built = corpus.build(cache, source, chosen, speech=without != "speech", progress=waiting.report)
    if not quiet:
        print("\n".join(map(terminal.printable, report.lines(built))))


@app.command()
def show(
    name: Name,
    tier: Tier = "gpl",
    cache: Cache = None,
    page: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page to look and listen.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what is in a built corpus: how much of each kind on each side, licences, sources; or make a page of it."""
    _check("corpus", name, CORPORA)
    from earsight.data.starter import corpus, licences, report

    built = corpus.load_built(licences.get_tier(tier), cache)
    if page:
        from earsight.data.starter.page import write_page

        write_page(built, page)
    if as_json:
        print(json.dumps(report.to_json(built), ensure_ascii=False))
    else:
        print("\n".join(map(terminal.printable, report.lines(built))))
    if page:
        terminal.print_dim(f"open {page} in a browser")


def _check(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        near = "".join(f"; did you mean {one}?" for one in get_close_matches(name, known, 1))
        raise EarsightError(f"no {what} '{name}'; there are: {', '.join(known)}{near}")

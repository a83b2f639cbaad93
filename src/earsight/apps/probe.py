"""`earsight probe`: what is in a file, as Earsight will use it."""

import json
from typing import Annotated

import typer

from earsight.apps import terminal
from earsight.apps.asked import check_there
from earsight.errors import EarsightError


def probe(
    clips: Annotated[list[str], typer.Argument(metavar="CLIP...", help="Video, sound or image files, or addresses.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line for each clip.")] = False,
) -> None:
    """Say what is in each file, as Earsight will use it. No model is loaded."""
    failed, gap = False, ""
    for clip in clips:
        try:
            check_there(clip)
            from earsight.media import probe as look

            found = look(clip)
        except EarsightError as error:
            terminal.print_error(str(error))
            failed = True
            continue
        if as_json:
            print(json.dumps(found.to_json(), ensure_ascii=False), flush=True)
        else:
            print(gap + "\n".join(map(terminal.printable, found.lines())), flush=True)
            gap = "\n"  # between two clips
    if failed:
        raise typer.Exit(2)

"""The command line: `earsight ask | chat | probe | ...`, a module of this folder each.

Nothing heavy is imported here or in the commands' modules, so `earsight --help` answers at once; torch comes in when
the arguments are known to be good. An `EarsightError` is one line on stderr and exit status 2.
"""

import logging
import os
import sys
from typing import Annotated

import typer

from earsight.apps import corpus, data, starter
from earsight.apps.ask import ask
from earsight.apps.chat import chat
from earsight.apps.evaluate import evaluate
from earsight.apps.import_checkpoint import app as import_app
from earsight.apps.probe import probe
from earsight.apps.systems import plan, systems
from earsight.apps.terminal import print_error
from earsight.apps.train import train
from earsight.errors import EarsightError

# Plain help: drawing it with rich would import rich, and take longer than everything else here.
app = typer.Typer(
    name="earsight",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(ask)
app.command()(chat)
app.command()(probe)
app.command()(systems)
app.command()(plan)
app.command()(train)
app.command()(evaluate)
app.add_typer(corpus.app, name="corpus")
app.add_typer(data.app, name="data")
app.add_typer(import_app, name="import")
app.add_typer(starter.app, name="starter")


def print_version(wanted: bool) -> None:
    """Print the version and end, if asked to."""
    if wanted:
        from earsight import __version__

        print(f"earsight {__version__}")
        raise typer.Exit


@app.callback()
def earsight(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Ask a video what it shows and what it sounds like."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; always ends with SystemExit."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # says at import what it lacks, asked or not
    os.environ.setdefault("TQDM_DISABLE", "1")  # one bar is enough: the libraries' own would be drawn through it
    for stream in (sys.stdout, sys.stderr):  # a file name that is no text must not end the program
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app(arguments, prog_name="earsight")
    except EarsightError as error:
        print_error(str(error))
        sys.exit(2)

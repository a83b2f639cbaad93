"""`earsight data`: check records, make them from published data sets, list what can be made."""

import ast
import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from earsight.apps import terminal
from earsight.errors import EarsightError

app = typer.Typer(help="Check training records, or make them from published data sets.", no_args_is_help=True)
GIVEN = ("root", "split", "problems")  # what every importer takes, not an option


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Records: .jsonl, .json, .parquet, `datasets` folder.")],
    root: Annotated[Path, typer.Option(help="Folder that the paths of media begin in.")] = Path("."),
    media: Annotated[bool, typer.Option("--media", help="Also open every media file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with every fault.")] = False,
) -> None:
    """Say what is wrong with records, with file, line and field, and how many there are of each source and task."""
    from earsight.data.validate import validate

    report = validate(file, root, media)
    if as_json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        print("\n".join(map(terminal.printable, report.lines())))
    if not report.n_records:
        raise EarsightError(f"{file}: no record in it")
    if not report.good:
        raise EarsightError(f"{file}: {report.n_malformed:,} of {report.n_records:,} records are malformed")


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which data set; see `earsight data list`.")],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder with the data set in its published layout.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[OPTION=VALUE]...", help="The importer's own, such as task=asr.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which part of the data set.")] = "train",
    out: Annotated[Path | None, typer.Option(help="Where the records go: FILE.jsonl; needed.")] = None,
) -> None:
    """Make records of a published data set. What is damaged in it is left out and told."""
    from earsight.data import importers
    from earsight.data.problems import Problems
    from earsight.data.records import write_jsonl

    read = importers.get(name)
    if out is None or out.suffix != ".jsonl":
        raise EarsightError(f"--out {out or 'is missing'}: give the records' file, --out {name}.jsonl")
    options = _options(name, read, settings or [])
    if not root.is_dir():
        raise EarsightError(f"{root}: no such folder; give the one that the data set is in")
    problems = Problems()
    records = _readable(read(root, split, problems=problems, **options), root)
    first = next(records, None)
    for line in () if first else problems.lines():
        terminal.print_dim(line)
    if first is None:
        raise EarsightError(f"{root}: no record in split '{split}' of {name}; nothing was written")
    count = write_jsonl(out, (one for some in ((first,), records) for one in some))
    for line in problems.lines():
        terminal.print_dim(line)
    left_out = f", {len(problems):,} places of the data set left out" if len(problems) else ""
    print(f"{count:,} records in {out}{left_out}")


@app.command("list")
def list_(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="One importer, with its layout and options.")] = "",
) -> None:
    """List the data sets that can be imported, or tell of one how it has to lie on disk."""
    from earsight.data import importers

    if name:
        read = importers.get(name)
        print(inspect.getdoc(inspect.getmodule(read)))
        told = [f"{one.name}={one.default!r}" for one in _parameters(read).values()]
        print(f"\nOptions: {', '.join(told)}" if told else "\nNo options.")
        return
    for one in importers.names():
        documented = inspect.getdoc(inspect.getmodule(importers.get(one))) or ""
        print(f"{one:<26}{terminal.one_line(documented.splitlines()[0])}")


def _readable(records: Iterator[Any], root: Path) -> Iterator[Any]:
    """The same records; a file of the data set that cannot be read is an error of one line."""
    try:
        yield from records
    except OSError as error:
        raise EarsightError(f"{error.filename or root}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise EarsightError(f"{root}: a table in it is not UTF-8 ({error.reason}); fetch the data set again") from error


def _options(name: str, read: Callable[..., Any], settings: Sequence[str]) -> dict[str, Any]:
    """["task=asr", "n_captions=2"] -> {"task": "asr", "n_captions": 2}, each one that the importer has."""
    known = _parameters(read)
    options: dict[str, Any] = {}
    for setting in settings:
        option, found, text = setting.partition("=")
        if not found or not option:
            raise EarsightError(f"'{setting}': expected OPTION=VALUE, for example task=asr")
        if option not in known:
            near = "".join(f"; did you mean {one}?" for one in get_close_matches(option, known, 1))
            there = f"there are: {', '.join(known)}" if known else "it has none"
            raise EarsightError(f"{name} has no option '{option}'; {there}{near}")
        options[option] = _value(option, text, known[option].default)
    return options


def _parameters(read: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return {name: one for name, one in inspect.signature(read).parameters.items() if name not in GIVEN}


def _value(option: str, text: str, default: Any) -> Any:
    """Text as what the default is: a number, a truth value, or text."""
    if not isinstance(default, bool | int | float):
        return text
    try:
        value = ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError):
        value = None
    if not isinstance(value, bool | int | float) or isinstance(value, bool) != isinstance(default, bool):
        raise EarsightError(f"{option}={text}: expected {'true or false' if isinstance(default, bool) else 'a number'}")
    return value

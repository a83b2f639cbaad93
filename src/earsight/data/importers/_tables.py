"""Readers of the tables that data sets are published as: lines, delimited tables, long JSON arrays, all with line
numbers.

Each gives (place, row) with place = "file:line". A damaged row is reported through Problems and left out; a missing
file or column is an error, since then the layout is another one.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from earsight.data.problems import Problems
from earsight.errors import EarsightError

CHUNK_CHARACTERS = 1 << 20
GAP = re.compile(r"[\s,]*")
LONGEST_OBJECT = 64 << 20  # characters; what is longer without being JSON is damaged


def there(path: Path, dataset: str) -> Path:
    """The path itself.

    Raises:
        EarsightError: it is not there; says what layout was expected.
    """
    if not path.exists():
        raise EarsightError(f"{path}: not there; expected {dataset}'s published layout (see the importer's docstring)")
    return path


def lines(path: Path, problems: Problems) -> Iterator[tuple[str, str]]:
    """Place and text of each line that is not empty, without its end; a line that is not UTF-8 is reported."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                problems.add(f"{path}:{number}", f"not UTF-8: {error.reason}")
                continue
            if text.strip():
                yield f"{path}:{number}", text


def table(
    path: Path, problems: Problems, columns: Sequence[str], delimiter: str = ",", quoted: bool = True
) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a delimited table with a header; `columns` must be there and filled in. Not quoted: \\ escapes, as pandas
    writes with QUOTE_NONE. The line number is that of the row's last line.

    Raises:
        EarsightError: a column is missing from the header, or the file is not UTF-8.
    """
    style: dict[str, Any] = {} if quoted else {"quoting": csv.QUOTE_NONE, "escapechar": "\\"}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True, **style)
        try:
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in columns if name not in header]
            if missing:
                raise EarsightError(f"{path}: no column {', '.join(missing)}; there are: {', '.join(header)}")
            yield from _rows(path, problems, reader, header, columns)
        except UnicodeDecodeError as error:
            raise EarsightError(f"{path}: not UTF-8 after line {reader.line_num}: {error.reason}") from None


def _rows(
    path: Path, problems: Problems, reader: Any, header: Sequence[str], columns: Sequence[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    while True:
        begin = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.add(f"{path}:{reader.line_num}", f"no table row from line {begin} to here: {error}")
            continue
        place = f"{path}:{reader.line_num}"
        row = dict(zip(header, cells, strict=False))
        if not cells:
            continue
        if len(cells) != len(header):
            problems.add(place, f"{len(cells)} columns where the header has {len(header)}")
        elif empty := [name for name in columns if not row[name].strip()]:
            problems.add(place, f"nothing in column {', '.join(empty)}")
        else:
            yield place, row


def json_array(path: Path, problems: Problems, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Objects of a JSON array, the whole file's or that under `key`, read piece by piece: some are of gigabytes.

    Raises:
        EarsightError: there is no such array.
    """
    decoder, opening = json.JSONDecoder(), re.compile(rf'"{re.escape(key)}"\s*:\s*\[' if key else r"\[")
    with path.open(encoding="utf-8-sig") as file:
        text = file.read(CHUNK_CHARACTERS)
        found = opening.search(text)
        if not found:
            raise EarsightError(f"{path}: no JSON array{f' named {key!r}' if key else ''} at its beginning")
        line, at = 1 + text.count("\n", 0, found.end()), found.end()
        while True:
            begin = GAP.match(text, at).end()  # type: ignore[union-attr]  # matches the empty text too
            line, at = line + text.count("\n", at, begin), begin
            if text[at : at + 1] == "]":
                return
            try:
                value, end = decoder.raw_decode(text, at)
            except json.JSONDecodeError as error:
                more = file.read(CHUNK_CHARACTERS) if len(text) - at < LONGEST_OBJECT else ""
                if not more:
                    problems.add(f"{path}:{line}", f"not JSON from here on ({error.msg}); what follows is not read")
                    return
                text, at = text[at:] + more, 0
                continue
            if isinstance(value, dict):
                yield f"{path}:{line}", value
            else:
                problems.add(f"{path}:{line}", f"expected an object, not {type(value).__name__}")
            line, at = line + text.count("\n", at, end), end


def fields(row: dict[str, Any], place: str, problems: Problems, **kinds: type | tuple[type, ...]) -> bool:
    """Whether an object has fields of these types, text not empty; what lacks is reported."""
    for name, kind in kinds.items():
        value = row.get(name)
        if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, str) and not value.strip()):
            problems.add(place, f"no usable '{name}': {value!r:.60}")
            return False
    return True


def seconds(values: Sequence[Any], place: str, problems: Problems) -> tuple[float, float] | None:
    """Begin and end as numbers, 0 <= begin < end; otherwise reported and None."""
    try:
        begin, end = (float(value) for value in values)
    except (TypeError, ValueError):
        problems.add(place, f"begin and end are not two numbers: {list(values)}")
        return None
    if not 0 <= begin < end < float("inf"):
        problems.add(place, f"begin and end are no stretch of time: {begin:g} to {end:g}")
        return None
    return begin, end

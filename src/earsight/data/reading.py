"""Raw rows of a file of records, each with its place: JSON lines, a JSON list, Parquet, a folder of `datasets`.

A damaged line is an error that says where, or goes to `problems` and is left out. Tables have row numbers for lines.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earsight.data.faults import RecordError
from earsight.data.problems import Problems
from earsight.errors import EarsightError

Row = tuple[str, Any]  # "file:line" and what stands there
NESTED = ("messages", "extra")  # columns that may hold JSON text, since a table's column has one type
_BLANK = " \t\r\n"


def rows(path: Path, problems: Problems | None = None) -> Iterator[Row]:
    """Rows of whatever `path` is.

    Raises:
        EarsightError: not there, of an unknown kind, or (without `problems`) a damaged line.
    """
    try:
        yield from _rows(path, problems)
    except OSError as error:
        raise EarsightError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from error


def _rows(path: Path, problems: Problems | None) -> Iterator[Row]:
    if path.is_dir():
        return _arrow_folder(path)
    if not path.is_file():
        raise EarsightError(f"{path}: no such file; give records as .jsonl, .json, .parquet or a `datasets` folder")
    readers = {".jsonl": json_lines, ".json": json_array, ".ndjson": json_lines}
    if path.suffix in readers:
        return readers[path.suffix](path, problems)
    if path.suffix == ".parquet":
        return _parquet(path)
    raise EarsightError(f"{path}: of no known kind; expected .jsonl, .json, .parquet or a `datasets` folder")


def json_lines(path: Path, problems: Problems | None = None) -> Iterator[Row]:
    """A JSON value on each line that is not empty."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield from decoded(line, f"{path}:{number}", problems)


def decoded(line: bytes, place: str, problems: Problems | None = None) -> Iterator[Row]:
    """The JSON value of one line, or nothing where it is damaged."""
    try:
        yield place, _plain(json.loads(line.decode("utf-8-sig" if place.endswith(":1") else "utf-8")))
    except UnicodeDecodeError as error:
        _damaged(place, f"not UTF-8: {error.reason}", problems)
    except (json.JSONDecodeError, RecursionError) as error:
        _damaged(place, f"not JSON: {getattr(error, 'msg', 'nested too deep')}", problems)


def json_array(path: Path, problems: Problems | None = None, key: str = "") -> Iterator[Row]:
    """Each element of a JSON list, the file's own or that under `key`, with the line on which it begins.

    After a damaged element nothing can be read: where the next one begins is not known.

    Raises:
        EarsightError: not there, not UTF-8, or no list.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise EarsightError(f"{path}: not UTF-8: {error.reason}") from error
    except OSError as error:
        raise EarsightError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    at = _list_begins(path, text, key)
    decoder, line, counted = json.JSONDecoder(), 1, 0
    while True:
        at = _after(text, at, _BLANK)
        if text[at : at + 1] == "]":
            return
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deep")
            _damaged(f"{path}:{line}", f"not JSON: {reason}; what follows is not read", problems)
            return
        yield f"{path}:{line}", _plain(value)
        at = _after(text, at, _BLANK)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "]":
            line += text.count("\n", counted, at)
            _damaged(f"{path}:{line}", "not JSON: expected , or ]; what follows is not read", problems)
            return


def _list_begins(path: Path, text: str, key: str) -> int:
    """Where the first element of the list would stand."""
    at = _after(text, 0, _BLANK)
    if key and text[at : at + 1] == "{":
        found = text.find(json.dumps(key), at)
        at = _after(text, found + len(json.dumps(key)), _BLANK + ":") if found >= 0 else len(text)
    if text[at : at + 1] != "[":
        what = f"an object with a list {key!r}" if key else "a JSON list of records"
        hint = "; JSON lines have the name .jsonl" if text[at : at + 1] == "{" and not key else ""
        raise EarsightError(f"{path}: expected {what}{hint}")
    return at + 1


def _after(text: str, at: int, letters: str) -> int:
    while at < len(text) and text[at] in letters:
        at += 1
    return at


def _damaged(place: str, reason: str, problems: Problems | None) -> None:
    if problems is None:
        raise RecordError(f"{place}: {reason}; mend or remove this line")
    problems.add(place, reason)


def _parquet(path: Path) -> Iterator[Row]:
    parquet, arrow = _arrow("pyarrow.parquet", path), _arrow("pyarrow", path)
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for raw in batch.to_pylist():
                    number += 1
                    yield f"{path}:{number}", _plain(raw)
    except arrow.ArrowException as error:
        raise EarsightError(f"{path}: not a Parquet file, or damaged after row {number}") from error


def _arrow_folder(path: Path) -> Iterator[Row]:
    """What `datasets` wrote with save_to_disk: Arrow streams, named by state.json."""
    if (path / "dataset_dict.json").is_file():
        splits = sorted(file.parent.name for file in path.glob("*/state.json"))
        raise EarsightError(f"{path}: holds several splits; give one: {', '.join(str(path / name) for name in splits)}")
    try:
        files = [path / one["filename"] for one in json.loads((path / "state.json").read_text("utf-8"))["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EarsightError(f"{path}: not a folder that `datasets` wrote with save_to_disk; give a file") from error
    arrow = _arrow("pyarrow", path)
    number = 0
    try:
        for file in files:
            with arrow.memory_map(str(file)) as mapped, arrow.ipc.open_stream(mapped) as stream:
                for batch in stream:
                    for raw in batch.to_pylist():
                        number += 1
                        yield f"{path}:{number}", _plain(raw)
    except (arrow.ArrowException, OSError) as error:
        raise EarsightError(f"{path}: {file.name} is missing or damaged after row {number}") from error


def _arrow(module: str, path: Path) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EarsightError(f"{path}: needs pyarrow; install earsight[train], or give the records as .jsonl") from error


def _plain(raw: Any) -> Any:
    """A row without nulls, which tables write for what was not given; a nested column may be JSON text."""
    row = _given(raw)
    if not isinstance(row, dict):
        return row
    for name in NESTED:
        if isinstance(row.get(name), str):
            try:
                row[name] = json.loads(row[name])
            except json.JSONDecodeError:
                continue  # whoever checks the record says that text stands where a list should
    return row


def _given(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _given(one) for name, one in value.items() if one is not None}
    return [_given(one) for one in value] if isinstance(value, list) else value

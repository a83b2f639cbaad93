"""What a person sees while waiting and when something is wrong. All of it goes to stderr."""

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from earsight.model.assistant import Assistant


def one_line(text: str) -> str:
    """Text without line breaks and without control characters a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def printable(text: str) -> str:
    """Text without control characters a terminal would obey; line breaks and tabs stay."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text)


def print_error(message: str) -> None:
    """One line, the same for every error a user can cause."""
    print(f"earsight: error: {one_line(message)}", file=sys.stderr, flush=True)


def print_dim(line: str) -> None:
    """A line about the answer, fainter than the answer where the terminal can."""
    print(_dim(one_line(line)), file=sys.stderr, flush=True)


def is_terminal() -> bool:
    """Whether a person is looking at stderr."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _dim(text: str) -> str:
    return f"\x1b[2m{text}\x1b[0m" if is_terminal() and not os.environ.get("NO_COLOR") else text


class Waiting:
    """Shown while a model is loaded: a word, and a bar while parts are fetched. Where nobody looks, plain lines."""

    def __init__(self, word: str, quiet: bool = False) -> None:
        self.word, self.quiet = word, quiet
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.last = ""

    def __enter__(self) -> Self:
        if is_terminal() and not self.quiet:
            print(_dim(self.word), end="", file=sys.stderr, flush=True)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()
        else:
            self._erase_word()

    def report(self, what: str, done: int, total: int) -> None:
        """Called by whoever fetches: what is being done, how much is done, how much there is."""
        if self.quiet:
            return
        if not is_terminal():
            if what != self.last:
                print(f"{what}{f', {done / total:.0%} done' if total else ''}", file=sys.stderr, flush=True)
            self.last = what
            return
        if self.bar is None or self.task is None:
            self._erase_word()
            self.bar = progress_bar()
            self.task = self.bar.add_task(what, total=total or None)
            self.bar.start()
        self.bar.update(self.task, description=one_line(what), completed=done, total=total or None)

    def _erase_word(self) -> None:
        if is_terminal() and not self.quiet:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def progress_bar() -> "Progress":
    """Rich's bar on stderr, for when a person is looking."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True, markup=False, highlight=False)
    return Progress(*columns, console=console, redirect_stdout=False)  # else answers would go to stderr


def load_model(name: str, options: dict[str, str | None], quiet: bool = False) -> "Assistant":
    """A model by its name or folder, with a bar while the starter's parts are fetched for the first time."""
    import earsight

    with Waiting(f"loading {'the starter' if name == 'starter' else name} ...", quiet) as waiting:
        more = {"progress": waiting.report} if name == "starter" else {}
        return earsight.load(name, **more, **{key: value for key, value in options.items() if value})

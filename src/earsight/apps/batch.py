"""One question about many clips: goes on after a bad one, counts it, and resumes where it stopped."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from earsight.apps import terminal
from earsight.apps.answers_file import AnswersFile, key_of
from earsight.apps.asked import Wishes, check_there, is_there
from earsight.errors import EarsightError

if TYPE_CHECKING:
    from earsight.model.assistant import Assistant


class Progress(Protocol):
    """Tells how far a run is."""

    def ended(self, clip: str, line: str) -> None: ...


def ask_many(
    clips: Sequence[str],
    question: str,
    wishes: Wishes,
    model: tuple[str, dict[str, str | None]],
    out: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Answer for every clip that is not yet in `out`; typer.Exit(2) if any was skipped."""
    if not any(is_there(clip) for clip in clips):
        raise EarsightError(f"none of the {len(clips)} clips exists, the first is {clips[0]}; give files or addresses")
    everything = {key_of(asked): asked for asked in (_asked(clip, question, wishes, model[0]) for clip in clips)}
    skipped: Counter[str] = Counter()
    with ExitStack() as stack:
        file = stack.enter_context(AnswersFile(out)) if out else None
        todo = [asked for key, asked in everything.items() if not file or key not in file.done]
        if todo:
            assistant = terminal.load_model(*model, quiet)
            progress = stack.enter_context(_progress(len(todo), quiet, answers_shown=not file or as_json))
            for asked in todo:
                if reason := _ask_one(assistant, asked, wishes, file, progress, as_json):
                    skipped[reason] += 1
    if not quiet:
        print(_summary(len(todo), len(everything) - len(todo), skipped, out), file=sys.stderr)
    if skipped:
        raise typer.Exit(2)


def _asked(clip: str, question: str, wishes: Wishes, model: str) -> dict[str, Any]:
    return {"source": clip, "question": question, "model": model} | wishes.values()


def _ask_one(
    model: "Assistant",
    asked: dict[str, Any],
    wishes: Wishes,
    file: AnswersFile | None,
    progress: Progress,
    as_json: bool,
) -> str:
    """Answer one; returns why it was skipped, or nothing."""
    clip = asked["source"]
    try:
        check_there(clip)
        answer = model.ask(clip, asked["question"], **wishes.values())
    except EarsightError as error:
        progress.ended(clip, f"earsight: skipped {clip}: {_reason(clip, error)}")
        return _reason(clip, error)
    if file:
        file.append(asked, answer.to_json())  # outside the try: a full disk ends the run
    if as_json:
        print(json.dumps({"asked": asked} | answer.to_json(), ensure_ascii=False), flush=True)
    elif not file:
        print(f"{terminal.one_line(clip)}: {terminal.one_line(answer.text)}", flush=True)
    progress.ended(clip, "")
    return ""


def _reason(clip: str, error: EarsightError) -> str:
    """An error without the clip's name and without advice, so that equal reasons count together."""
    message = terminal.one_line(str(error))
    for name in (clip, Path(clip).name):
        message = message.removeprefix(f"{name}: ")
    return message.split(";")[0].rstrip(".")


def _summary(tried: int, earlier: int, skipped: Counter[str], out: Path | None) -> str:
    parts = [f"{tried - skipped.total()} answered"]
    if earlier:
        parts.append(f"{earlier} already in {out}")
    if skipped:
        reasons = "; ".join(f"{reason}: {count}" for reason, count in skipped.most_common())
        parts.append(f"{skipped.total()} skipped ({reasons}); run again to retry")
    return terminal.one_line(", ".join(parts))


@contextmanager
def _progress(total: int, quiet: bool, answers_shown: bool) -> Iterator[Progress]:
    """A bar where a person is looking, plain lines where not, skips alone when quiet or when answers tell enough."""
    answers_shown = answers_shown and sys.stdout.isatty()  # a bar and answers on one terminal overwrite each other
    quiet = quiet or answers_shown
    if quiet or not terminal.is_terminal():
        yield _Lines(total, quiet)
        return
    with terminal.progress_bar() as bar:
        yield _Bar(bar, total)


class _Lines:
    def __init__(self, total: int, quiet: bool) -> None:
        self.total, self.quiet, self.count = total, quiet, 0

    def ended(self, clip: str, line: str) -> None:
        self.count += 1
        if line or not self.quiet:
            line = terminal.one_line(line or f"{clip}: answered")
            print(f"{line} ({self.count} of {self.total})", file=sys.stderr, flush=True)


class _Bar:
    def __init__(self, bar: Any, total: int) -> None:
        self.bar = bar
        self.task = bar.add_task("asking", total=total)

    def ended(self, clip: str, line: str) -> None:
        if line:
            self.bar.console.print(terminal.one_line(line), soft_wrap=True)
        self.bar.update(self.task, advance=1, description=terminal.one_line(Path(clip).name)[:32])

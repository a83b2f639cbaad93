"""`earsight ask`: one clip, the answer as it comes; or many clips, one line each."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from earsight.apps import terminal
from earsight.apps.asked import Wishes, check_there, clips_and_question
from earsight.types import Answer, AudioPolicy, Evidence

Audio = Annotated[AudioPolicy, typer.Option(help="auto: use sound if there is any; require: no sound is an error.")]
Start = Annotated[float | None, typer.Option("--start", help="Begin here, in seconds.", metavar="SECONDS")]
End = Annotated[float | None, typer.Option("--end", help="Stop here, in seconds.", metavar="SECONDS")]
MaxNewTokens = Annotated[int | None, typer.Option(help="The longest answer, in tokens.", metavar="N")]
LoraScale = Annotated[
    float, typer.Option(help="How much the LoRA counts: 1 as trained, less for SALMONN's discount.", metavar="SCALE")
]
Model = Annotated[str, typer.Option(help='"starter", or a folder that earsight import or a training wrote.')]
Dtype = Annotated[str | None, typer.Option(help="Numbers of the language model: float32, bfloat16, float16.")]
Quantization = Annotated[str | None, typer.Option(help="8bit or 4bit weights of the language model (bitsandbytes).")]
DeviceMap = Annotated[str | None, typer.Option(help='"auto" spreads a model over GPUs, memory and disk.')]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print answers and errors only.")]


def ask(
    given: Annotated[
        list[str],
        typer.Argument(metavar='CLIP... ["QUESTION"]', help="One clip and its question; or clips, with --question."),
    ],
    question: Annotated[str | None, typer.Option("--question", help="The question for every clip.")] = None,
    out: Annotated[Path | None, typer.Option(help="Add answers to this file, a JSON line each; resumes.")] = None,
    audio: Audio = "auto",
    start: Start = None,
    end: End = None,
    max_new_tokens: MaxNewTokens = None,
    lora_scale: LoraScale = 1.0,
    model: Model = "starter",
    dtype: Dtype = None,
    quantization: Quantization = None,
    device_map: DeviceMap = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say which sense carried the answer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print answers as JSON lines.")] = False,
    quiet: Quiet = False,
) -> None:
    """Ask a question about a clip, or the same question about many clips.

    A clip is a video, sound or image file, or an address. Give one clip and then its question in quotes; or any number
    of clips and --question. Exit status 0: all answered; 2: something was skipped or wrong.
    """
    clips, question = clips_and_question(given, question)
    wishes = Wishes(audio, start, end, max_new_tokens, explain, lora_scale)
    options = {"dtype": dtype, "quantization": quantization, "device_map": device_map}
    if len(clips) > 1 or out is not None:
        from earsight.apps.batch import ask_many

        ask_many(clips, question, wishes, (model, options), out, as_json=as_json, quiet=quiet)
        return
    check_there(clips[0])
    assistant = terminal.load_model(model, options, quiet)
    if as_json:
        print(json.dumps(assistant.ask(clips[0], question, **wishes.values()).to_json(), ensure_ascii=False))
        return
    with Streaming() as streaming:
        answer = assistant.ask(clips[0], question, on_text=streaming.write, **wishes.values())
        streaming.finish(answer.text)
    if answer.evidence:
        print("\n".join(evidence_lines(answer.evidence)), flush=True)
    if not quiet:
        for line in about(answer):
            terminal.print_dim(line)


class Streaming:
    """Prints an answer piece by piece, and ends its line whatever happens."""

    def __init__(self) -> None:
        self.wrote = False

    def __enter__(self) -> "Streaming":
        return self

    def __exit__(self, *ended: object) -> None:
        if self.wrote:
            print(flush=True)

    def write(self, piece: str) -> None:
        """Print a piece at once."""
        piece = terminal.printable(piece if self.wrote else piece.lstrip())
        if piece:
            sys.stdout.write(piece)
            sys.stdout.flush()
            self.wrote = True

    def finish(self, text: str) -> None:
        """Print the whole answer if no piece of it came."""
        if not self.wrote:
            self.write(text or "(no words)")


def about(answer: Answer) -> list[str]:
    """What an answer was based on and how long it took, in one or two lines."""
    missing = f" | missing: {', '.join(answer.missing)}" if answer.missing else ""
    policy = f" | audio: {answer.audio}" if answer.audio != "auto" else ""
    lines = [f"seen: {answer.seen} | heard: {answer.heard}{missing}{policy} | {pace(answer)}"]
    return [*lines, f"notes: {'; '.join(answer.notes)}"] if answer.notes else lines


def pace(answer: Answer) -> str:
    """When the first word came and when the last."""
    first, total = answer.timings.get("first_token"), answer.timings.get("total")
    parts = [
        f"first word {first:.2f} s" if first is not None else "",
        f"all {total:.2f} s" if total is not None else "",
    ]
    return ", ".join([*filter(None, parts), f"{answer.n_tokens} tokens"])


def evidence_lines(evidence: Evidence) -> list[str]:
    """Which sense carried an answer, and the figures that say so."""

    def figure(value: float | None) -> str:
        return "not tried, there was none" if value is None else f"{value:.3f}"

    return [
        f"carried by: {evidence.carried_by}",
        "log-probability of a token of this answer",
        f"  with everything  {evidence.full:.3f}",
        f"  sound muted      {figure(evidence.muted)}",
        f"  picture blanked  {figure(evidence.blanked)}",
    ]

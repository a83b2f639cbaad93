"""`earsight chat`: several questions about one clip, each for the price of its own words."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from earsight.apps import terminal
from earsight.apps.ask import (
    Audio,
    DeviceMap,
    Dtype,
    End,
    LoraScale,
    MaxNewTokens,
    Model,
    Quantization,
    Quiet,
    Start,
    Streaming,
    about,
    pace,
)
from earsight.apps.asked import Wishes, check_there
from earsight.errors import EarsightError


def chat(
    clip: Annotated[str, typer.Argument(metavar="CLIP", help="A video, sound or image file, or an address.")],
    audio: Audio = "auto",
    start: Start = None,
    end: End = None,
    max_new_tokens: MaxNewTokens = None,
    lora_scale: LoraScale = 1.0,
    model: Model = "starter",
    dtype: Dtype = None,
    quantization: Quantization = None,
    device_map: DeviceMap = None,
    quiet: Quiet = False,
) -> None:
    """Ask several questions about one clip: one a line, an empty line ends.

    Questions may also be piped in. The clip is decoded and encoded once.
    """
    Wishes(audio, start, end, max_new_tokens, lora_scale=lora_scale)  # checked before anything is loaded
    check_there(clip)
    options = {"dtype": dtype, "quantization": quantization, "device_map": device_map}
    assistant = terminal.load_model(model, options, quiet)
    with terminal.Waiting("looking and listening ...", quiet):
        talk = assistant.chat(clip, audio=audio, start_seconds=start, end_seconds=end)
    failed, first = False, True
    for question in questions():
        try:
            with Streaming() as streaming:
                answer = talk.ask(
                    question, max_new_tokens=max_new_tokens, lora_scale=lora_scale, on_text=streaming.write
                )
                streaming.finish(answer.text)
        except EarsightError as error:
            terminal.print_error(str(error))  # the next question may be better
            failed = True
            continue
        if not quiet:
            for line in about(answer) if first else [pace(answer)]:
                terminal.print_dim(line)
        first = False
    if failed:
        raise typer.Exit(2)


def questions() -> Iterator[str]:
    """Lines from stdin up to an empty one, with a prompt if a person is typing."""
    prompt = "> " if sys.stdin.isatty() else ""
    if prompt:
        import readline  # noqa: F401 - arrow keys and history in input()
    while True:
        try:
            line = input(prompt) if prompt else sys.stdin.readline()
        except EOFError:
            print()
            return
        if not line.strip():
            return
        yield line.strip()

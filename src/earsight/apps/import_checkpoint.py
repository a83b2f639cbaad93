"""`earsight import`: published weights to a folder that Earsight and Transformers load."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from earsight.checkpoints.published import Report

app = typer.Typer(
    help="Bring published weights in, as safetensors. Only tensors are read; nothing in a file is run.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)

Checkpoint = Annotated[Path, typer.Option(help="The published trained weights (.pth, .pt or .safetensors).")]
Whisper = Annotated[Path, typer.Option(help="Folder of Whisper-large-v2, as Transformers has it.")]
Beats = Annotated[Path, typer.Option(help="BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt.")]
Llm = Annotated[Path, typer.Option(help="Folder of the language model, as Transformers has it.")]
Out = Annotated[Path, typer.Option(help="The folder to write; it must not exist yet.")]
Settings = Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Settings to change.")]


@app.command()
def salmonn(
    checkpoint: Checkpoint, whisper: Whisper, beats: Beats, llm: Llm, out: Out, settings: Settings = None
) -> None:
    """SALMONN: salmonn_v1.pth (13B, with Vicuna 1.1) or salmonn_7b_v0.pth (7B, with Vicuna 1.5)."""
    from earsight.checkpoints.published import import_salmonn

    with _waiting():
        report = import_salmonn(checkpoint, whisper, beats, llm, out, _nested(settings))
    _tell(report, out)


@app.command("video-salmonn")
def video_salmonn(
    checkpoint: Checkpoint,
    whisper: Whisper,
    beats: Beats,
    llm: Llm,
    out: Out,
    instructblip: Annotated[Path, typer.Option(help="InstructBLIP's visual weights (visual_encoder, Qformer, ...).")],
    question_vocabulary: Annotated[
        Path | None, typer.Option(help="BERT's tokenizer.json with [DEC] added, for the picture Q-Former.")
    ] = None,
    settings: Settings = None,
) -> None:
    """video-SALMONN: pytorch_model_4_5001.pt, with Vicuna-13B 1.5."""
    from earsight.checkpoints.published import import_video_salmonn

    with _waiting():
        report = import_video_salmonn(
            checkpoint, whisper, beats, instructblip, llm, out, _nested(settings), question_vocabulary
        )
    _tell(report, out)


@app.command()
def beats(checkpoint: Checkpoint, out: Out) -> None:
    """BEATs alone, for encoders.sound=DIR."""
    _encoder("beats", checkpoint, out)


@app.command()
def imagebind(checkpoint: Checkpoint, out: Out) -> None:
    """ImageBind's audio branch alone (imagebind_huge.pth; CC BY-NC-SA), for encoders.sound=DIR."""
    _encoder("imagebind", checkpoint, out)


@app.command()
def clap(checkpoint: Checkpoint, out: Out) -> None:
    """CLAP's audio encoder alone, from LAION's .pt or a folder of Transformers, for encoders.sound=DIR."""
    _encoder("clap", checkpoint, out)


def _encoder(kind: str, checkpoint: Path, out: Path) -> None:
    from earsight.checkpoints.encoder_files import import_encoder

    with _waiting():
        made = import_encoder(kind, checkpoint, out)
    print(f"{len(made.tensors)} tensors taken, {len(made.ignored)} of no use here were left; written to {out}")


def _waiting() -> Any:
    from earsight.apps.terminal import Waiting

    return Waiting("reading the published files ...")


def _nested(settings: list[str] | None) -> dict[str, Any]:
    from earsight.systems import overrides

    return overrides(settings or [])


def _tell(report: "Report", out: Path) -> None:
    """What became of every tensor: each unexpected name in full, the others counted and the first named."""
    print(f"{report.taken} tensors taken, none missing")
    for what, names in report.ignored.items():
        if names:
            print(f"{len(names)} of no use here in {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")
    for name in report.unexpected:
        print(f"unexpected, left out: {name}")
    print(f"written to {out}")

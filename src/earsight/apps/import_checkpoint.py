"""`earsight import`: published weights to a folder that Earsight and Transformers load."""

import logging
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
Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME=VALUE]...", help="Settings to change, such as lora.lora_alpha=28."),
]
Sizes = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Sizes that the file does not tell: n_heads=12.")
]


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
    instructblip: Annotated[Path, typer.Option(help="InstructBLIP's weights (Qformer, query_tokens, ln_vision).")],
    eva: Annotated[
        Path | None, typer.Option(help="EVA ViT-g's own file, where InstructBLIP's has no visual_encoder.")
    ] = None,
    question_vocabulary: Annotated[
        Path | None, typer.Option(help="BERT's tokenizer.json with [DEC] added, for the picture Q-Former.")
    ] = None,
    settings: Settings = None,
) -> None:
    """video-SALMONN: pytorch_model_4_5001.pt, with Vicuna-13B 1.5."""
    from earsight.checkpoints.published import import_video_salmonn

    with _waiting():
        report = import_video_salmonn(
            checkpoint, whisper, beats, instructblip, llm, out, _nested(settings), question_vocabulary, eva
        )
    _tell(report, out)


@app.command()
def beats(checkpoint: Checkpoint, out: Out, settings: Sizes = None) -> None:
    """BEATs alone, for encoders.sound=DIR."""
    _encoder("beats", checkpoint, out, settings)


@app.command()
def imagebind(checkpoint: Checkpoint, out: Out, settings: Sizes = None) -> None:
    """ImageBind's audio branch alone (imagebind_huge.pth; CC BY-NC-SA), for encoders.sound=DIR."""
    _encoder("imagebind", checkpoint, out, settings)


@app.command()
def clap(checkpoint: Checkpoint, out: Out, settings: Sizes = None) -> None:
    """CLAP's audio encoder alone, from LAION's .pt or a folder of Transformers, for encoders.sound=DIR."""
    _encoder("clap", checkpoint, out, settings)


def _encoder(kind: str, checkpoint: Path, out: Path, settings: list[str] | None) -> None:
    from earsight.checkpoints.encoder_files import import_encoder

    with _waiting():
        made = import_encoder(kind, checkpoint, out, _nested(settings))
    print(f"{len(made.tensors)} tensors taken, none missing")
    if made.ignored:
        print(f"{len(made.ignored)} of no use here: {_first(list(made.ignored))}")
    print(f"written to {out}")


def _waiting() -> Any:
    from earsight.apps.terminal import Waiting

    logging.getLogger("transformers").setLevel(logging.ERROR)  # what is wrong with a file is said once, by us
    return Waiting("reading the published files ...")


def _nested(settings: list[str] | None) -> dict[str, Any]:
    from earsight.systems import overrides

    return overrides(settings or [])


def _tell(report: "Report", out: Path) -> None:
    """What became of every tensor: each unexpected name in full, the others counted and the first named."""
    print(f"{report.taken} tensors taken, none missing")
    for file, names in report.ignored.items():
        print(f"{len(names)} of no use here in {file}: {_first(names)}")
    for file, names in report.unexpected.items():
        for name in names:
            print(f"unexpected in {file}, left out: {name}")
    for note in report.notes:
        print(f"note: {note}")
    print(f"written to {out}; every name is listed in {out / 'import.json'}")


def _first(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"

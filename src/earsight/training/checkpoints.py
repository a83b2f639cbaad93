"""The trained weights of a run: what is trained and only that, whole or not at all."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from earsight.data.ledger import Ledger
from earsight.errors import EarsightError

TRAINED = "trained.safetensors"


def save_trained_parts(model: Any, folder: Path) -> None:
    """Write every trained parameter, in float32. A full disk leaves what was there before.

    Raises:
        EarsightError: it could not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().contiguous() for name, value in model.named_parameters() if value.requires_grad}
    partial = folder / f"{TRAINED}.partial"
    try:
        save_file(state, partial)
        partial.replace(folder / TRAINED)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise EarsightError(f"{folder}: the trained weights could not be written ({error}); make room") from error


def load_trained_parts(model: Any, folder: Path) -> None:
    """Read trained parameters into a model that has them.

    Raises:
        EarsightError: no such file, or weights of another system.
    """
    file = folder / TRAINED
    if not file.is_file():
        raise EarsightError(f"{folder}: no {TRAINED} in it; give a folder that a stage of a training wrote")
    state, own = load_file(file), dict(model.named_parameters())
    if any(".lora_" in name for name in state) and not any(".lora_" in name for name in own):
        from earsight.model import lora

        lora.add(model)
        own = dict(model.named_parameters())
    differing = [name for name, value in state.items() if name not in own or own[name].shape != value.shape]
    if differing:
        raise EarsightError(
            f"{folder}: weights of another system: {len(differing)} of {len(state)} do not fit, such as {differing[0]}"
        )
    for name, value in state.items():
        own[name].data.copy_(value)


def last_checkpoint(folder: Path) -> str | None:
    """The newest of Trainer's checkpoints, None where the stage had written none."""
    return get_last_checkpoint(str(folder)) if folder.is_dir() else None


class SavesTrained(TrainerCallback):
    """Keeps the ledger beside each checkpoint, and ends the run where too many samples are skipped."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger, self.folder = ledger, folder

    def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        self.ledger.check()

    def on_save(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        self.ledger.write(self.folder / "ledger.json")

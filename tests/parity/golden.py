"""A golden file: tensors of the published reference code, with the configuration that made them."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

FOLDER = Path(os.environ.get("EARSIGHT_GOLDEN") or Path(__file__).parent.parent / "golden")
# Processors differ in the last bit of an FFT and its sums; under the logarithm one value in 50,000 was 3e-5 off.
LOG_MEL_ATOL = 1e-4


@dataclass(frozen=True)
class Golden:
    name: str
    about: dict[str, Any]  # the .json: kind, atol, configuration
    state: dict[str, Tensor]  # the reference's state dict, by the reference's names
    tensors: dict[str, Tensor]  # inputs and outputs

    @classmethod
    def read(cls, path: Path) -> "Golden":
        about = json.loads(path.read_text())
        stored = load_file(path.parent / about["file"])
        state = {name.removeprefix("state."): value for name, value in stored.items() if name.startswith("state.")}
        return cls(path.stem, about, state, {n: v for n, v in stored.items() if not n.startswith("state.")})

    def check(self, name: str, ours: Tensor, atol: float | None = None) -> None:
        """Compare with the stored tensor of this name; a difference prints its size and where it is met first."""
        theirs, most = self.tensors[name], self.about["atol"] if atol is None else atol
        assert ours.shape == theirs.shape, f"{self.name}: {name} is {tuple(ours.shape)}, not {tuple(theirs.shape)}"
        error = (ours.detach().double() - theirs.double()).abs().max().item()
        print(f"{self.name}: {name} differs by at most {error:.1e} (tolerance {most:.0e})")  # shown by pytest -rP
        torch.testing.assert_close(
            ours.detach(), theirs.to(ours.dtype), rtol=0, atol=most, msg=lambda m: f"{name}: {m}"
        )

"""What a stage cost: seconds of encoding and of training, memory, and on what; told beside its weights."""

import json
import platform
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

COST = "cost.json"
KIB = 1024


@contextmanager
def counted(folder: Path, what: str) -> Iterator[None]:
    """Add a block's seconds to FOLDER/cost.json, over interruptions as well, and note a process' peak of memory."""
    began = time.monotonic()
    try:
        yield
    finally:
        if PartialState().is_main_process:  # of several, one tells what the run cost
            _add(folder, what, time.monotonic() - began)


def _add(folder: Path, what: str, seconds: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    cost = read(folder)
    cost[f"{what}_seconds"] = round(cost.get(f"{what}_seconds", 0) + seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (KIB if platform.system() == "Linux" else 1)
    cost["peak_memory_gib"] = round(max(cost.get("peak_memory_gib", 0.0), peak / KIB**3), 2)
    cost["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    cost["threads"], cost["processes"] = torch.get_num_threads(), PartialState().num_processes
    partial = folder / f"{COST}.partial"
    partial.write_text(json.dumps(cost, indent=1), encoding="utf-8")
    partial.replace(folder / COST)


def read(folder: Path) -> dict[str, Any]:
    """What was counted in a stage's folder so far."""
    file = folder / COST
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

"""Training at the starter's scale: what stored features save, and what the trainer costs over a bare loop.

    python -m benchmarks.training

A stage of video-salmonn/starter on generated clips of 30 s: real encoders, connector and language model, rank-16 LoRA.
Needs the starter's parts in the cache (`earsight starter fetch`).
"""

import contextlib
import io
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import TrainerCallback

from benchmarks.ask import write_clip
from earsight import recipes
from earsight.checkpoints.parts import cache_root
from earsight.training import attention, freezing
from earsight.training.building import build
from earsight.training.conversations import collate
from earsight.training.feature_store import FeatureStore
from earsight.training.pairing import Books
from earsight.training.run import run
from earsight.training.samples import Samples
from earsight.training.stages import Source

STEPS, BATCH, CLIPS = 6, 2, 4
CACHE_TARGET, OVERHEAD_TARGET = 3.0, 0.05


def write_clips(root: Path, seconds: int = 30) -> None:
    """Clips of moving colours and warbling tones, and a record for each."""
    lines = []
    for index in range(CLIPS):
        path = root / f"{index}.mp4"
        write_clip(path, seconds)
        content = [{"type": "video", "path": path.name}, {"type": "text", "text": f"What is it, at {index}?"}]
        messages = [
            {"role": "user", "content": content},
            {"role": "assistant", "content": [{"type": "text", "text": "Moving colours and a warbling tone."}]},
        ]
        lines.append(
            json.dumps({"id": f"clips/{index}", "source": "clips", "task": "av_description", "messages": messages})
        )
    (root / "clips.jsonl").write_text("\n".join(lines) + "\n")


def recipe(root: Path, cache: str):  # type: ignore[no-untyped-def]
    """One short stage."""
    made = recipes.get(
        "video-salmonn/starter", {"values": {"connector": {"dropout": 0.0}, "lora": {"lora_dropout": 0.0}}}
    )
    stage = replace(
        made.stages["instruct"],
        sources={"clips": Source("clips.jsonl")},
        steps=STEPS,
        batch_size=BATCH,
        pairing="recorded",
        longest_clip_seconds=None,
        warmup_steps=0,
    )
    # In full precision: stored features are to give the very losses of fresh ones.
    data = replace(made.data, root=str(root), cache_features=cache, half_features=False)
    return replace(made, stages={"instruct": stage}, data=data, log_every=1, save_every=10_000)


class Clock(TrainerCallback):
    """Seconds from one step's end to the next one's, and the losses."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.losses: list[float] = []

    def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        self.ends.append(time.perf_counter())

    def on_log(self, args, state, control, logs=None, **kwargs):  # type: ignore[no-untyped-def]
        self.losses += [logs["loss"]] if "loss" in logs else []

    @property
    def seconds_a_step(self) -> float:
        """The median; the first step warms up and is left out."""
        return statistics.median(np.diff(self.ends))


def trained(root: Path, out: Path, cache: str) -> Clock:
    """One run of the stage by the trainer."""
    clock = Clock()
    with contextlib.redirect_stderr(io.StringIO()):
        run(recipe(root, cache), out, build, callbacks=[clock])
    return clock


def bare_loop(root: Path) -> float:
    """Seconds a step of forward, backward and AdamW on the same prepared batches from stored features, nothing else."""
    made = recipe(root, "always")
    stage = made.stages["instruct"]
    model, processor = build(made)
    freezing.apply(model, stage.trains)
    store = FeatureStore(cache_root() / "features", model, processor)
    samples = Samples(Books.open(stage, root), stage, made.data, processor, made.seed, store)
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=1e-4)
    model.train()
    ends = []
    with attention.faster(model):
        for step in range(STEPS):
            drawn = [samples[step * BATCH + row][1] for row in range(BATCH)]
            loss = model(**collate(processor, drawn)).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            ends.append(time.perf_counter())
    return statistics.median(np.diff(ends))


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        write_clips(root)
        fresh = trained(root, root / "fresh", "never")
        trained(root, root / "filling", "always")  # encodes once; its steps are not timed
        stored = trained(root, root / "stored", "always")
        bare = bare_loop(root)
        apart = max(abs(one - other) for one, other in zip(fresh.losses, stored.losses, strict=True))
    gain = fresh.seconds_a_step / stored.seconds_a_step
    overhead = stored.seconds_a_step / bare - 1
    print(f"| video-salmonn/starter, {BATCH} clips of 30 s a step | seconds a step |\n|---|---|")
    print(f"| decode and encode anew | {fresh.seconds_a_step:.2f} |")
    print(f"| stored features | {stored.seconds_a_step:.2f} |")
    print(f"| bare forward, backward, AdamW on stored features | {bare:.2f} |")
    print(
        f"\nstored features: {gain:.1f} x the steps a second (target {CACHE_TARGET}), "
        f"{'reached' if gain >= CACHE_TARGET else 'missed'}; losses differ by at most {apart:.1e}"
    )
    print(
        f"trainer over the bare loop: {overhead:+.1%} (target under {OVERHEAD_TARGET:.0%}), "
        f"{'reached' if overhead < OVERHEAD_TARGET else 'missed'}"
    )


if __name__ == "__main__":
    main()

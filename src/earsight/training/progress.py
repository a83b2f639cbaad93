"""How far a stage is, on stderr: step, loss, and the time that is left."""

import sys
import time

from transformers import TrainerCallback


class Progress(TrainerCallback):
    """A line at each log; the losses by source and sense go to the reporters."""

    def __init__(self, stage: str) -> None:
        self.stage, self.began, self.first = stage, 0.0, 0

    def on_train_begin(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        self.began, self.first = time.monotonic(), state.global_step

    def on_log(self, args, state, control, logs=None, **kwargs):  # type: ignore[no-untyped-def]
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        done = state.global_step - self.first
        left = (time.monotonic() - self.began) / max(done, 1) * (state.max_steps - state.global_step)
        print(
            f"{self.stage} {state.global_step}/{state.max_steps}, loss {logs['loss']:.4f}, {told(left)} left",
            file=sys.stderr,
            flush=True,
        )


def told(seconds: float) -> str:
    """ "40 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"

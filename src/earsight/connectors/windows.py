"""Pure functions on time: which step something falls into, and how steps make windows."""

import torch
from torch import Tensor


def n_steps(duration_seconds: float, step_seconds: float) -> int:
    """Steps that cover a duration; at least one, so that a still image has its place."""
    return max(1, -(-round(duration_seconds * 1000) // round(step_seconds * 1000)))


def n_windows(steps: int, steps_per_window: int) -> int:
    """Windows that cover the steps: ceil(T / k) (video-SALMONN, section 3.2)."""
    return -(-steps // steps_per_window)


def place_on_steps(values: Tensor, medium: Tensor, step: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Put rows on the time grid of their medium.

    (n_rows, ..., dim), (n_rows,), (n_rows,) -> (n_media, steps, ..., dim), mask (n_media, steps); the rest is zero
    """
    grid = values.new_zeros(*shape, *values.shape[1:])
    mask = torch.zeros(shape, dtype=torch.bool, device=values.device)
    grid[medium, step] = values
    mask[medium, step] = True
    return grid, mask


def zeroed(values: Tensor, mask: Tensor) -> Tensor:
    """Zero where the mask is not; nothing is copied where everything is valid.

    (*mask axes, ..., dim), mask -> as the values
    """
    if bool(mask.all()):
        return values
    return values * mask.view(*mask.shape, *[1] * (values.ndim - mask.ndim))


def split_windows(steps: Tensor, steps_per_window: int) -> Tensor:
    """(n_media, steps, positions, ...) -> (n_media, n_windows, steps_per_window * positions, ...), zero at the end."""
    short = -steps.shape[1] % steps_per_window
    if short:
        steps = torch.cat([steps, steps.new_zeros(steps.shape[0], short, *steps.shape[2:])], dim=1)
    return steps.unflatten(1, (-1, steps_per_window)).flatten(2, 3)

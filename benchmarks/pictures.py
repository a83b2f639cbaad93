"""The picture encoder with batch norms folded into its convolutions, beside the same with them apart.

    python -m benchmarks.pictures

EfficientNet-Lite2 with random weights in float32. The two take turns; the figures are medians of the turns.
"""

import statistics
import time
from unittest.mock import patch

import torch
from torch import Tensor, nn

from earsight.encoders.efficientnet_lite import EfficientNetLite, EfficientNetLiteConfig, _Conv

TURNS = 7
FRAMES = (1, 8, 32)


def apart(conv: _Conv, hidden: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """As `_Conv.forward` in training."""
    normed: Tensor = norm(conv.convolved(hidden, conv.weight, None))
    return normed


def seconds(encoder: EfficientNetLite, pictures: Tensor) -> float:
    began = time.perf_counter()
    encoder(pictures, torch.ones(len(pictures), dtype=torch.long))
    return time.perf_counter() - began


@torch.inference_mode()
def main() -> None:
    config = EfficientNetLiteConfig()
    encoder = config.build().eval()
    print(f"{torch.get_num_threads()} threads\n")
    print("| frames | apart, seconds | folded, seconds | folded / apart |\n|---|---|---|---|")
    for count in FRAMES:
        pictures = torch.randn(count, 3, config.image_size, config.image_size)
        taken: list[tuple[float, float]] = []
        for turn in range(TURNS + 1):  # the first is not counted
            with patch.object(_Conv, "forward", apart):
                other = seconds(encoder, pictures)
            if (one := seconds(encoder, pictures)) and turn:
                taken.append((other, one))
        other, one = (statistics.median(some) for some in zip(*taken, strict=True))
        print(f"| {count} | {other:.3f} | {one:.3f} | {one / other:.2f} |", flush=True)


if __name__ == "__main__":
    main()

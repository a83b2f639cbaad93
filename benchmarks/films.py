"""Whether a film of the held-out tests has the same bytes however often it is written.

    python -m benchmarks.films

One film is written again and again as `frozen.write_film` does, and as it did before: with all that x264 finds on this
processor. Where the starter corpus is in the cache, its validation side is written twice.
"""

import tempfile
import time
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from earsight.checkpoints.parts import cache_root
from earsight.data.starter import corpus, frozen
from earsight.data.starter.rendering import Renderer
from earsight.data.starter.voices import Voices
from earsight.evaluation.benchmark import load

WRITTEN, SIZE, FRAMES = 100, 260, 20
BEFORE = {"crf": "18", "threads": "1"}


def film() -> np.ndarray:
    """A disc that moves over a soft pattern: (FRAMES, SIZE, SIZE, 3) uint8."""
    draw = np.random.default_rng(0)
    soft = torch.nn.functional.interpolate(torch.from_numpy(draw.random((1, 3, 9, 9))), (SIZE, SIZE), mode="bicubic")
    ground = (soft[0].clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
    rows, columns = np.mgrid[:SIZE, :SIZE]
    frames = np.repeat(ground[None], FRAMES, axis=0)
    for number, frame in enumerate(frames):
        frame[(rows - 130) ** 2 + (columns - 40 - 9 * number) ** 2 < 35**2] = (200, 60, 40)
    return frames


def contents(frames: np.ndarray) -> Counter[bytes]:
    """How often each content came out."""
    with tempfile.TemporaryDirectory() as folder:
        file, found = Path(folder) / "film.mp4", Counter[bytes]()
        for _ in range(WRITTEN):
            frozen.write_film(file, frames, None)
            found[file.read_bytes()] += 1
    return found


def main() -> None:
    frames = film()
    print(f"| x264 | contents of {WRITTEN} writings | how often each |\n|---|---|---|")
    for name, options in (("all it finds", BEFORE), ("as the tests are written", frozen.X264)):
        with patch.object(frozen, "X264", options):
            found = contents(frames)
        print(
            f"| {name} | {len(found)} | {', '.join(str(count) for count in sorted(found.values())[::-1])} |", flush=True
        )
    if not (corpus.folder_of() / "index.json").is_file():
        print("\nThe starter corpus is not in the cache: its validation side was not written.")
        return
    renderer = Renderer(corpus.build(), Voices.tried(cache_root()))
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            made = load(frozen.write_benchmark(renderer, "val", Path(folder) / "val", cache_root(), None))
            print(
                f"\nvalidation side: {made.digest[:12]}, {made.parts}, {time.perf_counter() - began:.0f} s", flush=True
            )


if __name__ == "__main__":
    main()

"""Whether the films of the held-out tests have the same bytes however often they are written.

    earsight corpus build starter
    python -m benchmarks.films

The starter's validation side is written twice as the tests are, and twice as they were before: with all that x264 finds
on this processor.
"""

import tempfile
import time
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

from earsight.checkpoints.parts import cache_root
from earsight.data.starter import corpus, frozen
from earsight.data.starter.rendering import Renderer
from earsight.evaluation.benchmark import load

BEFORE = {"crf": "18", "threads": "1"}


def written(renderer: Renderer) -> tuple[str, dict[str, str]]:
    """Write the validation side: its digest, and the contents of each film by name."""
    with tempfile.TemporaryDirectory() as folder:
        made = load(frozen.write_benchmark(renderer, "val", Path(folder) / "val", cache_root(), None))
        films = {file.name: sha256(file.read_bytes()).hexdigest() for file in sorted(Path(folder).rglob("*.mp4"))}
        return made.digest[:12], films


def main() -> None:
    if not (corpus.folder_of() / "index.json").is_file():
        print("The starter corpus is not in the cache: no film was written; earsight corpus build starter")
        return
    renderer = Renderer.tried(corpus.build(), cache_root())
    print("| x264 | films | differ in the second writing | digests of the side | seconds |\n|---|---|---|---|---|")
    for name, options in (("all it finds", BEFORE), ("as the tests are written", frozen.X264)):
        began = time.perf_counter()
        with patch.object(frozen, "X264", options):
            (digest, films), (again, others) = written(renderer), written(renderer)
        differ = sum(others[film] != content for film, content in films.items())
        seconds = time.perf_counter() - began
        print(f"| {name} | {len(films)} | {differ} | {digest}, {again} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()

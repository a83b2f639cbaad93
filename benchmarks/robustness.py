"""Hostile and repeated media: damaged files never crash, hang or leak.

    python -m benchmarks.robustness [n_damaged] [n_clips]

Damaged files (500 unless said): each of the test containers in turn, spoilt at random from a seed, decoded and probed
in a worker process, so that a crash or a hang costs one file and is counted. Clips (1,000): decoded one after the
other in one process whose file handles and resident memory are compared before and after.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

SLOW_SECONDS = 10.0
BATCH = 50  # files to a worker process
GENERATE = Path(__file__).parent.parent / "tests" / "media" / "generate.py"

WORKER = """
import sys, time
from earsight.errors import MediaError
from earsight.media import Sampling, load_clip, probe
for path in sys.stdin.read().split("\\n"):
    print("begun", path, flush=True)
    began, verdict = time.monotonic(), "clip"
    for use in (lambda p: load_clip(p, Sampling(frames_per_second=5)), probe):
        try:
            use(path)
        except MediaError as error:
            verdict = "one-line error" if "\\n" not in str(error) else "raw error"
        except BaseException as error:
            verdict = "raw error"
            print("raw", path, repr(error), file=sys.stderr)
    print("ended", f"{time.monotonic() - began:.3f}", verdict, flush=True)
"""


def generator():
    """The test suite's media generator, loaded from its file: tests are not a package."""
    spec = importlib.util.spec_from_file_location("generate", GENERATE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judged(paths: list[Path]) -> list[tuple[str, float]]:
    """(verdict, seconds) of each file, in order; a worker that dies or hangs is replaced after its file."""
    verdicts: list[tuple[str, float]] = []
    while len(verdicts) < len(paths):
        batch = paths[len(verdicts) : len(verdicts) + BATCH]
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            out, _ = worker.communicate("\n".join(map(str, batch)), timeout=SLOW_SECONDS * len(batch) / 5)
            lost = "crash"
        except subprocess.TimeoutExpired:
            worker.kill()
            out, _ = worker.communicate()
            lost = "hang"
        ended = [line.split(" ", 2) for line in out.splitlines() if line.startswith("ended")]
        verdicts += [(verdict, float(seconds)) for _, seconds, verdict in ended]
        if len(ended) < len(batch):
            verdicts.append((lost, SLOW_SECONDS))
    return verdicts


def damage(n_files: int, folder: Path) -> None:
    generate = generator()
    whole = list(generate.zoo(folder).values())
    rng = np.random.default_rng(2025)
    paths = []
    for number in range(n_files):
        original = whole[number % len(whole)]
        paths.append(folder / f"damaged{number}{original.suffix}")
        paths[-1].write_bytes(generate.damaged(original.read_bytes(), rng))
    verdicts = judged(paths)
    counts = Counter(verdict for verdict, _ in verdicts)
    slowest = max(seconds for _, seconds in verdicts)
    print(f"| {n_files} damaged files over {len(whole)} containers | count |\n|---|---|")
    for verdict in ("clip", "one-line error", "raw error", "crash", "hang"):
        print(f"| {verdict} | {counts[verdict]} |")
    print(f"| slower than {SLOW_SECONDS:g} s | {sum(seconds >= SLOW_SECONDS for _, seconds in verdicts)} |")
    print(f"| slowest | {slowest:.2f} s |")


def leaks(n_clips: int, folder: Path) -> None:
    from earsight.media import Sampling, load_clip

    def handles() -> int:
        return len(os.listdir("/proc/self/fd"))

    def megabytes() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    paths = list(generator().zoo(folder).values())

    def decode(n: int) -> None:
        for number in range(n):
            load_clip(paths[number % len(paths)], Sampling(frames_per_second=5))

    decode(100)  # first uses allocate for good
    before, began = (handles(), megabytes()), time.monotonic()
    decode(n_clips)
    took, after = time.monotonic() - began, (handles(), megabytes())
    print(f"\n| {n_clips} clips in one process | before | after |\n|---|---|---|")
    print(f"| file handles | {before[0]} | {after[0]} |")
    print(f"| resident memory | {before[1]:.1f} MB | {after[1]:.1f} MB ({100 * (after[1] / before[1] - 1):+.1f} %) |")
    print(f"| milliseconds a clip | | {1000 * took / n_clips:.1f} |")


def main() -> None:
    n_damaged, n_clips = (int(argument) for argument in (sys.argv[1:] + ["500", "1000"][len(sys.argv) - 1 :])[:2])
    print(f"{os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        damage(n_damaged, Path(folder))
        if os.path.isdir("/proc/self/fd"):
            leaks(n_clips, Path(folder))


if __name__ == "__main__":
    main()

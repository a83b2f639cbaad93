"""`earsight evaluate`: a model on a benchmark, with and without its senses; or two runs side by side."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earsight.apps import terminal
from earsight.apps.ask import DeviceMap, Dtype, Quantization, Quiet
from earsight.errors import EarsightError

if TYPE_CHECKING:
    from earsight.evaluation.benchmark import Benchmark


def evaluate(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help='"starter", or a folder of a checkpoint.', show_default=False)
    ] = None,
    benchmark: Annotated[
        Path | None,
        typer.Option(help="A benchmark's folder; starter[-val] or starter-further[-val].", metavar="FOLDER"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Keeps replies, scores and report; resumes.", metavar="DIR")] = None,
    ability: Annotated[list[str] | None, typer.Option(help="Only this ability; may be repeated.")] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help='Such as "full", "text only", "white noise"; may be repeated. Without it: the benchmark\'s.'),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="The first N records of each ability.", metavar="N")] = None,
    batch_size: Annotated[int, typer.Option(help="Records answered together.", metavar="N")] = 16,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Two runs on one benchmark: A/replies.jsonl B/replies.jsonl.", metavar="A B"),
    ] = None,
    cache_features: Annotated[
        bool, typer.Option(help="Keep what frozen encoders say in the cache, for further runs.")
    ] = True,
    dtype: Dtype = None,
    quantization: Quantization = None,
    device_map: DeviceMap = None,
    quiet: Quiet = False,
) -> None:
    """Score a model on a benchmark: each ability with its interval, its target and what blind answers score."""
    if compare is not None:
        if model is not None:
            raise EarsightError(f"--compare reads replies and asks no model; leave {model} out")
        print(compared(*compare, benchmark, ability or [], condition or []))
        return
    if model is None or benchmark is None:
        raise EarsightError("what is missing? earsight evaluate MODEL --benchmark FOLDER, or --compare A B")
    options = {"dtype": dtype, "quantization": quantization, "device_map": device_map}
    made = Evaluation(model, found(benchmark), ability or [], condition or [], limit, batch_size)
    print(made.run(options, out, cache_features, quiet))


def found(benchmark: Path) -> Path:
    """A benchmark's folder; the starter's own are written to the cache at first use, with the corpus they come from.

    EARSIGHT_CORPUS_FROM names a folder that holds the corpus' packages, where they are not to be downloaded.
    """
    own = {"starter": "test", "starter-val": "val", "starter-further": "test", "starter-further-val": "val"}
    name = str(benchmark)
    if name not in own or benchmark.is_dir():
        return benchmark
    from earsight.data.starter import frozen
    from earsight.data.starter.further_frozen import FurtherWriter
    from earsight.data.starter.packages import packages_folder

    if name.startswith("starter-further"):
        return frozen.ready(own[name], packages_folder(), FurtherWriter, "starter-further")
    return frozen.ready(own[name], packages_folder())


class Evaluation:
    """What is to be evaluated, checked before anything heavy is imported."""

    def __init__(
        self,
        model: str,
        folder: Path,
        abilities: Sequence[str],
        conditions: Sequence[str],
        limit: int | None,
        batch_size: int,
    ) -> None:
        from earsight.evaluation import benchmark
        from earsight.evaluation import conditions as known

        self.model, self.limit, self.batch_size = model, limit, batch_size
        if batch_size < 1:
            raise EarsightError(f"--batch-size {batch_size}: at least 1 is needed")
        if model != "starter" and not model.endswith("/tiny") and not (Path(model) / "config.json").is_file():
            raise EarsightError(f'{model}: no such model folder; give "starter" or a folder with a config.json')
        self.benchmark = benchmark.load(folder)
        self.conditions = known.chosen(conditions or self.benchmark.conditions)
        self.records = self.benchmark.chosen(abilities, limit)
        benchmark.verify(self.benchmark, self.records)

    def run(self, options: dict[str, str | None], out: Path | None, cache_features: bool, quiet: bool) -> str:
        """Ask what was not asked yet, write what is to be kept; the table."""
        from earsight.checkpoints.parts import cache_root
        from earsight.evaluation import report, runner
        from earsight.evaluation.replies import Replies

        settings = {name: value for name, value in options.items() if value and name != "device_map"}
        with terminal.Waiting(f"reading {self.model} ...", quiet) as waiting:
            weights = runner.identity(self.model, waiting.report)
        about = runner.about_run(self.model, weights, self.benchmark, settings)
        replies = Replies.open(out, about)
        try:
            wanted = runner.asks(self.records, self.conditions)
            if any(ask.key not in replies for ask in wanted):
                assistant = terminal.load_model(self.model, options, quiet)
                store = cache_root() / "features" if cache_features else None
                progress = _Progress(quiet)
                runner.run(assistant, self.benchmark, wanted, replies, self.batch_size, store, progress.report)
        finally:
            replies.close()
        made = report.build(self.benchmark, about, self.records, self.conditions, replies, self.limit)
        if out is not None:
            report.write(made, out)
        return report.table(made)


def compared(
    first: Path, second: Path, folder: Path | None, abilities: Sequence[str], conditions: Sequence[str]
) -> str:
    """Two runs on the same benchmark, as a table.

    Raises:
        EarsightError: not two runs of one benchmark, or its folder is not where it was.
    """
    from earsight.evaluation import benchmark, report, scoring
    from earsight.evaluation import conditions as known
    from earsight.evaluation.replies import Replies, run_of

    replies = [Replies.read(file) for file in (first, second)]
    runs = [run_of(file) for file in (first, second)]
    if runs[0].get("digest") != runs[1].get("digest"):
        names = " and ".join(f"{run.get('benchmark')} {str(run.get('digest'))[:12]}" for run in runs)
        raise EarsightError(f"the two runs are of different benchmarks ({names}); compare runs of one")
    given: Benchmark = benchmark.load(folder or Path(str(runs[0].get("benchmark_folder"))))
    if given.digest != runs[0]["digest"]:
        raise EarsightError(f"{given.folder}: not the benchmark of these runs; give its folder with --benchmark")
    kept = given.chosen(abilities)
    wanted = known.chosen(conditions) if conditions else ["full"]
    found, alone = scoring.differences(given, kept, wanted, *replies)
    return report.comparison(found, str(runs[0].get("model")), str(runs[1].get("model")), alone)


class _Progress:
    """A line at each tenth of the way, or more often where a person is looking."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.last = quiet, -1

    def report(self, what: str, done: int, total: int) -> None:
        step = done * (100 if terminal.is_terminal() else 10) // max(total, 1)
        if not self.quiet and step != self.last:
            print(f"{what} {done:,}/{total:,}", file=sys.stderr, flush=True)
        self.last = step

"""A benchmark folder of a dozen records about generated media, and a tiny model that says something else of each."""

import sys
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
for folder in ("media", "model", "evaluation"):
    sys.path.insert(0, str(TESTS / folder))

import contract  # noqa: E402
import generate  # noqa: E402
from made_benchmark import DESCRIPTION, dozen, write_benchmark  # noqa: E402

from earsight.evaluation import benchmark as benchmarks  # noqa: E402
from earsight.model.assistant import Assistant  # noqa: E402


@cache
def _media(folder):
    for n in range(3):
        generate.write_image(folder / f"{n}.png", size=(40 + 20 * n, 60))
        generate.write_wav(folder / f"{n}.wav", seconds=0.6 + 0.5 * n, level=0.1 + 0.2 * n)
        generate.write(folder / f"{n}.mp4", seconds=1.0 + n, audio="aac")
    return folder


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    return _media(tmp_path_factory.mktemp("media"))


@pytest.fixture
def write(tmp_path, media):
    """Writes a benchmark folder of these records (the dozen without any) with changes to its description."""

    def made(records=None, name="benchmark", **changes):
        folder = tmp_path / name
        folder.mkdir()
        return write_benchmark(folder, media, dozen() if records is None else records, {**DESCRIPTION, **changes})

    return made


@pytest.fixture
def benchmark(write):
    return benchmarks.load(write())


@pytest.fixture(scope="session")
def assistant():
    return Assistant(*contract.build("starter/tiny"))


@pytest.fixture(scope="session")
def model_folder(assistant, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    assistant.model.save_pretrained(folder)
    assistant.processor.save_pretrained(folder)
    return folder


@pytest.fixture
def earsight(capsys):
    """Runs a command line; gives its exit status, stdout and stderr."""
    from earsight.apps.cli import main

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in arguments])
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run

"""Every stored tensor of the reference code is met, in flow order. EARSIGHT_GOLDEN names another folder."""

import importlib
import json

import pytest

from golden import FOLDER, Golden

FILES = sorted(path for path in FOLDER.glob("*.json") if "kind" in json.loads(path.read_text()))


def test_there_are_golden_files():
    assert FILES, f"no golden file in {FOLDER}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_our_tensors_are_the_published_ones(path):
    golden = Golden.read(path)
    importlib.import_module(f"compare_{golden.about['kind']}").compare(golden)

"""Makes the shared contract importable, and builds each system once for all tests of a session."""

import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import contract  # noqa: E402


@cache
def _built(name):
    model, processor = contract.build(name)
    contract.randomise(model, "gates")  # Dolphin's adapter, which does nothing before it is trained
    return model, processor


@pytest.fixture(params=contract.BUILT)
def built(request):
    """Model and processor of every system, tiny and of the starter's kinds of parts. Tests leave them as they are."""
    return _built(request.param)


@pytest.fixture
def build():
    """Model and processor by name, built once for all tests that leave them as they are."""
    return _built

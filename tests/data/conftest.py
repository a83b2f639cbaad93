"""Makes the generated corpus importable and shares one of it among all tests of a session."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_corpus import Tones, write_corpus  # noqa: E402

from earsight.data.starter.rendering import Renderer


@pytest.fixture(scope="session")
def renderer(tmp_path_factory):
    return Renderer(write_corpus(tmp_path_factory.mktemp("corpus")), Tones())

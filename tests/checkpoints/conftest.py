"""Makes `published_files` importable, and the golden files' reader, and shares one set of files among all tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))


@pytest.fixture(scope="session")
def salmonn_files(tmp_path_factory):
    """SALMONN's files as a user has them; not to be changed."""
    from published_files import write_salmonn

    return write_salmonn(tmp_path_factory.mktemp("salmonn"))


@pytest.fixture(scope="session")
def video_salmonn_files(tmp_path_factory):
    """video-SALMONN's files as a user has them; not to be changed."""
    from published_files import write_video_salmonn

    return write_video_salmonn(tmp_path_factory.mktemp("video_salmonn"))

"""Where the synthesizers look for their libraries: nothing on the machine but its C library is needed."""

import ctypes
import platform
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_packages import publish  # noqa: E402

from earsight.data.starter import silent_audio, voices  # noqa: E402
from earsight.data.starter.voices import Voices  # noqa: E402
from earsight.errors import EarsightError  # noqa: E402

LINUX = platform.system() == "Linux" and platform.machine() == "x86_64"


@pytest.mark.skipif(not LINUX, reason="the library is for Linux on x86-64")
def test_the_stand_in_for_the_library_that_plays_sound_is_loaded_and_plays_nothing(tmp_path):
    library = ctypes.CDLL(str(silent_audio.folder_with_it(tmp_path) / silent_audio.NAME))
    for name in silent_audio.FUNCTIONS:
        assert getattr(library, name)() == 0
    with pytest.raises(AttributeError):
        library.no_such_function  # noqa: B018


def test_the_stand_in_is_written_once(tmp_path):
    file = silent_audio.folder_with_it(tmp_path) / silent_audio.NAME
    written = file.stat().st_mtime_ns
    assert silent_audio.folder_with_it(tmp_path) == file.parent and file.stat().st_mtime_ns == written


def test_the_stand_in_is_found_before_the_library_that_needs_a_sound_server(tmp_path, monkeypatch):
    monkeypatch.setattr(Voices, "check_machine", lambda: None)
    files = {name: {"a file": b"of it"} for name in ("libpcaudio0", "libsonic0", "espeak-ng", "espeak-ng-data")}
    made = publish(monkeypatch, tmp_path, files, **dict.fromkeys(files, "voices"))
    monkeypatch.setattr(voices, "of_use", lambda use: list(made.values()))
    found = Voices.unpacked(tmp_path / "cache", tmp_path).libraries
    assert (found[0] / silent_audio.NAME).read_bytes() == silent_audio.library()
    assert [path.parent.name.rpartition("-")[0] for path in found[1:]] == ["libpcaudio0", "libsonic0"]


def test_a_synthesizer_that_does_not_run_here_is_told_before_anything_is_rendered(tmp_path, monkeypatch):
    monkeypatch.setattr(Voices, "check_machine", lambda: None)
    names = ("flite", "espeak-ng", "espeak-ng-data")
    scripts = {
        "flite": b"#!/bin/sh\nhead -c 2000 /dev/zero",
        "espeak-ng": b"#!/bin/sh\necho lacks a library >&2; exit 127",
    }
    made = publish(monkeypatch, tmp_path, {name: {name: scripts.get(name, b"")} for name in names})
    monkeypatch.setattr(voices, "of_use", lambda use: list(made.values()))
    monkeypatch.setattr(voices, "_decoded", lambda wave: np.ones(100, dtype=np.float32))
    for program in Voices.unpacked(tmp_path / "cache", tmp_path).programs.values():
        for file in program.iterdir():
            file.chmod(0o755)
    with pytest.raises(EarsightError, match="espeak-ng could not say 'yes' .lacks a library."):
        Voices.tried(tmp_path / "cache", tmp_path)

"""The examples run as programs; the fifth system does what every system must do, and its folder is found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from earsight import EarsightError, load, systems

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


@pytest.fixture
def folders(monkeypatch):
    """The folders of systems, as they were again after the test."""
    monkeypatch.setattr(systems, "__path__", [*systems.__path__])
    yield systems
    for name in [name for name in sys.modules if name.startswith("earsight.systems.")]:
        if Path(sys.modules[name].__file__).parent != Path(systems.__file__).parent:
            del sys.modules[name]


@pytest.fixture
def contract(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "model"))
    import contract

    return contract


def test_the_fifth_system_runs_as_a_program_from_anywhere(tmp_path):
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / "fifth_system.py")],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "fifth_system" in run.stdout and "soft tokens: 9" in run.stdout
    assert "heard: 4.0 s of sound" in run.stdout and "answer, of random weights: '" in run.stdout


def test_the_fifth_system_keeps_the_contract_of_every_system(folders, contract):
    folders.also_in(EXAMPLES)
    assistant = load("fifth-system/tiny")
    model, processor = assistant.model, assistant.processor
    contract.assert_six_verbs(model, processor, [contract.make_clip(4.0), contract.make_clip(2.3, seed=1)])
    n_tokens = {name: len(contract.soft_tokens(model, processor, c)[0]) for name, c in contract.subsets(4.0).items()}
    assert n_tokens == {"both": 9, "picture": 9, "sound": 9, "neither": 0}


def test_the_fifth_system_is_listed_named_and_overridden_as_the_others_are(folders):
    before = folders.names()
    folders.also_in(EXAMPLES)
    folders.also_in(EXAMPLES)  # again: no harm
    assert folders.names() == sorted([*before, "fifth_system"]), "other programs in that folder are no systems"
    assert folders.variants("fifth_system") == ["7b", "13b", "tiny"]
    described = folders.get("fifth-system", {"connector": {"hidden": 384}, "encoders": {"vision": {"layer": -2}}})
    assert described.connector.hidden == 384 and described.encoders["vision"].layer == -2
    assert described.connector.positions == 257, "the connector takes the tower's size"
    with pytest.raises(EarsightError, match="did you mean fifth_system"):
        folders.get("fith_system")


def test_a_system_saved_from_a_folder_of_ones_own_loads_again(folders, contract, tmp_path):
    folders.also_in(EXAMPLES)
    first, clip = load("fifth_system/tiny"), contract.make_clip(3.0)
    first.model.save_pretrained(tmp_path)
    first.processor.save_pretrained(tmp_path)
    assert load(str(tmp_path), dtype="float32").ask(clip, "What?").text == first.ask(clip, "What?").text


def test_a_folder_without_a_system_or_with_a_name_that_is_taken_is_refused(folders, tmp_path):
    for name, text, told in (
        ("program", "print('not a system')\n", "no system file is there"),
        ("salmonn", '"""Mine."""\nSYSTEM = None\n', "there is a system 'salmonn' already"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(text)
        with pytest.raises(EarsightError, match=told):
            folders.also_in(tmp_path / name)
    assert folders.get("salmonn/tiny").streams

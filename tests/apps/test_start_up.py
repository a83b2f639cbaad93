"""What is imported before there is work to do: names of modules, never times."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "numpy", "av", "rich", "PIL", "soxr", "soundfile", "accelerate", "peft"}


def modules_after(code: str) -> set[str]:
    code += "\nimport json, sys\nprint('\\n' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_earsight_imports_nothing_heavy():
    assert modules_after("import earsight; earsight.systems.names(); earsight.load") & HEAVY == set()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["ask", "no.mp4", "What is it?"], ["probe", "no.mp4"], ["starter"]],
    ids=" ".join,
)
def test_no_command_imports_anything_heavy_before_its_arguments_are_good(arguments):
    code = f"""
from earsight.apps.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
"""
    assert modules_after(code) & HEAVY == set()


def test_help_imports_nothing_that_reads_clips_or_loads_models():
    code = "from earsight.apps.cli import main\ntry:\n    main(['ask', '--help'])\nexcept SystemExit: pass"
    assert modules_after(code) & (HEAVY - {"rich"}) == set()

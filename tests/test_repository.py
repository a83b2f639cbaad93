"""The repository keeps its own rules: commands that exist, imports that point upwards, sizes, pins."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from earsight.evaluation import model_card

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "earsight"
SOURCES = sorted(PACKAGE.rglob("*.py"))
# Leaf first: a folder imports only folders before it in this list.
FOLDERS = (
    "media", "encoders", "connectors", "systems", "model", "checkpoints",
    "data", "training", "recipes", "evaluation", "curation", "apps",
)  # fmt: skip
FREE = {"types", "errors"}  # importable by everyone
STRANGERS = {"encoders", "systems", "recipes"}  # whose files do not import each other
FORBIDDEN = {"torchvision", "torchaudio", "decord", "litellm", "instructor"}
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_WEIGHTS_BYTES = 400, 50, 20_000_000
WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".npz", ".npy"}


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def imported_by(file: Path) -> set[str]:
    """Dotted earsight names a file imports anywhere in it, whole: "earsight.media.clip"."""
    names: set[str] = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import; write earsight.{node.module}"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "earsight"}


def committed_files() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def committed_texts() -> dict[Path, str]:
    texts = {}
    for file in committed_files():
        data = file.read_bytes()
        if len(data) < 2_000_000 and b"\0" not in data:
            texts[file] = data.decode("utf-8", "replace")
    return texts


def breach(file: Path, name: str) -> str | None:
    """Why a file may not import an earsight name; None where it may."""
    folder = file.relative_to(PACKAGE).parts[0]
    target = (name.split(".") + [""])[1]
    if folder not in FOLDERS or target in FREE or target not in FOLDERS:
        return None  # the package's own surface, or a name it offers
    if target == folder:
        own = name.split(".")[2] if name.count(".") > 1 else ""
        sibling = (PACKAGE / folder / f"{own}.py").is_file() and own != file.stem
        return f"{folder}/ files do not import each other" if sibling and folder in STRANGERS else None
    if FOLDERS.index(target) > FOLDERS.index(folder):
        return f"{target}/ comes after {folder}/"
    return None


def test_every_folder_has_a_place_in_the_order():
    folders = {file.relative_to(PACKAGE).parts[0] for file in SOURCES if file.parent != PACKAGE}
    assert folders <= set(FOLDERS)


def test_every_folder_of_code_is_a_package():
    assert [str(file.parent) for file in SOURCES if not (file.parent / "__init__.py").is_file()] == []


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_upwards_only(file):
    if file.parent == PACKAGE and file.stem in FREE:
        assert imported_by(file) == set(), "types.py and errors.py import nothing of Earsight"
    found = {name: breach(file, name) for name in imported_by(file)} if file.parent != PACKAGE else {}
    assert {name: reason for name, reason in found.items() if reason} == {}


def test_the_import_rule_sees_a_breach():
    assert breach(PACKAGE / "media" / "clip.py", "earsight.model.processor.EarsightProcessor")
    assert breach(PACKAGE / "encoders" / "beats.py", "earsight.encoders.whisper.WhisperStreams")
    assert breach(PACKAGE / "model" / "processor.py", "earsight.apps.cli")
    assert not breach(PACKAGE / "model" / "processor.py", "earsight.media.load_clip")
    assert not breach(PACKAGE / "media" / "clip.py", "earsight.types.Clip")


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_files_and_functions_stay_small(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES
    functions = (node for node in ast.walk(parsed(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def test_no_module_is_a_drawer_for_odds_and_ends():
    assert [str(file) for file in SOURCES if file.stem in {"utils", "helpers", "common", "misc"}] == []


def test_a_system_file_holds_a_value_and_no_control_flow():
    flow = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.FunctionDef, ast.ClassDef, ast.Lambda)
    for file in (PACKAGE / "systems").glob("*.py"):
        if file.stem != "__init__":
            assert not [node for node in ast.walk(parsed(file)) if isinstance(node, flow)], file


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(normal(line).split("==") for line in lines if line and not line.startswith("#"))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+(?=[^=]*(==|$))", "-", name.split("==")[0]).lower() + name[len(name.split("==")[0]) :]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_every_dependency_is_pinned():
    extras = project()["optional-dependencies"].values()
    wanted = [*project()["dependencies"], *(need for extra in extras for need in extra)]
    names = {normal(re.match(r"[\w.-]+", need).group()) for need in wanted}
    assert names - set(pins()) == set()
    assert pins()["torch"] == "2.13.0"
    assert not [version for version in pins().values() if "+" in version], "local versions are in no public index"


def test_forbidden_packages_are_neither_wanted_nor_pinned():
    assert FORBIDDEN & set(pins()) == set()
    assert not [need for need in project()["dependencies"] if re.match(r"[\w.-]+", need).group() in FORBIDDEN]
    for file in SOURCES:
        nodes = [node for node in ast.walk(parsed(file)) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {
            name.split(".")[0]
            for node in nodes
            for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        }
        assert names & FORBIDDEN == set(), file


def readme_commands() -> list[str]:
    blocks = re.findall(r"^```(?:bash|sh|console)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    lines = (line.split("#")[0].strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line]


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {line.split()[1] for line in readme_commands() if line.startswith("make ")}
    assert {"demo", "test"} <= named <= targets


def test_every_command_of_the_readme_exists_with_its_options():
    import typer.main

    from earsight.apps.cli import app

    root = typer.main.get_command(app)
    named = [line.split("|")[0].split() for line in readme_commands() if line.startswith("earsight ")]
    assert {words[1] for words in named} >= {"ask", "chat", "probe", "starter"}
    for words in named:
        command = root
        while len(words) > 1 and words[1] in getattr(command, "commands", {}):
            command = command.commands[words[1]]
            words = words[1:]
        known = {option for param in command.params for option in param.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= known, words
        assert command is not root or "--version" in words or "--help" in words, words


def test_the_readme_names_only_files_that_exist():
    links = re.findall(r"\]\((?!http|#)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


README_ROWS = {
    "picture_name": "names the pictured object",
    "sound_name": "names the sounding object",
    "picture_kind": "unknown object is",
    "sound_kind": "unknown sound is",
    "matching": "says whether the sound belongs",
    "composed": "which side, when",
    "transcribe_trained_voices": "writes down short English",
    "transcribe_people": "the same, real people",
    "spoken_question": "answers a spoken question",
    "missing": "says that a sense is silent",
}


@pytest.mark.parametrize("ability", README_ROWS)
def test_the_readmes_scores_are_the_recorded_ones(ability, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.starters import blind, cell, read

    _, scores = read(PACKAGE / "checkpoints" / "starter" / "scores.json")
    lines = [one for one in (ROOT / "README.md").read_text().splitlines() if one.startswith("|")]
    (line,) = [one for one in lines if README_ROWS[ability] in one]
    assert line.split("|")[2:4] == [f" {cell(scores[ability, 'full'])} ", f" {blind([scores], ability):.2f} "]


def test_a_blind_score_lacks_a_sense_that_its_ability_needs(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.starters import blind

    def score(condition, value, needs):
        return {("when", condition): {"score": value, "higher_is_better": True, "needs": needs}}

    hears = score("full", 0.9, ["sound"]) | score("sound only", 0.8, ["sound"]) | score("picture only", 0.3, ["sound"])
    assert blind([hears | score("best constant", 0.2, ["sound"])], "when") == 0.3
    assert blind([score("best constant", 0.2, ["sound"])], "when") == 0.2


def test_the_model_card_is_what_the_records_say():
    folder = PACKAGE / "checkpoints" / "starter"
    assert (folder / "README.md").read_text() == model_card.card(model_card.read_records(folder)) + "\n"


def test_continuous_integration_runs_the_readmes_test_command_and_the_checks():
    script = (ROOT / ".ci" / "run").read_text()
    assert "make test" in script
    assert "make check" in script


def test_weights_in_the_repository_stay_small():
    sizes = {str(file): file.stat().st_size for file in committed_files() if file.suffix in WEIGHTS}
    assert {name: size for name, size in sizes.items() if size >= MAX_WEIGHTS_BYTES} == {}


def test_no_file_names_somebodys_home():
    home = re.compile(r"(?<![\w.])/(home|Users)/[a-z]\w*/|(?<![\w.])/(root|work)/\w")
    own = Path(__file__)
    assert [str(file) for file, text in committed_texts().items() if file != own and home.search(text)] == []


def test_the_version_is_said_once_and_the_same_everywhere():
    import earsight

    assert project()["version"] == earsight.__version__
    assert f"## [{earsight.__version__}]" in (ROOT / "CHANGELOG.md").read_text()

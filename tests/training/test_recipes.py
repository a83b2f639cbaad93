"""Every published training at its tiny variant: four steps a stage on made-up media, resumed exactly."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from earsight import recipes
from earsight.data.made_up import write_made_up
from earsight.errors import EarsightError
from earsight.model.assistant import Assistant
from earsight.training import freezing
from earsight.training.building import build
from earsight.training.run import run

# Mean loss of a token at each step of each stage, float32 on a processor.
LOSSES: dict[str, list[float]] = json.loads((Path(__file__).parent / "losses.json").read_text())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_made_up(tmp_path_factory.mktemp("made-up"))


def tiny(name, root, **data):
    recipe = recipes.get(f"{name}/tiny")
    return replace(recipe, data=replace(recipe.data, root=str(root), **{"cache_features": "never", **data}))


def losses(out):
    """The loss of each step, stage after stage, as Trainer kept them."""
    found = []
    for stage in json.loads((out / "recipe.json").read_text())["stages"]:
        last = sorted((out / stage).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))[-1]
        history = json.loads((last / "trainer_state.json").read_text())["log_history"]
        found += [entry["loss"] for entry in history if "loss" in entry]
    return found


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", recipes.names())
def test_four_steps_of_every_recipe_give_these_losses(name, root, tmp_path):
    recipe = tiny(name, root)
    run(recipe, tmp_path / "run", build)
    assert losses(tmp_path / "run") == pytest.approx(LOSSES[name], abs=1e-5)


@pytest.mark.parametrize("name", recipes.names())
def test_what_was_trained_can_be_asked(name, root, tmp_path):
    from earsight import load

    model, processor = run(tiny(name, root), tmp_path / "run", build)
    film = str(root / "red_low.mkv")
    told = load(str(tmp_path / "run" / "model"), dtype="float32").ask(film, "What is it?", max_new_tokens=6)
    assert (
        told.n_tokens >= 1 and told.text == Assistant(model, processor).ask(film, "What is it?", max_new_tokens=6).text
    )


@pytest.mark.parametrize("name", recipes.names())
def test_only_what_a_stage_names_is_trained(name, root, tmp_path):
    recipe = tiny(name, root)
    fresh, _ = build(recipe)
    before = {key: value.clone() for key, value in fresh.named_parameters()}
    model, _ = run(recipe, tmp_path / "run", build)
    named = {pattern for stage in recipe.stages.values() for pattern in stage.trains}
    moved = {key for key, value in model.named_parameters() if key in before and not torch.equal(value, before[key])}
    assert moved and all(any(freezing.matches(key, pattern) for pattern in named) for key in moved)


@pytest.mark.parametrize("name", ["salmonn", "av_llm"])
def test_interrupted_and_resumed_equals_uninterrupted_to_the_bit(name, root, tmp_path):
    recipe = tiny(name, root)
    whole, _ = run(recipe, tmp_path / "whole", build)
    stage = next(iter(recipe.stages))
    # As if stopped after step 2 of the first stage: its later checkpoint and everything after it are not there yet.
    shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    for later in (tmp_path / "stopped").iterdir():
        if later.is_dir() and later.name != stage:
            shutil.rmtree(later)
    shutil.rmtree(tmp_path / "stopped" / stage / "checkpoint-4")
    shutil.rmtree(tmp_path / "stopped" / stage / "trained")
    resumed, _ = run(recipe, tmp_path / "stopped", build, resume=True)
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    ours, theirs = dict(whole.named_parameters()), dict(resumed.named_parameters())
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def test_resuming_decodes_nothing_that_was_trained_on_before(root, tmp_path, monkeypatch):
    from earsight.training import samples

    recipe = tiny("av_llm", root)
    run(recipe, tmp_path / "run", build)
    shutil.rmtree(tmp_path / "run" / "projectors" / "checkpoint-4")
    shutil.rmtree(tmp_path / "run" / "projectors" / "trained")
    shutil.rmtree(tmp_path / "run" / "instruct")
    drawn = []
    asked = samples.Samples.__getitem__
    monkeypatch.setattr(samples.Samples, "__getitem__", lambda own, at: drawn.append(at) or asked(own, at))
    run(recipe, tmp_path / "run", build, resume=True)
    first = recipe.stages["projectors"]
    assert drawn[: 2 * first.batch_size] == list(range(2 * first.batch_size, 4 * first.batch_size))


@pytest.mark.parametrize("name", recipes.names())
def test_stored_features_give_the_same_losses(name, root, tmp_path, monkeypatch):
    """Also a guard that frozen encoders are in evaluation mode while the rest trains."""
    monkeypatch.setenv("EARSIGHT_CACHE", str(tmp_path / "cache"))
    run(tiny(name, root, cache_features="always"), tmp_path / "run", build)
    assert list((tmp_path / "cache" / "features").rglob("*.safetensors"))
    assert losses(tmp_path / "run") == pytest.approx(LOSSES[name], abs=1e-5)


def test_two_processes_give_the_losses_of_one(root, tmp_path):
    """The batch holds a sound and a picture: on one process of the two a sense is missing."""
    trained(root, tmp_path, 1, "never")
    trained(root, tmp_path, 2, "never")
    assert losses(tmp_path / "2-never") == pytest.approx(losses(tmp_path / "1-never"), abs=1e-5)


def test_two_processes_encode_half_the_media_each(root, tmp_path, monkeypatch):
    monkeypatch.setenv("EARSIGHT_CACHE", str(tmp_path / "cache"))
    trained(root, tmp_path, 2, "always")
    stored = [set(json.loads(file.read_text())) for file in (tmp_path / "cache" / "features").rglob("*.json")]
    assert len(stored) == 2 and abs(len(stored[0]) - len(stored[1])) <= 1 and not stored[0] & stored[1]
    assert json.loads((tmp_path / "2-always" / "instruct" / "ledger.json").read_text())["skipped"] == 0


def trained(root, folder, processes, cache_features):
    settings = [f"data.root={root}", f"data.cache_features={cache_features}", "stages.instruct.batch_size=2"]
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--standalone"]
    command += ["-m", "earsight", "train", "video-salmonn/tiny", *settings]
    command += ["--out", str(folder / f"{processes}-{cache_features}")]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_activation_checkpointing_gives_the_same_losses(root, tmp_path):
    recipe = tiny("av_llm", root)
    stages = {name: replace(stage, gradient_checkpointing=True) for name, stage in recipe.stages.items()}
    run(replace(recipe, stages=stages), tmp_path / "run", build)
    assert losses(tmp_path / "run") == pytest.approx(LOSSES["av_llm"], abs=1e-5)


def test_losses_by_source_and_sense_reach_tensorboard(root, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = replace(tiny("video_salmonn", root), report_to=("tensorboard",))
    run(recipe, tmp_path / "run", build)
    (events,) = (tmp_path / "run").rglob("events.out.tfevents*")
    read = EventAccumulator(str(events))
    read.Reload()
    names = set(read.Tags()["scalars"])
    assert {"train/loss", "train/loss/diversity", "train/loss/sounds"} <= names


def test_accumulated_batches_give_the_losses_of_whole_ones(root, tmp_path):
    recipe = tiny("dolphin", root)
    stages = {name: replace(stage, micro_batch_size=1) for name, stage in recipe.stages.items()}
    run(replace(recipe, stages=stages), tmp_path / "run", build)
    assert losses(tmp_path / "run") == pytest.approx(LOSSES["dolphin"], abs=1e-5)


def test_a_damaged_file_is_counted_and_leaves_a_gap(root, tmp_path):
    damaged = tmp_path / "data"
    shutil.copytree(root, damaged)
    (damaged / "low.wav").write_bytes(b"no sound")
    recipe = replace(
        tiny("salmonn", damaged, max_skip_rate=0.5), stages={"pretrain": tiny("salmonn", damaged).stages["pretrain"]}
    )
    run(recipe, tmp_path / "run", build)
    ledger = json.loads((tmp_path / "run" / "pretrain" / "ledger.json").read_text())
    assert ledger["damaged"] + ledger["skipped"] == 2 and ledger["used"] == 6


def test_a_run_stops_where_too_much_is_skipped(root, tmp_path):
    damaged = tmp_path / "data"
    shutil.copytree(root, damaged)
    for file in damaged.glob("*.wav"):
        file.write_bytes(b"no sound")
    with pytest.raises(EarsightError, match="could not be used"):
        run(tiny("salmonn", damaged, max_skip_rate=0.5), tmp_path / "run", build)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["stages.instruct.learning_rat=1"], "did you mean learning_rate"),
        (["stages.instrukt.steps=1"], "did you mean instruct"),
        (["stages.instruct.steps=0"], "at least 1"),
        (["stages.instruct.trains=()"], "trains is empty"),
        (["system=salmon/tiny"], "did you mean salmonn"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_before_anything_is_built(settings, told):
    with pytest.raises(EarsightError, match=told):
        recipes.get("video-salmonn/tiny", settings)


def test_a_malformed_record_is_named_with_file_and_line_and_no_run_is_begun(root, tmp_path):
    broken = tmp_path / "data"
    shutil.copytree(root, broken)
    lines = (broken / "sounds.jsonl").read_text().splitlines()
    (broken / "sounds.jsonl").write_text("\n".join([lines[0], lines[1].replace('"path"', '"pth"')]) + "\n")
    with pytest.raises(EarsightError, match=r"sounds.jsonl:2: .*pth"):
        run(tiny("salmonn", broken), tmp_path / "run", build)
    assert not (tmp_path / "run").exists()


def test_a_pattern_that_trains_nothing_is_refused(root, tmp_path):
    recipe = tiny("dolphin", root)
    stage = replace(recipe.stages["pretrain"], trains=("connector.adaptor.*",))
    with pytest.raises(EarsightError, match="matches no parameter"):
        run(replace(recipe, stages={"pretrain": stage}), tmp_path / "run", build)


def test_a_folder_with_another_run_is_left_alone(root, tmp_path):
    recipe = replace(tiny("dolphin", root), stages={"pretrain": tiny("dolphin", root).stages["pretrain"]})
    run(recipe, tmp_path / "run", build)
    with pytest.raises(EarsightError, match="holds a run already"):
        run(recipe, tmp_path / "run", build)
    with pytest.raises(EarsightError, match="other settings .*seed"):
        run(replace(recipe, seed=1), tmp_path / "run", build, resume=True)


def test_a_run_of_an_earlier_version_goes_on_where_new_settings_stand_at_their_defaults(root, tmp_path):
    recipe = tiny("salmonn", root)
    run(recipe, tmp_path / "run", build)
    file = tmp_path / "run" / "recipe.json"
    written = json.loads(file.read_text())
    del written["keep"], written["stages"]["pretrain"]["group_by_length"]
    del written["stages"]["pretrain"]["sources"]["sounds"]["tasks"]
    file.write_text(json.dumps(written))
    run(recipe, tmp_path / "run", build, resume=True)
    stages = {**recipe.stages, "pretrain": replace(recipe.stages["pretrain"], group_by_length=True)}
    with pytest.raises(EarsightError, match=r"other settings \(stages.pretrain.group_by_length\)"):
        run(replace(recipe, stages=stages), tmp_path / "run", build, resume=True)


def test_weights_of_another_system_are_refused(root, tmp_path):
    recipe = tiny("dolphin", root)
    first = replace(recipe, stages={"pretrain": recipe.stages["pretrain"]})
    run(first, tmp_path / "dolphin", build)
    other = tiny("av_llm", root)
    stage = replace(other.stages["projectors"], starts_from=str(tmp_path / "dolphin" / "pretrain" / "trained"))
    with pytest.raises(EarsightError, match="weights of another system"):
        run(replace(other, stages={"projectors": stage}), tmp_path / "run", build)


def test_a_full_disk_leaves_the_last_good_weights_whole(root, tmp_path, monkeypatch):
    from earsight.training import checkpoints

    recipe = tiny("av_llm", root)
    model, _ = build(recipe)
    freezing.apply(model, ("connector",))
    checkpoints.save_trained_parts(model, tmp_path)
    good = (tmp_path / checkpoints.TRAINED).read_bytes()

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(EarsightError, match="could not be written"):
        checkpoints.save_trained_parts(model, tmp_path)
    assert (tmp_path / checkpoints.TRAINED).read_bytes() == good
    assert [file.name for file in tmp_path.iterdir()] == [checkpoints.TRAINED]

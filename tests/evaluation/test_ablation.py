"""Ablations at the tiny scale: trained, asked and reported; resumed without doing anything twice; failures are told."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from earsight.data.made_up import write_made_up
from earsight.data.records import Record, load, write_jsonl
from earsight.errors import EarsightError
from earsight.evaluation import ablation, ablation_data, ablation_measures, runner
from earsight.evaluation.ablation_recipes import SCALES, asked_recipe
from earsight.evaluation.ablation_table import STORY_TOLD, STORY_WORDS, Measure, chosen
from earsight.evaluation.metrics import reference_text
from earsight.model import lora
from earsight.training.conversations import prepare

TINY = SCALES["tiny"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EARSIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def cut(monkeypatch, name, n_variants, measures=None):
    """A group with its first variants only."""
    (group,) = chosen([name])
    small = replace(group, variants=group.variants[:n_variants], measures=measures or group.measures[:1])
    monkeypatch.setattr(ablation, "chosen", lambda names: [small])
    return small


def counted(monkeypatch):
    """Names of the stages' folders each time that a training runs."""
    ran, plain = [], ablation.training.run
    monkeypatch.setattr(
        ablation.training, "run", lambda recipe, *more, **given: ran.append(recipe) or plain(recipe, *more, **given)
    )
    return ran


def quietly(line):
    pass


def test_a_group_runs_end_to_end_and_its_report_is_written(tmp_path, earsight):
    small = ("--scale", "tiny", "--only", "activation", "--seeds", "1")
    status, told, progress = earsight("train", "ablation", *small, "--out", tmp_path / "out")
    assert status == 0, progress
    page = tmp_path / "out" / "report" / "activation.md"
    assert "ablation 4/4, seed-1/activation/8-steps: done" in progress and str(page.parent) in told
    report = page.read_text()
    assert "# Activation tuning" in report and "not run" not in report and "failed" not in report
    assert "4 steps of pretrain, 4 steps of instruct, 12 steps of activate in " in report
    assert page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    page.unlink()
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    status, _, _ = earsight("train", "ablation", "--report", "--out", tmp_path / "out")
    assert status == 0 and page.read_text() == report
    assert not list((tmp_path / "benchmarks" / "results").iterdir()), "tiny results are nobody's"
    trained = tmp_path / "out" / "seed-1" / "activation" / "12-steps" / "trained"
    left = {file.relative_to(trained).as_posix() for file in trained.rglob("*.safetensors")}
    stages = {f"{name}/trained/trained.safetensors" for name in ("pretrain", "instruct", "activate")}
    assert left == stages | {f"activate/checkpoint-{step}/trained.safetensors" for step in (4, 8)}


def test_seeds_come_one_after_the_other_and_nothing_is_done_twice(tmp_path, monkeypatch):
    cut(monkeypatch, "av-llm", 1)
    ran, lines = counted(monkeypatch), []
    assert ablation.run(TINY, tmp_path, seeds=1, report=lines.append) == []
    place = f"av-llm/{ablation.slug(chosen(['av-llm'])[0].variants[0].name)}/result.json"
    first = (tmp_path / "seed-1" / place).stat().st_mtime_ns
    assert [recipe.seed for recipe in ran] == [1] and len(lines) == 1
    ablation.run(TINY, tmp_path, seeds=2, report=lines.append)
    assert [recipe.seed for recipe in ran] == [1, 2] and "ablation 1/1, seed-2" in lines[-1]
    assert (tmp_path / "seed-1" / place).stat().st_mtime_ns == first
    losses = [json.loads((tmp_path / f"seed-{seed}" / place).read_text())["training"]["losses"] for seed in (1, 2)]
    assert losses[0] != losses[1], "both seeds trained alike"


def test_variants_of_one_model_share_its_training(tmp_path, monkeypatch):
    cut(monkeypatch, "frames", 3, (Measure("which_first"),))
    ran = counted(monkeypatch)
    ablation.run(TINY, tmp_path, seeds=1, report=quietly)
    assert len(ran) == 1 and len(list(tmp_path.glob("seed-1/frames/*/result.json"))) == 3
    assert not list(tmp_path.glob("seed-1/av-llm/*/result.json")), "the base was trained, not asked"
    told = [json.loads(file.read_text())["abilities"] for file in sorted(tmp_path.glob("seed-1/frames/*/result.json"))]
    assert len({str(one["which_first"]["nats"]) for one in told}) == 3, "other frames are other inputs"


def test_stages_that_trainings_begin_with_alike_are_trained_once_and_give_the_same_weights(tmp_path, monkeypatch):
    small = cut(monkeypatch, "av-llm", 2)
    first, second = (f"seed-1/av-llm/{ablation.slug(one.name)}/trained" for one in small.variants)
    ablation.run(TINY, tmp_path / "both", seeds=1, report=quietly)
    done = json.loads((tmp_path / "both" / second / "done.json").read_text())
    assert done["taken"] == str(Path(first).parent.relative_to("seed-1"))
    assert (
        done["losses"]["projectors"]
        == json.loads((tmp_path / "both" / first / "done.json").read_text())["losses"]["projectors"]
    )
    assert json.loads((tmp_path / "both" / second / "projectors" / "cost.json").read_text())["training_seconds"] >= 0

    monkeypatch.setattr(ablation, "chosen", lambda names: [replace(small, variants=small.variants[1:])])
    ablation.run(TINY, tmp_path / "alone", seeds=1, report=quietly)
    assert "taken" not in json.loads((tmp_path / "alone" / second / "done.json").read_text())
    for stage in ("projectors", "instruct"):
        weights = [
            load_file(tmp_path / out / second / stage / "trained" / "trained.safetensors") for out in ("both", "alone")
        ]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0] | weights[1])


def test_nothing_is_taken_over_from_a_training_with_another_connector(tmp_path, monkeypatch):
    cut(monkeypatch, "dolphin", 2)
    ablation.run(TINY, tmp_path, seeds=1, report=quietly)
    assert not list(tmp_path.glob("seed-1/*/*/trained/taken.json"))


def test_a_run_that_fails_is_told_and_the_rest_goes_on(tmp_path, monkeypatch):
    cut(monkeypatch, "dolphin", 2)
    plain = ablation.training.run

    def failing(recipe, *more, **given):
        if not recipe.values.get("connector"):
            raise RuntimeError("out of\nmemory")
        return plain(recipe, *more, **given)

    monkeypatch.setattr(ablation.training, "run", failing)
    lines = []
    (failed,) = ablation.run(TINY, tmp_path, seeds=1, report=lines.append)
    assert failed.variant.name == "full"
    assert "failed (RuntimeError: out of memory)" in lines[0] and "done" in lines[1]
    found, failures = ablation.results(tmp_path)
    assert len(found) == 1 and failures[0]["reason"] == "RuntimeError: out of memory" and failures[0]["seed"] == 1
    monkeypatch.setattr(ablation.training, "run", plain)
    assert ablation.run(TINY, tmp_path, seeds=1, report=quietly) == []
    assert len(ablation.results(tmp_path)[0]) == 2 and ablation.results(tmp_path)[1] == []


def test_an_interrupted_training_goes_on(tmp_path, monkeypatch):
    cut(monkeypatch, "dolphin", 1)
    plain = ablation.training.run

    class Stopped(BaseException):
        pass

    def stopping(recipe, out, build, **given):
        first = dict(list(recipe.stages.items())[:1])
        plain(replace(recipe, stages=first), out, build, **given)
        (out / "recipe.json").unlink()
        ablation.training._remember(recipe, out, resume=False)
        raise Stopped

    monkeypatch.setattr(ablation.training, "run", stopping)
    with pytest.raises(Stopped):
        ablation.run(TINY, tmp_path, seeds=1, report=quietly)
    resumed = []
    monkeypatch.setattr(
        ablation.training, "run", lambda *given, **more: resumed.append(more["resume"]) or plain(*given, **more)
    )
    assert ablation.run(TINY, tmp_path, seeds=1, report=quietly) == [] and resumed == [True]


def test_a_folder_of_another_scale_is_refused(tmp_path):
    ablation.remember(TINY, tmp_path)
    ablation.remember(TINY, tmp_path)
    with pytest.raises(EarsightError, match=r"another scale \(steps 4\); give another --out"):
        ablation.remember(replace(TINY, steps=5), tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ablation", "--only", "dolfin"], "did you mean dolphin"),
        (["ablation", "--scale", "large"], "no scale 'large'"),
        (["ablation", "seed=1"], "takes no settings"),
        (["ablation", "--seeds", "0", "--scale", "tiny"], "--seeds 0"),
        (["ablation", "--report", "--out", "nothing-is-here"], "no results in it"),
        (["av-llm/tiny", "--seeds", "3"], "are of ablation"),
    ],
)
def test_what_makes_no_sense_is_refused_on_the_command_line(earsight, arguments, told):
    status, _, error = earsight("train", *arguments)
    assert status == 2 and told in error


@pytest.fixture
def asked(tmp_path):
    """A tiny model, the made-up benchmark, and its asker."""
    root = write_made_up(tmp_path / "made-up")
    benchmark = ablation_data.tested_on(TINY, root, tmp_path)
    group = chosen(["video-salmonn"])[0]
    model, processor = ablation.build(asked_recipe(group, group.variants[0], TINY, 1, root))
    return runner.Asker(ablation_measures.Assistant(model, processor), benchmark), benchmark


def test_surprise_is_the_loss_of_the_true_answer_also_beside_others(asked):
    asker, benchmark = asked
    asks = [
        runner.Ask("full", one) for name in ("matching", "sound_kind", "picture_kind") for one in benchmark.of(name)
    ]
    ready = list(asker.prepared(asks))
    together = ablation_measures.surprises(asker, ready)
    for one, (ask, _), (nats, n_tokens) in zip(ready, ready, together, strict=True):
        assert ablation_measures.surprises(asker, [one])[0] == (pytest.approx(nats, abs=1e-3), n_tokens)
        whole, _ = prepare(asker.processor, asker._messages(ask))
        loss = asker.model(**ablation_measures.collate(asker.processor, [whole])).loss
        assert nats / n_tokens == pytest.approx(float(loss), abs=1e-4)
        assert n_tokens == len(reference_text(ask.record)) + 1


def test_a_story_is_measured_by_its_words(asked, monkeypatch):
    asker, benchmark = asked
    told = ["A fox. A fox ran, and ran!", " ".join(f"word{n}" for n in range(20))]
    monkeypatch.setattr(runner.Asker, "answer", lambda self, batch: [{"reply": told[n]} for n in range(len(batch))])
    found = ablation_measures._stories(asker, benchmark.of("sound_kind"), TINY)
    assert sorted(found[STORY_WORDS].numerators) == [4.0, 20.0] and sorted(found[STORY_TOLD].numerators) == [0.0, 1.0]


def test_weights_are_read_after_the_stage_that_is_asked_for(tmp_path, monkeypatch):
    group = cut(monkeypatch, "activation", 1)
    ablation.run(TINY, tmp_path, seeds=1, report=quietly)
    trained = tmp_path / "seed-1" / "activation" / "12-steps" / "trained"
    recipe = asked_recipe(group, group.variants[0], TINY, 1, tmp_path)

    def weights(after, scale=1.0):
        model = ablation_measures.model_as(recipe, trained, after, scale).model
        assert not any(value.requires_grad for value in model.parameters())
        return model

    sums = set()
    for after in ("pretrain", "instruct", "activate/checkpoint-4", ""):
        layer = lora.layers(weights(after))[0][1]
        sums.add(float(layer.lora_B["default"].weight.abs().sum()))
    assert len(sums) == 4
    layer = lora.layers(weights("instruct", 0.25))[0][1]
    assert layer.scaling["default"] == pytest.approx(0.25 * lora.layers(weights("instruct"))[0][1].scaling["default"])


def test_some_media_are_taken_with_all_that_is_asked_of_them(tmp_path, monkeypatch):
    def record(source, task, number, turn):
        content = [{"type": "image", "path": f"starter://{source}/{number}"}, {"type": "text", "text": "What?"}]
        messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "That."}]
        return Record(f"{source}/{task}/{number}/{turn}", source, task, messages)

    pictures = [record("pictures", "see", number, turn) for number in range(9) for turn in range(3)]
    tasks = ("when", "spoken_question")
    composed = [record("composed", task, f"{task}{number}", 0) for task in tasks for number in range(9)]
    kept = ablation_data.some_of(pictures, 4)
    assert len(kept) == 12 and len({one.id.split("/")[2] for one in kept}) == 4
    assert kept == [one for one in pictures if one in kept] and kept != pictures[:12]
    assert {one.task for one in ablation_data.some_of(composed, 5, ["when"])} == {"when"}
    assert len(ablation_data.spread(composed, 5)) == 5
    root = tmp_path / "root"
    root.mkdir()
    for name in SCALES["starter"].sources:
        write_jsonl(root / f"{name}.jsonl", composed if name == "composed" else pictures)
    (root / "corpus.json").write_text("{}")
    monkeypatch.setattr(ablation_data, "data_root", lambda recipe: root)
    few = replace(SCALES["starter"], sources={"pictures": 2, "sounds": 5, "composed": 3})
    folder = ablation_data.trained_on(few, tmp_path)
    assert len(load(folder / "stories.jsonl")) == 5, "one for each sound"
    assert len((folder / "pictures.jsonl").read_text().splitlines()) == 6
    assert (folder / "corpus.json").read_text() == "{}", "whose addresses they are"

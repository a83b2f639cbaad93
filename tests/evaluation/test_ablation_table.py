"""The table of ablations names settings, abilities and stages that exist, and systems that run."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "model"))

import contract  # noqa: E402

from earsight import systems  # noqa: E402
from earsight.checkpoints.build import build_tiny  # noqa: E402
from earsight.data.starter import frozen, records  # noqa: E402
from earsight.errors import EarsightError  # noqa: E402
from earsight.evaluation import ablation_table as table  # noqa: E402
from earsight.evaluation.ablation_recipes import SCALES, asked_recipe, get_scale, trained_recipe  # noqa: E402
from earsight.evaluation.conditions import CONDITIONS  # noqa: E402
from earsight.evaluation.token_readings import READINGS  # noqa: E402
from earsight.model.assistant import Assistant  # noqa: E402
from earsight.training import outline  # noqa: E402

ROWS = [(group, variant) for group in table.GROUPS for variant in group.variants]
NAMES = [f"{group.name}/{variant.name}" for group, variant in ROWS]
STORIES = {table.STORY_WORDS, table.STORY_TOLD}
SOURCES = ("pictures", "sounds", "films", "negatives", "speech", "composed", "stories")


def recipe(group, variant, scale="starter"):
    return asked_recipe(group, variant, SCALES[scale], 1, Path("/nowhere"))


def settings_of(group, variant):
    made = recipe(group, variant)
    return repr(systems.get(made.system, made.values)), [stage.trains for stage in made.stages.values()]


# One of each description: the others differ in training alone, or in how the model is asked.
DESCRIBED = list({str(settings_of(*row)): index for index, row in reversed(list(enumerate(ROWS)))}.values())[::-1]


@pytest.mark.parametrize("index", DESCRIBED, ids=[NAMES[index] for index in DESCRIBED])
def test_every_starter_variant_is_built_on_the_meta_device(index):
    stages, tokens = outline.outline(recipe(*ROWS[index]))
    assert tokens > 0 and all(stage.trained.get("connector") for stage in stages)


@pytest.mark.parametrize("index", DESCRIBED, ids=[NAMES[index] for index in DESCRIBED])
def test_every_starter_variant_answers_about_a_clip_at_small_sizes(index):
    made = recipe(*ROWS[index])
    small = contract.small_values(made.system)
    values = {**made.values, "language_model": small["language_model"]}
    values["encoders"] = {
        name: {**part, **made.values.get("encoders", {}).get(name, {})} for name, part in small["encoders"].items()
    }
    assistant = Assistant(*build_tiny(made.system, values=values))
    told = assistant.ask(contract.make_clip(3.0), contract.QUESTION, max_new_tokens=2)
    assert told.n_tokens >= 1


@pytest.mark.parametrize("name", NAMES)
def test_variants_name_what_exists(name):
    group, variant = ROWS[NAMES.index(name)]
    measured = {measure.ability for measure in group.measures}
    assert measured <= (set(READINGS) if group.tokens_alone else set(frozen.ABILITIES) | STORIES)
    assert set(variant.paper) | set(variant.says) <= {measure.column for measure in group.measures}
    assert variant.condition in CONDITIONS and not set(variant.paper) & set(variant.says)
    made, small = trained_recipe(group, variant, SCALES["starter"], 1, Path()), recipe(group, variant, "tiny")
    for stage in made.stages.values():
        assert {Path(source.path).stem for source in stage.sources.values()} <= set(SOURCES)
    stage, _, checkpoint = variant.after.partition("/checkpoint-")
    if variant.after:
        assert stage in made.stages and stage in small.stages
    if checkpoint:
        assert variant.after in table.read_after(*table.trained_by(group, variant))
        assert int(checkpoint) <= min(made.stages[stage].steps, small.stages[stage].steps)


def test_every_variant_changes_something_and_each_name_is_its_own():
    for group in table.GROUPS:
        assert len({table.slug(one.name) for one in group.variants}) == len(group.variants)
        for scale in SCALES:
            made = [
                (repr(recipe(group, one, scale)), one.weights, one.after, one.lora_scale, one.condition)
                for one in group.variants
            ]
            assert len(set(made)) == len(made), (group.name, scale)


def test_groups_that_train_nothing_read_trainings_of_the_table():
    for group, variant in ROWS:
        found, base = table.trained_by(group, variant)
        assert found.recipe and not base.weights


def test_the_whole_is_the_first_or_the_one_that_is_named():
    group = table.WHITE_NOISE
    assert [table.whole(group, one).name for one in group.variants[:4]] == ["Dolphin"] * 2 + ["Audio-Visual LLM"] * 2
    assert table.whole(table.DOLPHIN, table.DOLPHIN.variants[3]).name == "full"


def test_a_training_gets_the_scales_steps_and_its_batches():
    for group in table.GROUPS:
        if group.recipe:
            scale = replace(SCALES["starter"], steps=100)
            stages = trained_recipe(group, group.variants[0], scale, 3, Path()).stages.values()
            (words,) = (one for one in stages if one.objective == "words")
            answers = [one for one in stages if one.objective == "answers" and one.writes is None]
            assert words.steps == scale.word_steps
            assert sum(one.steps for one in answers) == (0 if group.tokens_alone else 100)
            assert {one.batch_size for one in answers} <= {scale.batch_size}


def test_composed_tasks_of_the_scale_are_tasks_of_the_corpus():
    assert set(SCALES["starter"].composed) <= set(records.COMPOSED)
    measured = {measure.ability for group in table.GROUPS for measure in group.measures}
    assert measured & set(records.COMPOSED) <= set(SCALES["starter"].composed)


def test_an_unknown_group_or_scale_is_refused_and_the_nearest_named():
    assert [one.name for one in table.chosen(["lora_scale", "dolphin"])] == ["dolphin", "lora-scale"]
    with pytest.raises(EarsightError, match="did you mean dolphin"):
        table.chosen(["dolfin"])
    with pytest.raises(EarsightError, match="no scale 'large'; there are: starter, tiny"):
        get_scale("large")
    with pytest.raises(EarsightError, match="--steps 0"):
        get_scale("tiny", 0)

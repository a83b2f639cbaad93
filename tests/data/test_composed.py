"""Composed clips: what is asked is true of the pixels and the samples themselves."""

import math
import random

import numpy as np
import pytest
from PIL import Image

from earsight.data.starter.composed import APART_SECONDS, LAST_MOMENTS, NUMBERS, TASKS
from earsight.data.starter.course import course, further_questions
from earsight.data.starter.rendering import Renderer, address
from earsight.data.starter.views import on_background
from earsight.media.sampling import Sampling

EVERY_HALF_SECOND = Sampling(frames_per_second=2, max_frames=100)


def clips(renderer, task, split="train", count=12):
    composer = renderer.composer(split)
    for number in range(count):
        yield (
            composer.plan(task, number),
            renderer.clip(address("composed", split, task, number), EVERY_HALF_SECOND),
        )


def changed(frames):
    """Where an object stands: the pixels that differ from a frame's corner-free mean over time are left to callers."""
    return np.abs(frames.astype(int) - frames[0].astype(int)).sum((1, 2, 3))


def onset(clip):
    """When a clip's sound is first loud."""
    return float(np.flatnonzero(np.abs(clip.waveform) > 0.05)[0]) / clip.sample_rate_hz


@pytest.mark.parametrize("task", TASKS)
def test_the_same_address_gives_the_same_clip_and_another_number_another(renderer, task):
    again = Renderer(renderer.corpus, renderer.voices)
    (plan, clip), (_, other) = list(clips(renderer, task, count=2))
    same = again.clip(address("composed", "train", task, 0), EVERY_HALF_SECOND)
    assert np.array_equal(same.frames, clip.frames) and np.array_equal(same.waveform, clip.waveform)
    assert other.frames.shape != clip.frames.shape or not np.array_equal(other.frames, clip.frames)
    assert clip.duration_seconds == plan.duration_seconds and len(clip.frames) == 2 * plan.duration_seconds


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("task", TASKS)
def test_a_clip_is_made_of_one_sides_items_only(renderer, task, split):
    for plan, _ in clips(renderer, task, split, count=4):
        items = [actor.item for actor in plan.actors] + [cue.item for cue in plan.cues if cue.item]
        assert {item.split for item in items} <= {split}


def test_the_sound_begins_when_the_answer_says(renderer):
    seconds = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
    for plan, clip in clips(renderer, "when"):
        said = seconds[plan.answer.split()[1]]
        assert said <= onset(clip) < said + 0.3


def test_the_object_is_on_the_side_that_the_answer_says(renderer):
    for plan, _ in clips(renderer, "which_side"):
        (actor,) = plan.actors
        places = [actor.place(moment, plan.duration_seconds)[0] for moment in (0, plan.duration_seconds)]
        assert all(place < 0.4 for place in places) if "left" in plan.answer else all(place > 0.6 for place in places)


def test_the_object_moves_the_way_the_answer_says(renderer):
    for plan, _ in clips(renderer, "direction"):
        (actor,) = plan.actors
        assert (actor.end[0] > actor.begin[0]) == ("right" in plan.answer)


def test_what_comes_first_and_together_is_seen_and_heard_so(renderer):
    for plan, clip in [*clips(renderer, "which_first"), *clips(renderer, "coincide")]:
        moved = np.flatnonzero(changed(clip.frames) > 0)
        appears, sounds = clip.frame_times[moved[0]] if len(moved) else 0.0, onset(clip)
        if plan.task == "coincide":
            assert (abs(appears - sounds) < 0.8) == plan.answer.startswith("Yes")
        else:
            assert (appears < sounds) == ("object" in plan.answer) and abs(appears - sounds) > min(APART_SECONDS) - 0.8


def test_as_many_objects_are_there_as_the_answer_says_apart_from_each_other(renderer):
    numbers = {"One.": 1, "Two.": 2, "Three.": 3, "Four.": 4}
    for plan, _ in clips(renderer, "how_many"):
        assert len(plan.actors) == numbers[plan.answer]
        assert len({(round(actor.begin[0]), round(actor.begin[1])) for actor in plan.actors}) == len(plan.actors)


def test_matching_is_balanced_and_true(renderer):
    plans = [renderer.composer("train").plan("matching", number) for number in range(200)]
    yes = [plan for plan in plans if plan.answer.startswith("Yes")]
    assert 70 <= len(yes) <= 130
    for plan in plans:
        assert (plan.actors[0].item.key == plan.cues[0].item.key) == (plan in yes)


def test_one_sense_alone_cannot_tell_what_matches(renderer):
    """Every picture and every sound is met with both answers about as often: neither gives the answer away."""
    plans = [renderer.composer("train").plan("matching", number) for number in range(600)]
    for item_of in (lambda plan: plan.actors[0].item.key, lambda plan: plan.cues[0].item.key):
        by_key = {}
        for plan in plans:
            by_key.setdefault(item_of(plan), []).append(plan.answer.startswith("Yes"))
        right = sum(max(sum(answers), len(answers) - sum(answers)) for answers in by_key.values())
        assert right / len(plans) < 0.66


def moments(plan):
    """When the object appears and when the sound begins."""
    return math.ceil(plan.actors[0].appears_seconds), math.floor(plan.cues[0].begins_seconds)


def blind(plans, of):
    """How often the best guess is right that knows nothing of a plan but `of`."""
    answers = {}
    for plan in plans:
        answers.setdefault(of(plan), []).append(plan.answer)
    return sum(max(map(some.count, set(some))) for some in answers.values()) / len(plans)


@pytest.mark.parametrize("task", LAST_MOMENTS)
def test_a_clips_length_tells_nothing_of_its_course(renderer, task):
    plans = [renderer.composer("train").plan(task, number) for number in range(1200)]
    assert blind(plans, lambda plan: plan.duration_seconds) < blind(plans, lambda plan: 0) + 0.04


@pytest.mark.parametrize(("task", "most"), [("coincide", 0.56), ("which_first", 0.68)])
def test_one_sense_alone_cannot_tell_the_order(renderer, task, most):
    """That something coincides is hidden wholly; that it is first cannot be: what begins late is seldom the first."""
    plans = [renderer.composer("train").plan(task, number) for number in range(1200)]
    for sense in (0, 1):
        assert blind(plans, lambda plan, sense=sense: moments(plan)[sense]) < most


def test_the_course_says_what_is_seen_and_heard_in_each_second(renderer):
    for plan, clip in [*clips(renderer, "which_first"), *clips(renderer, "coincide")]:
        appears, sounds = moments(plan)
        told = course(plan)
        assert {len(words) for words in told.values()} == {plan.duration_seconds}
        assert told["number"] == ["no"] * appears + ["one"] * (plan.duration_seconds - appears)
        assert told["seen change"].index("appears") == appears and told["seen change"].count("appears") == 1
        begins = "together" if sounds == appears else "begins"
        assert told["heard change"].index(begins) == sounds == math.floor(onset(clip))
        assert not {"begins", "together"} - {begins} & set(told["heard change"])
        assert told["heard kind"][sounds] == plan.cues[0].item.kind and set(told["heard kind"][:sounds]) <= {"nothing"}
        assert told["seen name"][appears] == plan.actors[0].item.name


def test_what_is_behind_a_training_clip_varies_and_behind_the_others_is_as_it_was(corpus_of_photos):
    """Few photographs, met often: mirrored, recoloured and through each other, or they are learnt by heart."""
    photos, rng = corpus_of_photos, np.random.default_rng
    plain = [np.asarray(on_background(photos, 0, rng(seed)), np.float32) for seed in range(6)]
    varied = [np.asarray(on_background(photos, 0, rng(seed), varied=True), np.float32) for seed in range(6)]
    spread = [np.std([view.mean((0, 1)) for view in some], axis=0).mean() for some in (plain, varied)]
    assert spread[1] > 2 * spread[0]
    assert all(view.shape == (260, 260, 3) for view in varied)
    assert {tuple(view[0, 0]) == tuple(view[-1, -1]) for view in map(np.asarray, plain_colours(False))} == {True}
    assert {tuple(view[0, 0]) == tuple(view[-1, -1]) for view in map(np.asarray, plain_colours(True))} == {True, False}


@pytest.fixture
def corpus_of_photos(tmp_path):
    """Two photographs: a light one whose left is brighter, and a dark one."""
    files = []
    for name, level in (("light", 200), ("dark", 60)):
        pixels = np.full((300, 300, 3), level, np.uint8)
        pixels[:, :150] += 20
        files.append(tmp_path / f"{name}.png")
        Image.fromarray(pixels).save(files[-1])
    return files


def plain_colours(varied):
    return [on_background((), -1, np.random.default_rng(seed), varied) for seed in range(12)]


def test_the_course_says_on_which_side_and_how_many(renderer):
    for plan, _ in clips(renderer, "direction"):
        places = course(plan)["place"]
        assert places[0] in ("left", "right") and places[-1] != places[0], "it crosses the middle"
        assert (places[0] == "left") == ("right" in plan.answer)
    for plan, _ in clips(renderer, "how_many"):
        assert {word.capitalize() for word in course(plan)["number"]} == {plan.answer.rstrip(".")}


@pytest.mark.parametrize("task", TASKS)
def test_further_questions_have_the_answers_of_the_tasks_they_are_of(renderer, task):
    """What is asked of one kind of clip and of another is answered alike: by what is seen and heard."""
    for number in range(30):
        plan = renderer.composer("train").plan(task, number)
        for other, question, told in further_questions(plan, random.Random(number)):
            assert other != task and question.endswith(("?", "."))
            assert told.endswith(".") and is_true(plan, other, told), (other, told)


def is_true(plan, task, told):
    """Whether an answer holds of a plan, seen apart from how it was made."""
    one_sound = [cue.item for cue in plan.cues if cue.item]
    if task == "which_side":
        return told == ("On the left." if plan.actors[0].begin[0] < 0.5 else "On the right.")
    if task in ("which_first", "coincide"):
        appears, sounds = moments(plan)
        first = "The object." if appears < sounds else "The sound."
        return told == (first if task == "which_first" else "Yes, together." if appears == sounds else "No, apart.")
    return {
        "how_many": lambda: told == f"{NUMBERS[len(plan.actors)].capitalize()}." and plan.actors,
        "nothing_there": lambda: not plan.actors and told == "There is no object.",
        "see_kind": lambda: plan.actors[0].item.kind in told and len(plan.actors) == 1,
        "see_name": lambda: plan.actors[0].item.name in told and len(plan.actors) == 1,
        "hear_kind": lambda: one_sound[0].kind in told,
        "hear_name": lambda: one_sound[0].name in told,
        "any_sound": lambda: ("no sound" in told.lower()) == (not plan.cues),
        "when": lambda: NUMBERS.index(told.split()[1]) == math.floor(plan.cues[0].begins_seconds),
    }[task]()


def test_clips_are_asked_further_about_their_order_whichever_comes_first(renderer):
    told = {"which_first": set(), "coincide": set()}
    for task in told:
        for number in range(60):
            plan = renderer.composer("train").plan(task, number)
            for other, _, answer in further_questions(plan, random.Random(number)):
                if other in told:
                    appears, sounds = moments(plan)
                    told[other].add((answer, sounds > appears))
    assert {("The object.", True), ("The sound.", False)} == told["which_first"]
    assert told["coincide"] == {("No, apart.", True), ("No, apart.", False)}


def test_a_spoken_question_is_in_the_sound_and_not_in_the_text(renderer):
    for plan, _ in clips(renderer, "spoken_question"):
        said = [cue for cue in plan.cues if cue.voice]
        assert len(said) == 1 and said[0].text and said[0].text not in plan.question

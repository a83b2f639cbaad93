"""Further tasks: what is asked is true of what is drawn, and of the samples themselves."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from earsight.data.starter.corpus import SAMPLE_RATE_HZ
from earsight.data.starter.further_tasks import CHOICES, TASKS, FurtherComposer
from earsight.data.starter.questions import SOUND_KINDS, with_article
from earsight.data.starter.rendering import MARGIN_SECONDS, Renderer, address, over
from earsight.errors import EarsightError
from earsight.media.sampling import Sampling


def plans(renderer, task, split="train", count=40):
    return [renderer.further(split).plan(task, number) for number in range(count)]


@pytest.mark.parametrize("task", TASKS)
def test_an_address_is_the_same_clip_everywhere_and_has_the_senses_its_plan_says(renderer, task):
    at = address("further", "train", task, 3)
    first, second = (one.clip(at, Sampling()) for one in (renderer, Renderer(renderer.corpus, renderer.voices)))
    assert np.array_equal(first.waveform, second.waveform) and np.array_equal(first.frames, second.frames)
    plan = renderer.further("train").plan(task, 3)
    assert first.sound == ("present" if plan.cues else "absent")
    assert first.picture == ("absent" if plan.background is None else "present")


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("task", TASKS)
def test_right_and_wrong_alike_are_of_one_sides_items(renderer, task, split):
    of_side = {item.key for item in (*renderer.corpus.pictures, *renderer.corpus.sounds) if item.split == split}
    assert all(set(plan.clusters) <= of_side and plan.clusters for plan in plans(renderer, task, split))


@pytest.mark.parametrize("task", ["which_picture", "which_sound"])
def test_the_right_choice_is_among_the_named_ones_and_at_no_place_of_its_own(renderer, task):
    places = Counter()
    for plan in plans(renderer, task, count=90):
        right = (plan.actors[0] if plan.actors else plan.cues[0]).item.name
        assert plan.answer == f"It is {with_article(right)}." and len(set(plan.options)) == CHOICES
        assert all(with_article(name) in plan.question for name in plan.options)
        places[plan.options.index(right)] += 1
    assert min(places.values()) > 15, "of 90"


def test_yes_and_no_are_true_and_about_as_frequent(renderer):
    told = Counter()
    for plan in plans(renderer, "sound_is", count=100):
        named = with_article(plan.cues[0].item.name) in plan.question
        assert named == plan.answer.startswith("Yes")
        told[named] += 1
    assert min(told.values()) > 30
    told = Counter()
    for plan in plans(renderer, "spoken_name", count=100):
        named = plan.cues[0].text == f"{with_article(plan.actors[0].item.name)}."
        assert named == plan.answer.startswith("Yes")
        told[named] += 1
    assert min(told.values()) > 30


def test_two_sounds_are_of_two_kinds_told_in_one_order(renderer):
    kinds = list(SOUND_KINDS)
    for plan in plans(renderer, "two_sounds"):
        heard = [cue.item.kind for cue in plan.cues]
        assert kinds.index(heard[0]) < kinds.index(heard[1])
        assert plan.answer.lower() == f"{' and '.join(SOUND_KINDS[kind] for kind in heard)}."


def test_a_name_that_a_person_reads_is_the_recording_beside_its_picture(renderer):
    picture = replace(renderer.corpus.of("picture", "train")[0], file="birds/owl.png")
    spoken = replace(renderer.corpus.of("sound", "train")[0], kind="speech", file="birds/owl_desc.ogg")
    other = replace(spoken, id="other", file="birds/crow_desc.ogg")
    composer = FurtherComposer(replace(renderer.corpus, pictures=[picture], sounds=[spoken, other]), "train", ("slt",))
    assert composer.read_aloud == {picture: spoken}


@pytest.mark.parametrize("below_db", [0, 10, 20])
def test_a_sound_behind_a_sentence_is_so_many_decibels_below_it(below_db):
    seconds = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    spoken, behind = np.sin(seconds * 2000).astype(np.float32), np.sin(seconds[:5000] * 900).astype(np.float32) * 0.1
    mixed = over(spoken, behind, below_db)
    margin = round(MARGIN_SECONDS * SAMPLE_RATE_HZ)
    alone = np.mean(np.square(mixed[:margin]))
    both = np.mean(np.square(mixed[margin:-margin]))
    assert 10 * np.log10((both - alone) / alone) == pytest.approx(below_db, abs=0.5)
    assert len(mixed) == len(spoken) + 2 * margin and np.abs(mixed).max() == pytest.approx(0.7)


def test_an_address_of_a_name_that_nobody_reads_is_refused(renderer):
    with pytest.raises(EarsightError, match="nobody's recording"):
        renderer.clip(address("named", "p-train-owl", "fr", 0), Sampling())

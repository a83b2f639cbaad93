"""The course of a composed clip, second by second, in words; and what else may be asked of it.

plan -> {"number": ["no", "one", ...], "seen change": ["nothing", "appears", ...], ...}   (`training.alignment`)
     -> further questions with their answers, so that no kind of clip belongs to one question
"""

import math
import random
from collections.abc import Iterator, Sequence

from earsight.data.starter.composed import APART_SECONDS, NUMBERS, Cue, Plan
from earsight.data.starter.questions import QUESTIONS, SOUND_KINDS, UNNAMED_SOUNDS, Scene, answer

Course = dict[str, list[str | None]]  # word of each second; None: not known, or not to be told in one word
NOTHING = "nothing"
PLACES = {"left": (0.0, 0.35), "middle": (0.44, 0.56), "right": (0.65, 1.0)}  # of the frame; between them it is neither


def course(plan: Plan) -> Course:
    """What is seen and heard in each second of a plan.

    A sound that begins in the second in which something appears begins "together" with it: said in one word, so that
    the language model need not compare two.
    """
    seconds = range(math.ceil(plan.duration_seconds))
    told = _seen(plan, seconds) | _heard(plan, seconds)
    for second, change in enumerate(told.get("heard change", [])):
        if change == "begins" and told["seen change"][second] == "appears":
            told["heard change"][second] = "together"
    return told


def _seen(plan: Plan, seconds: Sequence[int]) -> Course:
    found: Course = {role: [] for role in ("number", "seen kind", "seen name", "place", "seen change")}
    for second in seconds:
        there = [actor for actor in plan.actors if actor.is_there(second)]
        new = [actor for actor in there if second and not actor.is_there(second - 1)]
        alone = there[0] if len(there) == 1 else None
        found["number"].append(NUMBERS[len(there)])
        found["seen kind"].append(alone.item.kind if alone else None if there else NOTHING)
        found["seen name"].append(alone.item.name if alone else None)
        found["place"].append(_side(alone.place(second, plan.duration_seconds)[0]) if alone else None)
        found["seen change"].append("appears" if new else "stays" if there else NOTHING)
    return found


def _side(across: float) -> str | None:
    return next((name for name, (first, last) in PLACES.items() if first <= across <= last), None)


def _heard(plan: Plan, seconds: Sequence[int]) -> Course:
    """How long a sound is, its plan does not know: of the seconds after its second one nothing is told."""
    if len(plan.cues) > 1:  # a spoken question over a background sound
        return {"heard kind": ["speech" if second else None for second in seconds[:2]] + [None for _ in seconds[2:]]}
    (cue,) = plan.cues or (Cue(math.inf),)
    begins = math.floor(cue.begins_seconds) if plan.cues else len(seconds)
    kind, name = (cue.item.kind, cue.item.name) if cue.item else (None, None)
    told: list[tuple[str | None, str | None, str | None]] = []
    for second in seconds:
        if second < begins:
            told.append((NOTHING, None, NOTHING))
        elif second == begins:
            told.append((kind, None if kind in UNNAMED_SOUNDS else name, "begins"))
        else:
            told.append((None, None, "continues" if second == begins + 1 else None))
    return dict(zip(("heard kind", "heard name", "heard change"), map(list, zip(*told, strict=True)), strict=True))


def further_questions(plan: Plan, draw: random.Random) -> list[tuple[str, str, str]]:
    """(task, question, answer) of what else is known of a clip, in random order."""
    found = [*_about_picture(plan, draw), *_about_sound(plan, draw), *_about_order(plan)]
    draw.shuffle(found)
    return [one for one in found if one[0] != plan.task]


def _about_picture(plan: Plan, draw: random.Random) -> Iterator[tuple[str, str, str]]:
    there = [actor for actor in plan.actors if actor.is_there(0)]
    if len(there) != len(plan.actors):
        return  # how many there are changes
    if not there:
        yield "nothing_there", "How many objects are there?", "There is no object."
        return
    yield "how_many", "How many objects are there?", f"{NUMBERS[len(there)].capitalize()}."
    if len(there) == 1:
        scene = Scene("present", "absent", there[0].item.kind, there[0].item.name)
        for task in ("see_kind", "see_name"):
            yield task, draw.choice(QUESTIONS[task]), answer(scene, task)
    places = {_side(actor.place(at, plan.duration_seconds)[0]) for actor in there for at in (0, plan.duration_seconds)}
    if len(there) == 1 and places <= {"left", "right"} and len(places) == 1:
        yield "which_side", "On which side is it, left or right?", f"On the {places.pop()}."


def _about_sound(plan: Plan, draw: random.Random) -> Iterator[tuple[str, str, str]]:
    if not plan.cues:
        yield "any_sound", draw.choice(QUESTIONS["any_sound"]), answer(Scene("present", "absent"), "any_sound")
        return
    yield "any_sound", draw.choice(QUESTIONS["any_sound"]), answer(Scene("present", "present"), "any_sound")
    (cue, *more) = plan.cues
    if more or cue.item is None or cue.item.kind not in SOUND_KINDS:
        return
    scene = Scene("present", "present", None, None, cue.item.kind, cue.item.name)
    for task in ("hear_kind", "hear_name"):
        yield task, draw.choice(QUESTIONS[task]), answer(scene, task)
    begins = math.floor(cue.begins_seconds)
    if begins and cue.begins_seconds - begins <= 0.2:  # as where it is asked
        told = f"After {NUMBERS[begins]} second{'s' * (begins > 1)}."
        yield "when", "When does the sound begin?", told


def _about_order(plan: Plan) -> Iterator[tuple[str, str, str]]:
    late = [actor for actor in plan.actors if not actor.is_there(0)]
    if len(late) != 1 or len(plan.cues) != 1:
        return
    (actor,), (cue,) = late, plan.cues
    apart = math.floor(cue.begins_seconds) - math.ceil(actor.appears_seconds)  # between their moments
    if apart:
        yield "which_first", "Which comes first, the object or the sound?", f"The {'object' if apart > 0 else 'sound'}."
    if not apart or abs(apart) >= max(APART_SECONDS):  # a second apart is neither
        told = "No, apart." if apart else "Yes, together."
        yield "coincide", "Do the object and the sound begin together?", told

"""Draws training and test scenes from the corpus: pictures, sounds, both, silent clips, and clips that lack a sense."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from earsight.data.questions import QUESTIONS, Scene, answer, tasks
from earsight.data.starter_corpus import Item

# Share of each shape of clip in training: (picture state, sound state) -> weight
SHAPES = {
    ("present", "absent"): 0.24,
    ("absent", "present"): 0.28,
    ("present", "present"): 0.28,
    ("present", "silent"): 0.10,
    ("present", "ignored"): 0.05,
    ("absent", "silent"): 0.03,
    ("ignored", "present"): 0.02,
}
TASK_WEIGHTS = {
    "see": 3,
    "hear": 3,
    "both": 3,
    "see_kind": 3,
    "hear_kind": 3,
    "animal": 1,
    "any_sound": 1,
    "any_picture": 0.5,
}
MISSING_WEIGHT = 3  # a question about a sense that is not there is the one most easily guessed at
PROTOTYPE_SHARE = 0.3  # of pictures, where there are prototypes


@dataclass(frozen=True)
class Example:
    """One question about one composed clip, and its true answer."""

    scene: Scene
    task: str
    question: str
    answer: str
    picture: tuple[Item, ...] = ()  # the same object in each of the views, one a step
    picture_views: tuple[int, ...] = ()
    sound: Item | None = None
    sound_view: int = 0
    steps: int = 1  # length of the picture; sound may be longer
    sound_late: int = 0  # steps before the sound begins


class SceneSampler:
    """Endless examples of one split; kinds are drawn evenly, so that no kind is the answer by habit."""

    def __init__(
        self,
        pictures: Sequence[Item],
        sounds: Sequence[Item],
        views: Mapping[str, int],
        seed: int,
        prototypes: Sequence[Item] = (),
    ) -> None:
        self.pictures, self.sounds, self.views = _by_kind(pictures), _by_kind(sounds), views
        self.prototypes = {kind: _by_name(items) for kind, items in _by_kind(prototypes).items()}
        self.random = random.Random(seed)

    def draw(self) -> Example:
        """A new example."""
        picture_state, sound_state = self.random.choices(list(SHAPES), weights=list(SHAPES.values()))[0]
        picture = self._picture() if picture_state == "present" else None
        sound = self._item(self.sounds) if sound_state == "present" else None
        if picture and sound and self.random.random() < 0.3:
            sound = self._same_object(picture) or sound
        scene = Scene(
            picture_state,
            sound_state,
            picture.kind if picture else None,
            picture.name if picture else None,
            sound.kind if sound else None,
            sound.name if sound else None,
        )
        fitting = tasks(scene)
        task = self.random.choices(fitting, weights=[_task_weight(name, scene) for name in fitting])[0]
        steps = self.random.choice((1, 1, 1, 2, 2, 3, 4, 5, 6)) if picture or sound_state == "silent" else 1
        if sound_state == "absent" and self.random.random() < 0.4:
            steps = 1  # a still image
        views = tuple(self.random.randrange(self.views["picture"]) for _ in range(min(steps, 2)))
        return Example(
            scene=scene,
            task=task,
            question=self.random.choice(QUESTIONS[task]),
            answer=answer(scene, task),
            picture=(picture,) if picture else (),
            picture_views=views,
            sound=sound,
            sound_view=self.random.randrange(self.views["sound"]),
            steps=steps,
            sound_late=self.random.choice((0, 0, 0, 0, 1, 2)) if picture and sound else 0,
        )

    def _picture(self) -> Item:
        if self.prototypes and self.random.random() < PROTOTYPE_SHARE:
            names = self.prototypes[self.random.choice(list(self.prototypes))]
            return self.random.choice(names[self.random.choice(list(names))])  # a hundred breeds are still one dog
        return self._item(self.pictures)

    def _item(self, by_kind: Mapping[str, Sequence[Item]]) -> Item:
        # Between even over kinds and even over items: rare kinds have few objects to learn from.
        kinds = list(by_kind)
        kind = self.random.choices(kinds, weights=[len(by_kind[name]) ** 0.4 for name in kinds])[0]
        return self.random.choice(by_kind[kind])

    def _same_object(self, picture: Item) -> Item | None:
        same = [item for items in self.sounds.values() for item in items if item.key == picture.key]
        return self.random.choice(same) if same else None


def _task_weight(task: str, scene: Scene) -> float:
    missing = scene.sound_state != "present" and task in ("hear", "any_sound")
    return TASK_WEIGHTS[task] * (MISSING_WEIGHT if missing else 1)


def _by_kind(items: Sequence[Item]) -> dict[str, list[Item]]:
    kinds: dict[str, list[Item]] = {}
    for item in items:
        kinds.setdefault(item.kind, []).append(item)
    return kinds


def _by_name(items: Sequence[Item]) -> dict[str, list[Item]]:
    names: dict[str, list[Item]] = {}
    for item in items:
        names.setdefault(item.name, []).append(item)
    return names

"""What the starter is asked and what a true answer says. Wordings marked unseen are never trained on."""

from dataclasses import dataclass

PICTURE_KINDS = {
    "mammal": "a mammal",
    "bird": "a bird",
    "insect": "an insect",
    "fish": "a fish",
    "plant": "a plant",
    "food": "food",
    "vehicle": "a vehicle",
    "building": "a building",
    "instrument": "a musical instrument",
    "clothing": "clothing",
}
SOUND_KINDS = {
    "mammal": "a mammal",
    "bird": "a bird",
    "insect": "an insect",
    "instrument": "a musical instrument",
    "music": "music",
    "vehicle": "a vehicle",
    "object": "an object",
    "speech": "speech",
}
UNNAMED_SOUNDS = ("speech", "music")  # a kind says all there is to say

QUESTIONS = {
    "see": (
        "What do you see?",
        "What is shown?",
        "What does the clip show?",
        "Describe the picture.",
        "What is in the picture?",
        "What can be seen here?",
    ),
    "hear": (
        "What do you hear?",
        "What is the sound?",
        "What does the clip sound like?",
        "Describe the sound.",
        "What can be heard here?",
        "Which sound is it?",
    ),
    "both": (
        "What do you see, and what do you hear?",
        "What do you see and hear?",
        "Describe what you see and what you hear.",
        "Describe the clip.",
        "What is shown, and what does it sound like?",
        "What is happening?",
    ),
    "see_kind": (
        "What kind of thing is shown?",
        "What kind of thing do you see?",
        "Which kind of thing is in the picture?",
    ),
    "hear_kind": (
        "What kind of sound is it?",
        "What kind of thing makes the sound?",
        "Which kind of sound do you hear?",
    ),
    "see_name": ("What is it called?", "Name the object.", "What object is shown?"),
    "hear_name": ("Name what makes the sound.", "What makes this sound?", "What object do you hear?"),
    "transcribe": ("What is said?", "Write down what is said.", "Transcribe the speech."),
    "animal": ("Which animal is it?", "What animal is this?", "Which animal is shown?"),
    "any_sound": ("Is there any sound?", "Can you hear anything?", "Does the clip have sound?"),
    "any_picture": ("Is there a picture?", "Can you see anything?", "Does the clip have a picture?"),
}
UNSEEN_QUESTIONS = {
    "see": ("Tell me what is visible.",),
    "hear": ("Tell me what is audible.",),
    "see_kind": ("Say what kind of thing this picture shows.",),
    "hear_kind": ("Say what kind of sound this is.",),
    "any_sound": ("Is anything audible?",),
}
ANIMALS = ("mammal", "bird", "insect", "fish")

NO_SOUND = {
    "absent": "There is no sound: the clip has no sound track.",
    "silent": "There is no sound: the sound track is silent.",
    "ignored": "The sound was ignored, as asked.",
}
NO_PICTURE = {
    "absent": "There is no picture: only sound was given.",
    "ignored": "The picture was ignored, as asked.",
}


@dataclass(frozen=True)
class Scene:
    """What is true of a clip: the state of each sense, and what it shows and sounds like."""

    picture_state: str  # present, absent, ignored
    sound_state: str  # present, silent, absent, ignored
    picture_kind: str | None = None
    picture_name: str | None = None
    sound_kind: str | None = None
    sound_name: str | None = None


def tasks(scene: Scene) -> list[str]:
    """Which tasks make sense for a scene."""
    fitting = ["see", "hear", "both", "any_sound", "any_picture"]
    if scene.picture_state == "present":
        fitting += ["see_kind", "see_name", "animal"]
    if scene.sound_state == "present":
        fitting += ["hear_kind", "hear_name"]
    return fitting


def answer(scene: Scene, task: str) -> str:
    """The true answer to a task's question about a scene."""
    if task == "both":
        return f"{_seen(scene)} {_heard(scene)}"
    if task == "any_sound":
        return "Yes, there is sound." if scene.sound_state == "present" else NO_SOUND[scene.sound_state]
    if task == "any_picture":
        return "Yes, there is a picture." if scene.picture_state == "present" else NO_PICTURE[scene.picture_state]
    if task == "see_kind":
        there = scene.picture_state == "present"
        return sentence(PICTURE_KINDS[scene.picture_kind or ""]) if there else NO_PICTURE[scene.picture_state]
    if task == "hear_kind":
        there = scene.sound_state == "present"
        return sentence(SOUND_KINDS[scene.sound_kind or ""]) if there else NO_SOUND[scene.sound_state]
    if task == "transcribe":
        assert scene.sound_kind != "speech", "what is said is no scene's to know"
        return "Nobody speaks." if scene.sound_state == "present" else NO_SOUND[scene.sound_state]
    if task in ("see_name", "hear_name"):
        return _named(scene, task)
    if task == "animal":
        if scene.picture_kind not in ANIMALS:
            return f"No animal is shown. {_seen(scene)}"
        return sentence(_guess(PICTURE_KINDS[scene.picture_kind], scene.picture_name))
    return _seen(scene) if task == "see" else _heard(scene)


def _named(scene: Scene, task: str) -> str:
    if task == "see_name":
        return f"It is {with_article(scene.picture_name)}." if scene.picture_name else NO_PICTURE[scene.picture_state]
    if scene.sound_state != "present":
        return NO_SOUND[scene.sound_state]
    if scene.sound_kind in UNNAMED_SOUNDS or not scene.sound_name:
        return f"It is {SOUND_KINDS[scene.sound_kind or '']}."
    return f"It is {with_article(scene.sound_name)}."


def _seen(scene: Scene) -> str:
    if scene.picture_state != "present":
        return NO_PICTURE[scene.picture_state]
    return f"I see {_guess(PICTURE_KINDS[scene.picture_kind or ''], scene.picture_name)}."


def _heard(scene: Scene) -> str:
    if scene.sound_state != "present":
        return NO_SOUND[scene.sound_state]
    name = None if scene.sound_kind in UNNAMED_SOUNDS else scene.sound_name
    return f"I hear {_guess(SOUND_KINDS[scene.sound_kind or ''], name)}."


def _guess(kind: str, name: str | None) -> str:
    """The kind is what the starter knows; the name is its best guess, and says so."""
    return f"{kind}, probably {with_article(name)}" if name else kind


def with_article(name: str) -> str:
    """An owl, a pair of trousers; plurals stay bare."""
    head = name.split(" of ")[0].split(" with ")[0]
    if head.endswith("s") and not head.endswith(("ss", "us", "is")):
        return name
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def sentence(text: str) -> str:
    """ "a bird" -> "A bird." """
    return f"{text[0].upper()}{text[1:]}."

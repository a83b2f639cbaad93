"""Annotation files as published code reads them, whatever data set they tell of, as records.

salmonn        {"annotation": [{"path", "text", "task", "Q", "expand_wav": [...]}]}        SALMONN's dataset.py
video_salmonn  [{"image_name": PATH or [PICTURE, SOUND], "conversation": [{"from", "value"}, ...]}]
               video-SALMONN's sft_dataset.py
llava_style    [{"id", "image" | "video" | "audio", "conversations": [{"from", "value": "<image>\\n..."}, ...]}]
               LLaVA's train.py, and those that follow it: Valley ("source" is a folder of the video, ".mp4" is
               left out), Video-ChatGPT ("v_x.pkl" are features of v_x.mp4, or {"q", "a", "video_id"})
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from earsight.data import prompts
from earsight.data.faults import RecordError
from earsight.data.problems import Problems
from earsight.data.reading import json_array
from earsight.data.records import Record

# SALMONN's names of tasks, where ours differ; its prompts file has the same tasks for training.
TASKS = {
    "translation_ec": "translation_en_zh",
    "translation_en2de": "translation_en_de",
    "translation_en2ja": "translation_en_ja",
    "audiocaption": "audio_caption",
    "audiocaption_v2": "audio_caption",
    "QA": "audio_qa",
    "inference_QA": "audio_qa",
    "gender_QA": "audio_qa",
    "music_description": "music_caption",
    "speech_separation": "overlapped_asr",
    "speaker_diarization_asr": "diarized_asr",
    "speaker_asr": "diarized_asr",
    "audio_story_telling": "story",
}
KINDS = {
    "image": ("jpg", "jpeg", "png", "webp", "bmp", "gif"),
    "audio": ("wav", "flac", "mp3", "ogg", "m4a", "opus", "aac"),
    "video": ("mp4", "mkv", "webm", "avi", "mov", "mpg", "mpeg"),
}
SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
MATCHING = "audio_text_matching"  # an answer that is drawn: does the spoken caption belong to the picture?
MARKS = re.compile(r"\s*<(image|video|audio|speech)>\s*")
LLAVA_TASKS = {"image": "image_conversation", "video": "video_conversation", "audio": "audio_qa", "": "conversation"}


def salmonn(path: Path, problems: Problems, source: str = "salmonn") -> Iterator[Record]:
    """SALMONN's own annotation file. Files of "expand_wav" follow the first as parts of their own; its code joins
    them into one recording with 0.1 s of silence between, which `extra` remembers.
    """
    taken: Counter[str] = Counter()
    for place, row in json_array(path, problems, key="annotation"):
        if not isinstance(row, dict) or not isinstance(row.get("path"), str):
            problems.add(place, "no 'path' of a recording")
            continue
        more = row.get("expand_wav", [])
        if not isinstance(more, list) or not all(isinstance(one, str) for one in more):
            problems.add(place, f"'expand_wav' is no list of paths: {more!r:.60}")
            continue
        task, question = TASKS.get(str(row.get("task", "asr")), str(row.get("task", "asr"))), row.get("Q", "")
        content = [{"type": "audio", "path": one} for one in (row["path"], *more)]
        if question:
            content.append({"type": "text", "text": question})
        elif lack := prompts.lacking(task):
            problems.add(place, f"no 'Q': {lack}")
            continue
        extra = {"joined_with_silence_seconds": 0.1} if more else {}
        yield from _record(place, problems, source, row["path"], task, content, row.get("text"), taken, extra)


def video_salmonn(path: Path, problems: Problems, source: str = "video_salmonn", seed: int = 0) -> Iterator[Record]:
    """video-SALMONN's items. A question that is a task in angle brackets is drawn from our paraphrases of it.

    Spoken captions of pictures whose answer is "audio_text_matching" get Yes, or No and another item's sound, evenly.
    """
    rows = list(json_array(path, problems))
    spoken = [sound for _, row in rows if (sound := _sound_to_match(row))]
    taken: Counter[str] = Counter()
    for place, row in rows:
        turns = _turns(row, "conversation", place, problems)
        part = _named_part(row.get("image_name"), place, problems) if turns is not None else None
        if turns is None or part is None:
            continue
        name = f"{part['path']}+{part['sound']}" if "sound" in part else part["path"]
        task = f"{part['type']}_conversation" if part["type"] != "audio" else "audio_qa"
        if "sound" in part:
            task = "av_qa"
        if _sound_to_match(row):
            draw = random.Random(f"{seed}/{place.rpartition(':')[2]}/{name}")
            task, answer = "spoken_caption_matching", "Yes" if draw.random() < 0.5 else "No"
            others = [one for one in spoken if one != part["sound"]]
            if answer == "No" and not others:
                problems.add(place, "no other spoken caption to draw a false one from")
                continue
            part = part | ({"sound": draw.choice(others)} if answer == "No" else {})
            turns[1] = ("assistant", answer)
        asked = re.fullmatch(r"<(\w+)>", turns[0][1].strip())
        if asked:
            task = TASKS.get(asked[1], asked[1])
            if lack := prompts.lacking(task):
                problems.add(place, lack)
                continue
            turns[0] = (turns[0][0], "")
        messages = [_message(role, text) for role, text in turns]
        messages[0]["content"].insert(0, part)
        yield from _made(place, problems, source, name, task, messages, taken)


def llava_style(
    path: Path, problems: Problems, source: str = "llava_style", folder: str = "", task: str = "", suffix: str = ".mp4"
) -> Iterator[Record]:
    """LLaVA-style conversations. Media stand where their marks stand, or first where there are none; `folder` goes
    before each path; a video without ending, or with that of stored features (.pkl), gets `suffix`.
    """
    taken: Counter[str] = Counter()
    for place, row in json_array(path, problems):
        if isinstance(row, dict) and {"q", "a", "video_id"} <= set(row):
            said = [{"from": "human", "value": row["q"]}, {"from": "gpt", "value": row["a"]}]
            row = {"id": row["video_id"], "video": row["video_id"], "conversations": said}
        turns = _turns(row, "conversations", place, problems)
        media = _llava_media(row, folder, suffix, place, problems) if turns is not None else None
        if turns is None or media is None:
            continue
        messages = _placed(turns, media, place, problems)
        if messages is not None:
            kind = media[0]["type"] if media else ""
            name = str(row.get("id", media[0]["path"] if media else place.rpartition(":")[2]))
            yield from _made(place, problems, source, name, task or LLAVA_TASKS[kind], messages, taken)


def _llava_media(
    row: Mapping[str, Any], folder: str, suffix: str, place: str, problems: Problems
) -> list[dict[str, Any]] | None:
    media = []
    for kind in ("image", "video", "audio"):
        given = row.get(kind, [])
        for one in given if isinstance(given, list) else [given]:
            if not isinstance(one, str) or not one.strip():
                problems.add(place, f"'{kind}' is no path: {one!r:.60}")
                return None
            parts = [folder, row["source"]] if kind == "video" and isinstance(row.get("source"), str) else [folder]
            name = Path(one)
            if kind == "video" and name.suffix.lower().lstrip(".") not in KINDS["video"]:
                name = name.with_suffix(suffix) if name.suffix == ".pkl" else name.with_name(name.name + suffix)
            media.append({"type": kind, "path": Path(*parts, name).as_posix() if "://" not in one else one})
    return media


def _placed(
    turns: list[tuple[str, str]], media: list[dict[str, Any]], place: str, problems: Problems
) -> list[dict[str, Any]] | None:
    """Turns with media where their marks stand; None, and reported, where there are fewer or more marks than media."""
    n_marks = sum(len(MARKS.findall(text)) for role, text in turns if role == "user")
    if n_marks not in (0, len(media)):
        problems.add(place, f"{n_marks} marks of media in the text, and {len(media)} media")
        return None
    waiting = iter(media)
    messages = []
    for role, text in turns:
        if role != "user" or not n_marks:
            messages.append(_message(role, text))
            continue
        content: list[dict[str, Any]] = []
        for index, piece in enumerate(MARKS.split(text)):
            if index % 2:
                content.append(next(waiting))
            elif piece.strip():
                content.append({"type": "text", "text": piece.strip()})
        messages.append({"role": role, "content": content})
    if not n_marks and media:
        first = next((one for one in messages if one["role"] == "user"), messages[0])
        first["content"] = [*media, *first["content"]]
    return messages


def _turns(row: Any, key: str, place: str, problems: Problems) -> list[tuple[str, str]] | None:
    """[{"from": "human", "value": TEXT}, ...] -> [("user", TEXT), ...]; None, and reported, where it is not that."""
    said = row.get(key) if isinstance(row, dict) else None
    turns = []
    for one in said if isinstance(said, list) else ():
        role = SPEAKERS.get(str(one.get("from", ""))) if isinstance(one, dict) else None
        if role is None or not isinstance(one.get("value"), str):
            problems.add(place, f"'{key}' has a turn that is not from human or gpt with a text: {one!r:.60}")
            return None
        turns.append((role, one["value"].strip()))
    if len(turns) < 2:
        problems.add(place, f"'{key}' has no question and answer")
        return None
    return turns


def _named_part(name: Any, place: str, problems: Problems) -> dict[str, Any] | None:
    """ "image_name": one path, or a picture or film and the sound that goes with it."""
    paths = name if isinstance(name, list) else [name]
    kinds = [_kind(one) for one in paths]
    if kinds == ["audio"] or kinds in (["image"], ["video"]):
        return {"type": kinds[0], "path": paths[0]}
    if len(kinds) == 2 and kinds[0] in ("image", "video") and kinds[1] == "audio":
        part = {"type": kinds[0], "path": paths[0], "sound": paths[1]}
        # Reference quirk: the name of the folder says that the sound is not to be heard.
        return part | ({"audio": "ignore"} if "only_need_video" in paths[0] else {})
    problems.add(place, f"'image_name' is no medium, nor a picture or film and its sound: {name!r:.80}")
    return None


def _kind(path: Any) -> str:
    ending = path.rpartition(".")[2].lower() if isinstance(path, str) else ""
    return next((kind for kind, endings in KINDS.items() if ending in endings), "")


def _sound_to_match(row: Any) -> str:
    """The spoken caption of an item whose answer is drawn, else nothing."""
    try:
        drawn = row["conversation"][1]["value"] == MATCHING
        return str(row["image_name"][1]) if drawn and len(row["image_name"]) == 2 else ""
    except (KeyError, IndexError, TypeError):
        return ""


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}] if text else []}


def _record(
    place: str,
    problems: Problems,
    source: str,
    name: str,
    task: str,
    content: list[dict[str, Any]],
    answer: Any,
    taken: Counter[str],
    extra: dict[str, Any],
) -> Iterator[Record]:
    answered = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
    yield from _made(
        place, problems, source, name, task, [{"role": "user", "content": content}, answered], taken, extra
    )


def _made(
    place: str,
    problems: Problems,
    source: str,
    name: str,
    task: str,
    messages: list[dict[str, Any]],
    taken: Counter[str],
    extra: Mapping[str, Any] | None = None,
) -> Iterator[Record]:
    """The record, under a name that none before it has; what is none is reported."""
    name = name if name.startswith(f"{source}/") else f"{source}/{name}"
    taken[name] += 1
    number = f"#{taken[name]}" if taken[name] > 1 else ""
    raw = {"id": name + number, "source": source, "task": task, "messages": messages}
    try:
        yield Record.of(raw | ({"extra": dict(extra)} if extra else {}))
    except RecordError as error:
        problems.add(place, str(error))

"""What is wrong with a raw record: every fault with the field it is in.

messages[0].content[0].strat: not a key of a part of type audio; did you mean start?
"""

import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from earsight.errors import EarsightError

KEYS = ("id", "source", "task", "messages", "licence", "extra")
PART_KEYS = {
    "text": ("type", "text"),
    "image": ("type", "path", "sound", "audio"),
    "audio": ("type", "path", "start", "end"),
    "video": ("type", "path", "start", "end", "sound", "audio"),
}
POLICIES = ("auto", "require", "ignore")
ROLES = ("system", "user", "assistant")

Fault = tuple[str, str]  # the field, and what is wrong with it


class RecordError(EarsightError):
    """A record that is not one."""


def faults_of(raw: Any) -> Iterator[Fault]:
    """Every fault of a raw record, in the order of its fields; none: `Record.of` takes it."""
    if not isinstance(raw, Mapping):
        yield "", f"expected an object, not {_kind(raw)}"
        return
    yield from _unknown(raw, KEYS, "", "a record")
    for name in ("id", "source", "task"):
        yield from _text(raw, name, name)
    if not isinstance(raw.get("licence", ""), str):
        yield "licence", f"expected text, not {_kind(raw['licence'])}"
    if not isinstance(raw.get("extra", {}), Mapping):
        yield "extra", f"expected an object, not {_kind(raw['extra'])}"
    messages = raw.get("messages")
    if not isinstance(messages, list) or not messages:
        given = "missing" if "messages" not in raw else "empty" if messages == [] else f"is {_kind(messages)}"
        yield "messages", f"{given}; expected a list of messages"
        return
    whole = True
    for index, message in enumerate(messages):
        for fault in _message_faults(message, f"messages[{index}]"):
            whole = False
            yield fault
    if whole:
        yield from _turn_faults(messages)


def _message_faults(message: Any, where: str) -> Iterator[Fault]:
    if not isinstance(message, Mapping):
        yield where, f"expected an object, not {_kind(message)}"
        return
    yield from _unknown(message, ("role", "content"), f"{where}.", "a message")
    if message.get("role") not in ROLES:
        yield f"{where}.role", f"{_shown(message, 'role')}; expected one of {', '.join(ROLES)}"
    content = message.get("content")
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        yield f"{where}.content", f"{_shown(message, 'content')}; expected a list of parts, or text"
        return
    for index, part in enumerate(content):
        yield from _part_faults(part, f"{where}.content[{index}]")


def _part_faults(part: Any, where: str) -> Iterator[Fault]:
    if not isinstance(part, Mapping):
        yield where, f"expected an object, not {_kind(part)}"
        return
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in PART_KEYS:
        near = _nearest(kind, PART_KEYS)
        yield f"{where}.type", f"{_shown(part, 'type')}; expected one of {', '.join(PART_KEYS)}{near}"
        return
    yield from _unknown(part, PART_KEYS[kind], f"{where}.", f"a part of type {kind}")
    if kind == "text":
        yield from _text(part, "text", f"{where}.text")
        return
    yield from _text(part, "path", f"{where}.path")
    if "sound" in part:
        yield from _text(part, "sound", f"{where}.sound")
    if part.get("audio", "auto") not in POLICIES:
        yield f"{where}.audio", f"{_shown(part, 'audio')}; expected one of {', '.join(POLICIES)}"
    yield from _span_faults(part, where)


def _span_faults(part: Mapping[str, Any], where: str) -> Iterator[Fault]:
    times: dict[str, float] = {}
    for name in ("start", "end"):
        if name not in part:
            continue
        value = part[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            yield f"{where}.{name}", f"{value!r:.60} is no time; expected seconds, 0 or more"
        else:
            times[name] = value
    if "end" in times and times.get("start", 0.0) >= times["end"]:
        yield f"{where}.start", f"{times.get('start', 0.0):g} s is not before the end, {times['end']:g} s"


def _turn_faults(messages: list[Mapping[str, Any]]) -> Iterator[Fault]:
    """Roles in turn, answers with words, questions with words or media."""
    begins = 1 if messages[0]["role"] == "system" else 0
    for index, message in enumerate(messages):
        where, role = f"messages[{index}]", message["role"]
        wanted = "system" if index < begins else ROLES[1 + (index - begins) % 2]
        if role != wanted:
            yield f"{where}.role", f"{role} where {wanted} is expected: the user's and the assistant's turns alternate"
            return
        text, n_media = words(message), n_media_of(message)
        if role != "user" and n_media:
            yield f"{where}.content", f"media in a message of the {role}; only the user gives media"
        if role == "assistant" and not text.strip():
            yield f"{where}.content", "empty answer"
        elif role == "user" and not text.strip() and (not n_media or index > begins):
            yield f"{where}.content", "no text; only a first question that brings media may go without"
    if messages[-1]["role"] != "assistant":
        yield f"messages[{len(messages) - 1}].role", "the last message is not the assistant's"


def words(message: Mapping[str, Any]) -> str:
    """A message's text."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")


def n_media_of(message: Mapping[str, Any]) -> int:
    """How many media a message brings."""
    content = message["content"]
    return 0 if isinstance(content, str) else sum(part["type"] != "text" for part in content)


def _unknown(given: Mapping[str, Any], known: tuple[str, ...], before: str, what: str) -> Iterator[Fault]:
    for key in given:
        if key not in known:
            yield f"{before}{key}", f"not a key of {what}{_nearest(key, known) or '; there are: ' + ', '.join(known)}"


def _text(given: Mapping[str, Any], name: str, where: str) -> Iterator[Fault]:
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        yield where, f"{_shown(given, name)}; expected text"


def _shown(given: Mapping[str, Any], name: str) -> str:
    if name not in given:
        return "missing"
    value = given[name]
    return "empty" if isinstance(value, str) and not value.strip() else f"{value!r:.60}"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value", int: "a number", float: "a number"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)


def _nearest(given: Any, known: Any) -> str:
    near = get_close_matches(str(given), list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""

"""Message parts as Transformers and OpenAI write them, brought to one form, and the media they name."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from earsight.errors import PromptError

KINDS = ("image", "audio", "video")
POLICIES = ("auto", "require", "ignore")


SENSES = {"image": ("picture",), "audio": ("sound",), "video": ("picture", "sound")}


@dataclass(frozen=True)
class Medium:
    """One medium named in a conversation."""

    kind: str  # image, audio or video
    source: Any  # anything `earsight.media.load_clip` takes, or a Clip
    audio: str | None = None  # the part's own audio policy
    senses: tuple[str, ...] = ()  # what it is met with; the rest is "ignored"; empty: those of its kind
    question: str = ""  # the words of its turn
    start_seconds: float | None = None
    end_seconds: float | None = None
    sound: Any = None  # another medium whose sound goes with this picture or film

    def __post_init__(self) -> None:
        if not self.senses:
            object.__setattr__(self, "senses", SENSES["video" if self.sound is not None else self.kind])


def is_batch(conversation: Any) -> bool:
    """Whether this is a list of conversations."""
    return bool(conversation) and isinstance(conversation[0], Sequence) and not isinstance(conversation[0], str)


def normalise(messages: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[Medium]]:
    """Messages in any accepted form -> messages with text and bare media parts, and the media in order."""
    plain: list[dict[str, Any]] = []
    media: list[Medium] = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, str) or content is None:
            plain.append({"role": message["role"], "content": content or ""})
            continue
        parts: list[dict[str, str]] = []
        question = " ".join(part["text"] for part in content if part.get("type") == "text" and "text" in part)
        for part in content:
            medium = _medium(part)
            if medium is None:
                parts.append({"type": "text", "text": _text(part)})
            else:
                media.append(replace(medium, **_more(part, medium.kind), question=question.strip()))
                parts.append({"type": medium.kind})
        plain.append({"role": message["role"], "content": parts})
    return plain, media


def _more(part: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A part's span, and the sound that goes with it where that is kept in a file of its own."""
    span = {f"{edge}_seconds": float(part[edge]) for edge in ("start", "end") if part.get(edge) is not None}
    sound = part.get("sound") if kind != "audio" else None
    return {**span, "sound": sound, "senses": ()}


def place_modality_tokens(
    messages: list[dict[str, Any]], media: list[Medium], tokens: Mapping[str, tuple[str, ...]]
) -> tuple[list[dict[str, Any]], list[Medium]]:
    """Put a slot wherever a user's text has a modality token: the latest medium, met with the senses it names.

    In a turn with tokens a media part only says which medium is meant, the tokens say where it is met; without any
    it is met where it stands (Audio-Visual LLM, section 3.3 and figure 4).

    Raises:
        PromptError: a token before any medium was given.
    """
    if not tokens or not any(token in _words(message) for message in messages for token in tokens):
        return messages, media
    pattern = re.compile("(" + "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True)) + ")")
    given, latest = iter(media), None
    placed: list[dict[str, Any]] = []
    met: list[Medium] = []
    for message in messages:
        if message["role"] != "user":
            placed.append(message)
            continue
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        named = any(token in _words(message) for token in tokens)
        kept: list[dict[str, Any]] = []
        for part in parts:
            if part["type"] != "text":
                latest = next(given)
                met += [] if named else [latest]
                kept += [] if named else [part]
                continue
            for piece in pattern.split(part["text"]):
                if piece not in tokens:
                    kept += [{"type": "text", "text": piece}] if piece else []
                    continue
                if latest is None:
                    raise PromptError(f"{piece} stands before any medium; give a video, image or audio part first")
                words = pattern.sub("", part["text"]).strip()
                senses = tuple(sense for sense in tokens[piece] if sense in latest.senses)
                met.append(replace(latest, senses=senses, question=words))
                kept.append({"type": latest.kind})
        placed.append({"role": message["role"], "content": kept})
    return placed, met


def _words(message: Mapping[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def _text(part: Mapping[str, Any]) -> str:
    if part.get("type") != "text" or not isinstance(part.get("text"), str):
        kinds = "text, image, audio, video, image_url, audio_url, video_url or input_audio"
        raise PromptError(f"a message part of type {part.get('type')!r} was given; expected {kinds}")
    return part["text"]


def _medium(part: Mapping[str, Any]) -> Medium | None:
    kind = str(part.get("type"))
    if kind == "input_audio":  # OpenAI: base64 data and a format
        given = part["input_audio"]
        return Medium("audio", f"data:audio/{given.get('format', 'wav')};base64,{given['data']}")
    stem = kind.removesuffix("_url")
    if stem not in KINDS:
        return None
    # A picture may bring a sound of its own file, and a policy for that.
    policy = part.get("audio") if stem != "audio" and part.get("audio") in POLICIES else None
    for key in (f"{stem}_url", "url", "path", stem, "base64"):
        if key in part and not (key == "audio" and policy):
            given = part[key]
            source = given["url"] if isinstance(given, Mapping) and "url" in given else given
            return Medium(stem, f"data:{stem}/*;base64,{source}" if key == "base64" else source, policy)
    raise PromptError(f"a part of type {kind!r} names no medium; give it a '{stem}', 'url' or 'path'")

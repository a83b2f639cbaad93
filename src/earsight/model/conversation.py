"""Message parts as Transformers and OpenAI write them, brought to one form, and the media they name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earsight.errors import PromptError

KINDS = ("image", "audio", "video")
POLICIES = ("auto", "require", "ignore")


@dataclass(frozen=True)
class Medium:
    """One medium named in a conversation."""

    kind: str  # image, audio or video
    source: Any  # anything `earsight.media.load_clip` takes, or a Clip
    audio: str | None = None  # the part's own audio policy


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
        for part in content:
            medium = _medium(part)
            if medium is None:
                parts.append({"type": "text", "text": _text(part)})
            else:
                media.append(medium)
                parts.append({"type": medium.kind})
        plain.append({"role": message["role"], "content": parts})
    return plain, media


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
    policy = part.get("audio") if stem == "video" and part.get("audio") in POLICIES else None
    for key in (f"{stem}_url", "url", "path", stem, "base64"):
        if key in part and not (key == "audio" and policy):
            given = part[key]
            source = given["url"] if isinstance(given, Mapping) and "url" in given else given
            return Medium(stem, f"data:{stem}/*;base64,{source}" if key == "base64" else source, policy)
    raise PromptError(f"a part of type {kind!r} names no medium; give it a '{stem}', 'url' or 'path'")

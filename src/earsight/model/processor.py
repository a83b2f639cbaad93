"""Text and media to model inputs. It counts soft tokens and writes that many placeholders; the model fills them.

conversation -> chat template -> text with <|image|> <|audio|> <|video|>
             -> media layer   -> clips -> time grid -> tensors
             -> each slot becomes "Clip (picture, no sound track): " and one <|media|> for each soft token
"""

import re
from collections.abc import Sequence
from typing import Any

from transformers import BatchFeature, ProcessorMixin

from earsight import systems
from earsight.errors import PromptError
from earsight.media import Sampling, load_clip
from earsight.model.conversation import Medium, is_batch, normalise
from earsight.model.media_inputs import MEDIA_TOKEN, grid, media_tensors, slot_text
from earsight.types import Clip

SLOT = re.compile(r"<\|(image|audio|video)\|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<|{{ part['type'] }}|>{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class EarsightProcessor(ProcessorMixin):
    """Tokeniser, Whisper's log-mel and our own media layer behind Transformers' public processor methods."""

    def __init__(
        self,
        feature_extractor: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        system: str = "starter",
        values: dict | None = None,
    ) -> None:
        self.system = system
        self.values = values or systems.get(system).values()
        super().__init__(feature_extractor, tokenizer, chat_template=chat_template or CHAT_TEMPLATE)
        if MEDIA_TOKEN not in tokenizer.get_vocab():
            tokenizer.add_special_tokens({"additional_special_tokens": [MEDIA_TOKEN]})

    @property
    def description(self) -> systems.System:
        return systems.get(self.system, self.values)

    def sampling(self, n_frames: int | None = None) -> Sampling:
        """How the media layer is to decode for this system."""
        described = self.description
        size = described.encoders["vision"].image_size
        return Sampling(
            frames_per_second=described.frames_per_second,
            max_frames=min(n_frames or described.max_frames, described.max_frames),
            frame_size=(size, size),
            sample_rate_hz=self.feature_extractor.sampling_rate,
            max_seconds=described.max_seconds,
        )

    def __call__(
        self,
        text: str | Sequence[str] | None = None,
        images: Any = None,
        audio: Any = None,
        videos: Any = None,
        audio_policy: str = "auto",
        num_frames: int | None = None,
        padding_side: str = "left",
        max_length: int | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Prepare one text or a batch, with the media of its <|image|>, <|audio|> and <|video|> slots in order.

        Args:
            images, audio, videos: one medium or a list: a path, URL, bytes, array or `Clip`; a video brings its sound.
            audio_policy: "auto", "require" (no sound is an error) or "ignore", for videos without an own policy.

        Returns:
            input_ids, attention_mask (batch, length) and, with media, the model's MEDIA_INPUTS.

        Raises:
            PromptError: slots and media differ in number, or the prompt is longer than max_length.
            MediaError: a medium cannot be used.
        """
        texts = [text] if isinstance(text, str) else list(text or [])
        queues = {"image": _listed(images), "audio": _listed(audio), "video": _listed(videos)}
        media = [
            Medium(kind, queues[kind].pop(0) if queues[kind] else _too_few(kind))
            for one in texts
            for kind in SLOT.findall(one)
        ]
        if left := {kind: len(queue) for kind, queue in queues.items() if queue}:
            raise PromptError(f"{left} media were given beyond the prompt's slots; write a <|kind|> slot for each")
        return self._prepare(texts, media, audio_policy, num_frames, padding_side, max_length)

    def apply_chat_template(
        self,
        conversation: Any,
        chat_template: str | None = None,
        tokenize: bool = False,
        return_dict: bool = True,
        add_generation_prompt: bool = False,
        audio_policy: str = "auto",
        load_audio_from_video: bool | None = None,
        num_frames: int | None = None,
        padding_side: str = "left",
        max_length: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """A conversation, or a list of them, to text (tokenize=False) or model inputs.

        Parts: text, image, audio, video in Transformers' or OpenAI's form. A video part may carry
        "audio": "auto" | "require" | "ignore".
        """
        conversations = list(conversation) if is_batch(conversation) else [conversation]
        plain = [normalise(messages) for messages in conversations]
        for messages, _ in plain:
            self.refuse_reserved(messages)
        template = chat_template or self.chat_template
        texts = [
            self.tokenizer.apply_chat_template(
                messages, chat_template=template, tokenize=False, add_generation_prompt=add_generation_prompt
            )
            for messages, _ in plain
        ]
        if not tokenize:
            return texts if is_batch(conversation) else texts[0]
        if load_audio_from_video is False:
            audio_policy = "ignore"
        media = [medium for _, found in plain for medium in found]
        prepared = self._prepare(texts, media, audio_policy, num_frames, padding_side, max_length)
        return prepared if return_dict else prepared["input_ids"]

    def refuse_reserved(self, messages: Sequence[dict[str, Any]]) -> None:
        """A user's words must not open or close turns, nor pose as media."""
        reserved = {*self.tokenizer.all_special_tokens, MEDIA_TOKEN, "<|image|>", "<|audio|>", "<|video|>"}
        for message in messages:
            parts = message["content"] if isinstance(message["content"], list) else [{"text": message["content"]}]
            for part in parts:
                if found := [token for token in sorted(reserved) if token in part.get("text", "")]:
                    raise PromptError(f"the text holds the reserved word {found[0]}; write it some other way")

    def prompt_ids(self, messages: Sequence[dict[str, Any]], clip: Clip) -> Any:
        """Token ids (1, length) of a conversation about one decoded clip, without preparing its media again."""
        plain, _ = normalise(messages)
        text = self.tokenizer.apply_chat_template(
            plain, chat_template=self.chat_template, tokenize=False, add_generation_prompt=True
        )
        n_tokens = grid(clip, self.description, self.feature_extractor.sampling_rate).n_soft_tokens
        filled = SLOT.sub(slot_text(clip.picture, clip.sound, n_tokens), text)
        return self.tokenizer(filled, return_tensors="pt", add_special_tokens=False)["input_ids"]

    def clip(self, medium: Medium, audio_policy: str = "auto", num_frames: int | None = None) -> Clip:
        """Decode one medium as its slot asks: an image has no sound, an audio slot shows nothing."""
        if isinstance(medium.source, Clip):
            return medium.source
        policy = medium.audio or ("auto" if medium.kind != "video" else audio_policy)
        return load_clip(medium.source, self.sampling(num_frames), audio=policy)  # type: ignore[arg-type]

    def _prepare(
        self,
        texts: list[str],
        media: list[Medium],
        audio_policy: str,
        num_frames: int | None,
        padding_side: str,
        max_length: int | None,
    ) -> BatchFeature:
        described = self.description
        clips = [self.clip(medium, audio_policy, num_frames) for medium in media]
        grids = [grid(clip, described, self.feature_extractor.sampling_rate) for clip in clips]
        runs = iter(
            slot_text(clip.picture, clip.sound, laid.n_soft_tokens) for clip, laid in zip(clips, grids, strict=True)
        )
        filled = [SLOT.sub(lambda slot: next(runs), one) for one in texts]
        prepared = self.tokenizer(
            filled, padding=True, padding_side=padding_side, return_tensors="pt", add_special_tokens=False
        )
        longest = prepared["input_ids"].shape[1]
        if max_length is not None and longest > max_length:
            raise PromptError(
                f"the prompt has {longest} tokens, at most {max_length} fit; use a shorter clip or question"
            )
        tensors = {"input_ids": prepared["input_ids"], "attention_mask": prepared["attention_mask"]}
        if clips:
            tensors.update(media_tensors(clips, grids, described, self.feature_extractor))
        return BatchFeature(tensors)

    @property
    def model_input_names(self) -> list[str]:
        from earsight.model.audio_visual_lm import MEDIA_INPUTS

        return ["input_ids", "attention_mask", *MEDIA_INPUTS]


def _listed(media: Any) -> list[Any]:
    """One medium or (nested) lists of media -> a flat list."""
    if media is None:
        return []
    if not isinstance(media, list):
        return [media]
    return [item for part in media for item in (part if isinstance(part, list) else [part])]


def _too_few(kind: str) -> Any:
    raise PromptError(f"the prompt has more <|{kind}|> slots than {kind}s were given; give one medium for each slot")

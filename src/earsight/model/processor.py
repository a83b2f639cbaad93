"""Text and media to model inputs. It counts soft tokens and writes that many placeholders; the model fills them.

conversation -> chat template -> text with <|image|> <|audio|> <|video|>
             -> media layer   -> clips -> rows of each encoder -> tensors
             -> each slot becomes the system's slot text with one <|media|> for each soft token
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from torch import Tensor
from transformers import BatchFeature, ProcessorMixin

from earsight import systems
from earsight.errors import PromptError
from earsight.media import Sampling, load_clip
from earsight.media.joined import with_sound_of
from earsight.media.rendered import Renders
from earsight.model import prompt_ids
from earsight.model.conversation import Medium, is_batch, normalise, place_modality_tokens
from earsight.model.media_inputs import (
    MEDIA_TOKEN,
    Laid,
    input_names,
    is_still,
    lay_out,
    media_tensors,
    reads_question,
    slot_text,
    under_policy,
    within_senses,
)
from earsight.types import Clip

SLOT = re.compile(r"<\|(image|audio|video)\|>")


class EarsightProcessor(ProcessorMixin):
    """Tokeniser, encoders' input features and our own media layer behind Transformers' public processor methods."""

    def __init__(
        self,
        tokenizer: Any = None,
        chat_template: str | None = None,
        system: str = "starter",
        values: dict | None = None,
        question_vocabulary: str | None = None,
        context_tokens: int | None = None,
    ) -> None:
        """
        Args:
            question_vocabulary: a `tokenizers` JSON, for encoders that read the question in their own vocabulary.
            context_tokens: what the language model can hold.
        """
        self.system, self.question_vocabulary, self.context_tokens = system, question_vocabulary, context_tokens
        self.values = values or systems.get(system).values()
        super().__init__(tokenizer, chat_template=chat_template or self.description.prompt.chat_template)
        if MEDIA_TOKEN not in tokenizer.get_vocab():
            tokenizer.add_special_tokens({"additional_special_tokens": [MEDIA_TOKEN]})

    @property
    def description(self) -> systems.System:
        # Asked for at every turn, and a millisecond to make; as JSON, for a processor's values are what JSON can hold.
        return _described(self.system, json.dumps(self.values, sort_keys=True))

    @property
    def sampling_rate(self) -> int:
        """Rate at which sound is decoded, in hertz."""
        return self.description.sample_rate_hz

    def sampling(self, n_frames: int | None = None) -> Sampling:
        """How the media layer is to decode for this system."""
        described = self.description
        vision = described.encoder_of("picture")
        size = vision.image_size if vision else 32
        fixed = described.n_frames
        return Sampling(
            # A system that only hears needs one frame at most, to know that there is a picture.
            frames_per_second=described.frames_per_second if vision else 1e-4,
            max_frames=min(n_frames or described.max_frames, described.max_frames) if vision else 1,
            n_frames=(min(n_frames, fixed) if n_frames else fixed) if fixed else None,
            second_ends=described.frames_at_second_ends,
            frame_size=(size, size),
            sample_rate_hz=described.sample_rate_hz,
            max_seconds=prompt_ids.longest_clip_seconds(described, self.context_tokens),
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
        answers: Sequence[str] | None = None,
        questions: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Prepare one text or a batch, with the media of its <|image|>, <|audio|> and <|video|> slots in order.

        Args:
            images, audio, videos: one medium or a list: a path, URL, bytes, array or `Clip`; a video brings its sound.
            audio_policy: "auto", "require" (no sound is an error) or "ignore", for videos without an own policy.
            padding_side: "left", "right", or "inner" (`earsight.model.prompt_ids`).
            answers: one for each text; they follow the prompts, and `labels` tell them from these.
            questions: one for each medium, for encoders that read it; else the text around its slot is taken.

        Returns:
            input_ids, attention_mask (batch, length) and, with media, the model's media inputs.

        Raises:
            PromptError: slots and media differ in number, or the prompt is longer than max_length.
            MediaError: a medium cannot be used.
        """
        texts = [text] if isinstance(text, str) else list(text or [])
        queues = {"image": _listed(images), "audio": _listed(audio), "video": _listed(videos)}
        media = [
            Medium(kind, queues[kind].pop(0) if queues[kind] else _too_few(kind), question=SLOT.sub("", one).strip())
            for one in texts
            for kind in SLOT.findall(one)
        ]
        if left := {kind: len(queue) for kind, queue in queues.items() if queue}:
            raise PromptError(f"{left} media were given beyond the prompt's slots; write a <|kind|> slot for each")
        if questions is not None:
            media = [Medium(m.kind, m.source, question=q) for m, q in zip(media, questions, strict=True)]
        return self._prepare(texts, media, audio_policy, num_frames, padding_side, max_length, answers)

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
        answers: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A conversation, or a list of them, to text (tokenize=False) or model inputs.

        Parts: text, image, audio, video in Transformers' or OpenAI's form. A video part may carry
        "audio": "auto" | "require" | "ignore". Where the system has modality tokens, such as <VIS>, a token in a user's
        text stands for the latest medium, met with the senses that it names.
        """
        conversations = list(conversation) if is_batch(conversation) else [conversation]
        tokens = self.description.prompt.modality_tokens
        plain = [place_modality_tokens(*normalise(messages), tokens) for messages in conversations]
        for messages, _ in plain:
            self.refuse_reserved(messages)
        texts = [self.templated(messages, chat_template, add_generation_prompt) for messages, _ in plain]
        if not tokenize:
            return texts if is_batch(conversation) else texts[0]
        if load_audio_from_video is False:
            audio_policy = "ignore"
        media = [medium for _, found in plain for medium in found]
        prepared = self._prepare(texts, media, audio_policy, num_frames, padding_side, max_length, answers)
        return prepared if return_dict else prepared["input_ids"]

    def templated(self, messages: Any, chat_template: str | None, add_generation_prompt: bool) -> str:
        return self.tokenizer.apply_chat_template(
            messages,
            chat_template=chat_template or self.chat_template,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )

    def refuse_reserved(self, messages: Sequence[dict[str, Any]]) -> None:
        """A user's words must not open or close turns, nor pose as media."""
        reserved = {*self.tokenizer.all_special_tokens, MEDIA_TOKEN, "<|image|>", "<|audio|>", "<|video|>"}
        for message in messages:
            parts = message["content"] if isinstance(message["content"], list) else [{"text": message["content"]}]
            for part in parts:
                if found := [token for token in sorted(reserved) if token in part.get("text", "")]:
                    raise PromptError(f"the text holds the reserved word {found[0]}; write it some other way")

    def prompt_ids(self, messages: Sequence[dict[str, Any]], laid: Laid) -> Tensor:
        """Token ids (1, length) of a conversation about one clip that was laid out before."""
        plain, _ = normalise(messages)
        filled = SLOT.sub(lambda slot: self.slot(laid), self.templated(plain, None, True))
        ids = prompt_ids.batch([filled], None, self.tokenizer, self.description.prompt, "left")["input_ids"]
        self._refuse_longer(ids.shape[1])
        return ids

    def _refuse_longer(self, n_tokens: int, max_length: int | None = None) -> None:
        """A prompt that does not fit is refused whole: cut, it would lose placeholders or the question."""
        most = min(limit for limit in (max_length, self.context_tokens, n_tokens) if limit is not None)
        if n_tokens > most:
            raise PromptError(f"the prompt has {n_tokens} tokens, at most {most} fit; use a shorter clip or question")

    def senses_asked(self, question: str) -> tuple[tuple[str, ...], str]:
        """With which senses a question wants a clip met, by its modality tokens, and its words without them."""
        tokens = self.description.prompt.modality_tokens
        named = {sense for token, senses in tokens.items() if token in question for sense in senses}
        for token in tokens:
            question = question.replace(token, "")
        both = ("picture", "sound")
        return (tuple(sense for sense in both if sense in named) or both), question.strip()

    def slot(self, laid: Laid) -> str:
        """What a clip becomes in the prompt."""
        return slot_text(self.description.prompt.slot, laid.clip.picture, laid.clip.sound, laid.n_soft_tokens)

    def question_ids(self, questions: Sequence[str]) -> dict[str, Tensor]:
        """instruction_ids, instruction_mask (n_media, length) for encoders that read the question; else nothing."""
        if not reads_question(self.description):
            return {}
        parts = self.description.encoders.values()
        most = min(part.max_question_tokens for part in parts if getattr(part, "reads_question", False))
        return prompt_ids.question_ids(self.question_vocabulary, questions, most)

    def clip(self, medium: Medium, audio_policy: str = "auto", num_frames: int | None = None) -> Clip:
        """Decode one medium as its slot asks: an image has no sound, an audio slot shows nothing."""
        clip = self._rendered(medium.source)
        policy = medium.audio or ("auto" if medium.kind != "video" else audio_policy)
        if isinstance(clip, Clip):
            clip = under_policy(clip, policy)
        else:
            span = {"start_seconds": medium.start_seconds, "end_seconds": medium.end_seconds}
            own = "ignore" if medium.sound is not None else policy
            clip = load_clip(clip, self.sampling(num_frames), audio=own, **span)  # type: ignore[arg-type]
            clip = self.closer(clip, medium.source)
        if medium.sound is not None and policy == "ignore":
            clip = replace(clip, sound="ignored")
        elif medium.sound is not None:
            sound = self._rendered(medium.sound)
            if not isinstance(sound, Clip):
                sound = load_clip(sound, self.sampling(), audio=policy)  # type: ignore[arg-type]
            clip = with_sound_of(clip, under_policy(sound, policy))
        return within_senses(clip, medium.senses)

    def _rendered(self, source: Any) -> Any:
        """A medium that is made on the spot as its clip; anything else as it is."""
        return source.render(self.sampling()) if isinstance(source, Renders) else source

    def closer(self, clip: Clip, source: Any) -> Clip:
        """A still picture again, large enough for its parts, where the system looks at these."""
        grid = self.description.spotlight_grid
        if grid < 2 or not is_still(clip) or clip.decode_plan != "still":
            return clip
        width, height = self.sampling().frame_size or (0, 0)
        large = load_clip(source, replace(self.sampling(), frame_size=(grid * width, grid * height)), audio="ignore")
        return replace(large, sound=clip.sound, notes=clip.notes)

    def _prepare(
        self,
        texts: list[str],
        media: list[Medium],
        audio_policy: str,
        num_frames: int | None,
        padding_side: str,
        max_length: int | None,
        answers: Sequence[str] | None,
    ) -> BatchFeature:
        described = self.description
        laid = [lay_out(self.clip(medium, audio_policy, num_frames), described) for medium in media]
        runs = iter([self.slot(one) for one in laid])
        filled = [SLOT.sub(lambda slot: next(runs), one) for one in texts]
        tensors = prompt_ids.batch(filled, answers, self.tokenizer, described.prompt, padding_side)
        self._refuse_longer(tensors["input_ids"].shape[1], max_length)
        if laid:
            tensors |= media_tensors(laid, described)
            tensors |= self.question_ids([medium.question for medium in media])
        return BatchFeature(tensors)

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", *input_names(self.description)]


@lru_cache(maxsize=32)
def _described(system: str, values: str) -> systems.System:
    return systems.get(system, json.loads(values))


def _listed(media: Any) -> list[Any]:
    """One medium or (nested) lists of media -> a flat list."""
    if media is None:
        return []
    if not isinstance(media, list):
        return [media]
    return [item for part in media for item in (part if isinstance(part, list) else [part])]


def _too_few(kind: str) -> Any:
    raise PromptError(f"the prompt has more <|{kind}|> slots than {kind}s were given; give one medium for each slot")

"""Questions about one clip: what they share is computed once.

decode -> prepare -> encode (once) -> connect (once, or for each question that an encoder reads) -> splice -> generate
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import DynamicCache, TextStreamer

from earsight.errors import PromptError
from earsight.model import lora
from earsight.model.evidence import weigh
from earsight.model.media_inputs import ROW_INPUTS, Laid, lay_out, media_tensors, under_policy, within_senses
from earsight.model.perceived import heard, missing, seen
from earsight.types import Answer, AudioPolicy, Clip, Evidence, Features, SoftTokens

if TYPE_CHECKING:
    from earsight.model.assistant import Assistant

OnText = Callable[[str], None]
SENSES: tuple[str, ...] = ("picture", "sound")


@dataclass
class View:
    """A clip as it is met with some senses."""

    laid: Laid
    soft_tokens: SoftTokens | None = None  # connected at the first question: some systems read it


class Chat:
    """Questions about one clip. Each stands for itself; what they share is computed once."""

    def __init__(
        self,
        assistant: "Assistant",
        source: Any,
        audio: AudioPolicy,
        start_seconds: float | None,
        end_seconds: float | None,
    ) -> None:
        self.assistant, self.audio = assistant, audio
        self.setup: dict[str, float] = {}  # seconds spent once, told with the first answer
        self.began = time.perf_counter()
        model, system = assistant.model, assistant.processor.description
        with timed(self.setup, "decode"):
            decoded = self._decode(source, start_seconds, end_seconds)
        with timed(self.setup, "prepare"):
            laid = lay_out(decoded, system)
            self.media = {name: value.to(model.device) for name, value in media_tensors([laid], system).items()}
        self.clip = laid.clip
        self.features: dict[str, Features] = {}
        self.encoded: set[str] = set()  # names of encoders that have run
        self.views = {SENSES: View(laid)}  # the clip as met with some senses; a question may name them
        if not system.prompt.modality_tokens:
            with timed(self.setup, "encode"):
                self._encode(SENSES)
        self.cache, self.cached_ids, self.lora_scale = DynamicCache(), torch.zeros(1, 0, dtype=torch.long), 1.0
        self.cached_view: View | None = None

    def _decode(self, source: Any, start_seconds: float | None, end_seconds: float | None) -> Clip:
        if isinstance(source, Clip):
            if start_seconds is not None or end_seconds is not None:
                raise PromptError(f"{source.source}: a decoded clip has its span already; give the span when decoding")
            return under_policy(source, self.audio)
        from earsight.media import load_clip

        processor = self.assistant.processor
        span = {"start_seconds": start_seconds, "end_seconds": end_seconds}
        clip = load_clip(source, processor.sampling(), audio=self.audio, **span)  # type: ignore[arg-type]
        return processor.closer(clip, source)

    def ask(
        self,
        question: str,
        *,
        max_new_tokens: int | None = None,
        lora_scale: float = 1.0,
        explain: bool = False,
        on_text: OnText | None = None,
    ) -> Answer:
        """Answer a question. The clip's tokens stay in the language model's cache: only new words are computed.

        Where an encoder reads the question, its features are made once but read anew for each question.
        """
        self.assistant.check(question, max_new_tokens)
        timings, self.setup = self.setup, {}
        began, self.began = self.began if timings else time.perf_counter(), 0.0
        self._set_lora_scale(lora_scale)
        senses, words = self.assistant.processor.senses_asked(question)
        view, asked = self._view(senses), self._asked(words)
        if self._encodes(senses):
            with timed(timings, "encode"):
                self._encode(senses)
        features = self._features(senses)
        if view.soft_tokens is None or asked:
            with timed(timings, "connect"), torch.no_grad():
                made = self.assistant.model.connect(features, self.media["media_milliseconds"], **asked)
            view.soft_tokens = made
            self._forget()
        ids = self._prompt(words, view)
        self._keep_common_prefix(ids, view)
        clock = _Streamer(self.assistant.processor.tokenizer, on_text)
        with timed(timings, "generate"):
            generated = self._generate(ids, view.soft_tokens, max_new_tokens, clock)
        timings["first_token"] = (clock.first or time.perf_counter()) - began
        timings["total"] = time.perf_counter() - began
        reply = generated[0, ids.shape[1] :]
        evidence = None
        if explain:
            evidence = weigh(self.assistant.model, ids, reply, features, self.media["media_milliseconds"], asked)
        return self._answer(question, view.laid.clip, reply, timings, evidence)

    def _answer(
        self, question: str, met: Clip, reply: Tensor, timings: dict[str, float], evidence: Evidence | None
    ) -> Answer:
        text = self.assistant.processor.tokenizer.decode(reply, skip_special_tokens=True)
        return Answer(
            text=text.strip(),
            question=question,
            source=met.source,
            seen=seen(met),
            heard=heard(met),
            missing=missing(met),
            notes=met.notes,
            audio=self.audio,
            timings=timings,
            n_tokens=len(reply),
            evidence=evidence,
        )

    def _view(self, senses: tuple[str, ...]) -> "View":
        if senses not in self.views:
            clip = within_senses(self.clip, senses)
            self.views[senses] = View(lay_out(clip, self.assistant.processor.description))
        return self.views[senses]

    def _encodes(self, senses: tuple[str, ...]) -> set[str]:
        """Encoders of these senses that have not run yet."""
        parts = self.assistant.processor.description.encoders
        return {name for name, part in parts.items() if part.sense in senses} - self.encoded

    def _encode(self, senses: tuple[str, ...]) -> None:
        names = self._encodes(senses)
        own = {f"{name}_{what}" for name in names for what in ROW_INPUTS}
        shared = ("media_milliseconds", "sound_from")
        wanted = {name: value for name, value in self.media.items() if name in own or name in shared}
        self.features |= self.assistant.model.encode(wanted)
        self.encoded |= names

    def _features(self, senses: tuple[str, ...]) -> dict[str, Features]:
        parts = self.assistant.processor.description.encoders.values()
        streams = {stream for part in parts if part.sense in senses for stream in part.dims}
        return {stream: given for stream, given in self.features.items() if stream in streams}

    def _prompt(self, question: str, view: "View") -> Tensor:
        """Token ids of the clip's slot and a question, (1, length)."""
        processor = self.assistant.processor
        content = [{"type": "video", "video": self.clip}, {"type": "text", "text": question}]
        ids = processor.prompt_ids([{"role": "user", "content": content}], view.laid)
        return ids.to(self.assistant.model.device)

    def _asked(self, question: str) -> dict[str, Tensor]:
        """The question as encoders read it; empty where none does."""
        device = self.assistant.model.device
        return {name: ids.to(device) for name, ids in self.assistant.processor.question_ids([question]).items()}

    def _set_lora_scale(self, scale: float) -> None:
        lora.set_scale(self.assistant.model, scale)
        if scale != self.lora_scale:  # what was computed with another scale is of no use
            self._forget()
            self.lora_scale = scale

    def _forget(self) -> None:
        self.cache, self.cached_ids = DynamicCache(), torch.zeros(1, 0, dtype=torch.long)

    def _keep_common_prefix(self, ids: Tensor, view: "View") -> None:
        """Cut the cache back to what it shares with the new prompt, always leaving a token to compute."""
        if view is not self.cached_view:  # the same placeholders, filled with something else
            self._forget()
            self.cached_view = view
        most = min(self.cached_ids.shape[1], ids.shape[1] - 1)
        differing = (self.cached_ids[0, :most].to(ids.device) != ids[0, :most]).nonzero()
        kept = int(differing[0]) if len(differing) else most
        if surplus := self.cache.get_seq_length() - kept:
            self.cache.crop(-surplus)

    def _generate(
        self, ids: Tensor, soft_tokens: SoftTokens, max_new_tokens: int | None, streamer: TextStreamer
    ) -> Tensor:
        settings = dict(self.assistant.processor.description.generation)
        if max_new_tokens is not None:
            settings["max_new_tokens"] = max_new_tokens
        if settings.get("num_beams", 1) > 1:  # beams neither stream nor share a cache with the next question
            self._forget()
        else:
            settings |= {"streamer": streamer, "past_key_values": self.cache}
        generated = self.assistant.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            soft_tokens=soft_tokens.values,
            soft_token_mask=soft_tokens.mask,
            **settings,
        )
        self.cached_ids = generated[:, : self.cache.get_seq_length()]
        return generated


class _Streamer(TextStreamer):
    """Hands on text as it comes, and remembers when the first token came."""

    def __init__(self, tokenizer: Any, on_text: OnText | None) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.on_text, self.first, self.calls = on_text, 0.0, 0

    def put(self, value: Tensor) -> None:
        self.calls += 1
        if self.calls == 2:  # the first call brings the prompt
            self.first = time.perf_counter()
        super().put(value)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        if self.on_text and text:
            self.on_text(text)


@contextmanager
def timed(timings: dict[str, float], verb: str) -> Iterator[None]:
    """Add the seconds a block takes under its verb."""
    began = time.perf_counter()
    yield
    timings[verb] = time.perf_counter() - began

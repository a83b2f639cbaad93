"""Ask a clip: from a file to an answer, and further questions about it at the price of their own words.

decode -> prepare -> encode -> connect -> splice -> generate
"""

from typing import Any

from earsight.errors import PromptError
from earsight.model.audio_visual_lm import EarsightForConditionalGeneration
from earsight.model.chat import Chat, OnText
from earsight.model.processor import EarsightProcessor
from earsight.types import Answer, AudioPolicy


class Assistant:
    """A model and its processor, ready to be asked about clips."""

    def __init__(self, model: EarsightForConditionalGeneration, processor: EarsightProcessor) -> None:
        self.model, self.processor = model.eval(), processor

    def ask(
        self,
        source: Any,
        question: str,
        *,
        audio: AudioPolicy = "auto",
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        max_new_tokens: int | None = None,
        lora_scale: float = 1.0,
        explain: bool = False,
        on_text: OnText | None = None,
    ) -> Answer:
        """Answer one question about one clip.

        Args:
            source: a path, URL, bytes, data URI, array, image, or an already decoded `Clip`.
            audio: "auto", "require" (no audible sound is an error) or "ignore".
            max_new_tokens: None is as many as the system says.
            lora_scale: how much the LoRA counts: 1 as trained, less for SALMONN's discount (section 4.2).
            explain: also score the answer without its sound and without its picture.
            on_text: called with each new piece of text.

        Raises:
            MediaError, PromptError: one line that says what was given, expected and what to do.
        """
        self.check(question, max_new_tokens)  # before anything is decoded
        chat = self.chat(source, audio=audio, start_seconds=start_seconds, end_seconds=end_seconds)
        return chat.ask(
            question, max_new_tokens=max_new_tokens, lora_scale=lora_scale, explain=explain, on_text=on_text
        )

    def chat(
        self,
        source: Any,
        *,
        audio: AudioPolicy = "auto",
        start_seconds: float | None = None,
        end_seconds: float | None = None,
    ) -> Chat:
        """Decode and encode a clip once, for any number of questions."""
        return Chat(self, source, audio, start_seconds, end_seconds)

    def check(self, question: str, max_new_tokens: int | None) -> None:
        if not question.strip():
            raise PromptError('an empty question was given; ask something, for example "What do you see?"')
        if max_new_tokens is not None and max_new_tokens < 1:
            raise PromptError(f"max_new_tokens is {max_new_tokens}; at least 1 is needed")
        self.processor.refuse_reserved([{"role": "user", "content": question}])

"""Examples with cached features -> batches for the model: the same prompt text and time grid as the processor's."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from earsight.data.scenes import Example
from earsight.data.starter_corpus import Item
from earsight.model.media_inputs import slot_text
from earsight.model.processor import EarsightProcessor

IGNORED = -100  # a label that is not trained on


def view_name(item: Item, view: int) -> str:
    """Under which name a rendered view's features are cached."""
    return f"{item.id}@{view}"


class FeatureCollator:
    """Builds a batch from examples; with `answers=False` it ends where the model is to begin."""

    def __init__(self, processor: EarsightProcessor, features: dict[str, Tensor], answers: bool = True) -> None:
        self.processor, self.features, self.answers = processor, features, answers
        self.connector = processor.description.connector

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Examples -> input_ids, attention_mask, labels (batch, length), FEATURE_INPUTS, media_steps, sound_mask."""
        steps = [self._steps(example) for example in examples]
        batch = self._text([self._prompt(*pair) for pair in zip(examples, steps, strict=True)], examples)
        return batch | self._features(examples, steps)

    def _steps(self, example: Example) -> int:
        heard = 0
        if example.sound:
            heard = len(self.features[f"{view_name(example.sound, example.sound_view)}/mask"])
        seen = example.steps if example.picture or not example.sound else 1
        return max(seen, heard + example.sound_late)

    def _prompt(self, example: Example, steps: int) -> str:
        scene = example.scene
        slot = slot_text(scene.picture_state, scene.sound_state, self.connector.n_soft_tokens(steps))
        return self.processor.tokenizer.apply_chat_template(
            [{"role": "user", "content": slot + example.question}],
            chat_template=self.processor.chat_template,
            tokenize=False,
            add_generation_prompt=True,
        )

    def _text(self, prompts: list[str], examples: Sequence[Example]) -> dict[str, Tensor]:
        tokenizer = self.processor.tokenizer
        asked = [tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
        told = [
            tokenizer(example.answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
            if self.answers
            else []
            for example in examples
        ]
        length = max(len(a) + len(b) for a, b in zip(asked, told, strict=True))
        ids = torch.full((len(asked), length), tokenizer.pad_token_id)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
        for row, (question, reply) in enumerate(zip(asked, told, strict=True)):
            # Generation continues at the right edge, so prompts alone are padded on the left.
            n = len(question) + len(reply)
            place = slice(0, n) if self.answers else slice(length - n, length)
            ids[row, place] = torch.tensor(question + reply)
            mask[row, place] = 1
            if self.answers:
                labels[row, len(question) : n] = torch.tensor(reply)
        batch = {"input_ids": ids, "attention_mask": mask}
        return batch | {"labels": labels} if self.answers else batch

    def _features(self, examples: Sequence[Example], steps: Sequence[int]) -> dict[str, Tensor]:
        shape = (len(examples), max(steps), self.connector.positions)
        dims = {
            stream: dim for part in self.processor.description.encoders.values() for stream, dim in part.dims.items()
        }
        grids: dict[str, Any] = {f"{name}_features": torch.zeros(*shape, dim) for name, dim in dims.items()}
        grids["vision_mask"] = torch.zeros(shape, dtype=torch.bool)
        grids["sound_mask"] = torch.zeros(shape, dtype=torch.bool)
        for row, example in enumerate(examples):
            for item in example.picture:
                for step in range(example.steps):
                    # The object moves from view to view once, in the middle.
                    view = example.picture_views[step * len(example.picture_views) // example.steps]
                    grids["vision_features"][row, step] = self.features[f"{view_name(item, view)}/vision"].float()
                grids["vision_mask"][row, : example.steps] = True
            if example.sound:
                name = view_name(example.sound, example.sound_view)
                place = slice(example.sound_late, example.sound_late + len(self.features[f"{name}/mask"]))
                for stream in ("speech", "sound"):
                    grids[f"{stream}_features"][row, place] = self.features[f"{name}/{stream}"].float()
                grids["sound_mask"][row, place] = self.features[f"{name}/mask"]
        return grids | {"media_steps": torch.tensor(steps)}

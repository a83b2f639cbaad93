"""Examples with cached features -> batches for the model: the same prompt text and time grid as the processor's."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from earsight.data.scenes import Example
from earsight.data.starter_corpus import Item
from earsight.model import prompt_ids
from earsight.model.media_inputs import slot_text
from earsight.model.processor import EarsightProcessor
from earsight.model.prompt_ids import IGNORED as IGNORED
from earsight.types import Extent


def view_name(item: Item, view: int) -> str:
    """Under which name a rendered view's features are cached."""
    return f"{item.id}@{view}"


class FeatureCollator:
    """Builds a batch from examples; with `answers=False` it ends where the model is to begin."""

    def __init__(self, processor: EarsightProcessor, features: dict[str, Tensor], answers: bool = True) -> None:
        self.processor, self.features, self.answers = processor, features, answers
        self.connector = processor.description.connector

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Examples -> input_ids, attention_mask, labels (batch, length), the model's feature inputs, milliseconds."""
        steps = [self._steps(example) for example in examples]
        prompts = [self._prompt(*pair) for pair in zip(examples, steps, strict=True)]
        answers = [example.answer for example in examples] if self.answers else None
        # Generation continues at the right edge, so prompts alone are padded on the left.
        side = "right" if self.answers else "left"
        described = self.processor.description
        text = prompt_ids.batch(prompts, answers, self.processor.tokenizer, described.prompt, side)
        return text | self._features(examples, steps)

    def _steps(self, example: Example) -> int:
        heard = 0
        if example.sound:
            frames = len(self.features[f"{view_name(example.sound, example.sound_view)}/sound"])
            heard = -(-frames // self.connector.positions)
        seen = example.steps if example.picture or not example.sound else 1
        return max(seen, heard + example.sound_late)

    def _milliseconds(self, steps: int) -> int:
        return round(steps * self.connector.step_seconds * 1000)

    def _prompt(self, example: Example, steps: int) -> str:
        scene, described = example.scene, self.processor.description
        n_tokens = self.connector.n_soft_tokens(Extent(self._milliseconds(steps), {}, {}))
        slot = slot_text(described.prompt.slot, scene.picture_state, scene.sound_state, n_tokens)
        return self.processor.tokenizer.apply_chat_template(
            [{"role": "user", "content": slot + example.question}],
            chat_template=self.processor.chat_template,
            tokenize=False,
            add_generation_prompt=True,
        )

    def _features(self, examples: Sequence[Example], steps: Sequence[int]) -> dict[str, Tensor]:
        positions, most = self.connector.positions, max(steps)
        dims = self.processor.description.streams
        grids: dict[str, Any] = {}
        for stream, dim in dims.items():
            shape = (len(examples), most, positions) if stream == "vision" else (len(examples), most * positions)
            grids[f"{stream}_features"] = torch.zeros(*shape, dim)
            grids[f"{stream}_mask"] = torch.zeros(shape[:2], dtype=torch.bool)
        for row, example in enumerate(examples):
            for item in example.picture:
                for step in range(example.steps):
                    # The object moves from view to view once, in the middle.
                    view = example.picture_views[step * len(example.picture_views) // example.steps]
                    grids["vision_features"][row, step] = self.features[f"{view_name(item, view)}/vision"].float()
                grids["vision_mask"][row, : example.steps] = True
            if example.sound:
                name, first = view_name(example.sound, example.sound_view), example.sound_late * positions
                for stream in set(dims) - {"vision"}:
                    given = self.features[f"{name}/{stream}"].float()
                    grids[f"{stream}_features"][row, first : first + len(given)] = given
                    grids[f"{stream}_mask"][row, first : first + len(given)] = True
        return grids | {"media_milliseconds": torch.tensor([self._milliseconds(one) for one in steps])}

"""First stage: the connector alone learns to speak in the language model's words. No pass through the language model.

    soft tokens, first half of each window's queries  -> nearest picture kind and name, by cosine   (when one is seen)
    soft tokens, second half                          -> nearest sound kind and name                (when one is heard)

Kinds and names are the language model's own input embeddings, so what is learned here is what it reads later.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from earsight.data.collation import IGNORED, FeatureCollator
from earsight.data.questions import PICTURE_KINDS, SOUND_KINDS
from earsight.data.scenes import Example
from earsight.data.starter_corpus import Item
from earsight.model.audio_visual_lm import EarsightForConditionalGeneration
from earsight.model.processor import EarsightProcessor

SHARPNESS = 16.0  # cosines lie in [-1, 1]; this makes them usable as logits
NAME_WEIGHT = 0.5


class Vocabulary:
    """The words of a sense: its kinds and the names of its training items, numbered."""

    def __init__(self, kinds: dict[str, str], items: Sequence[Item]) -> None:
        self.kinds = {kind: index for index, kind in enumerate(kinds)}
        self.names = {name: index for index, name in enumerate(sorted({item.name for item in items}))}
        self.words = {"kind": list(kinds.values()), "name": list(self.names)}


class AlignmentCollator:
    """Adds to a batch which kind and name is seen and heard, IGNORED where nothing is."""

    def __init__(self, collator: FeatureCollator, vocabularies: dict[str, Vocabulary]) -> None:
        self.collator, self.vocabularies = collator, vocabularies

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        batch = self.collator(examples)
        for sense, vocabulary in self.vocabularies.items():
            items = [example.picture[0] if sense == "picture" and example.picture else None for example in examples]
            if sense == "sound":
                items = [example.sound for example in examples]
            batch[f"{sense}_kind"] = torch.tensor([vocabulary.kinds[i.kind] if i else IGNORED for i in items])
            batch[f"{sense}_name"] = torch.tensor([vocabulary.names[i.name] if i else IGNORED for i in items])
        return batch


class Alignment(nn.Module):
    """A connector and the words it is to reach."""

    def __init__(
        self,
        model: EarsightForConditionalGeneration,
        processor: EarsightProcessor,
        vocabularies: dict[str, Vocabulary],
    ) -> None:
        super().__init__()
        self.connector = model.connector
        self.soft_tokens, self.feature_inputs = model.soft_tokens, model.feature_inputs
        self.n_queries = model.description.connector.n_queries
        table = cast(Tensor, model.get_input_embeddings().weight).detach().float()
        for sense, vocabulary in vocabularies.items():
            for level, words in vocabulary.words.items():
                ids = [processor.tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in words]
                vectors = torch.stack([table[one].mean(0) for one in ids]) - table.mean(0)
                self.register_buffer(f"{sense}_{level}", functional.normalize(vectors, dim=-1))
        self.register_buffer("centre", table.mean(0))

    def forward(self, **batch: Tensor) -> dict[str, Tensor]:
        """A batch of AlignmentCollator -> {"loss"}."""
        wanted = (*self.feature_inputs, "media_milliseconds")
        made = self.soft_tokens({name: batch[name] for name in wanted})
        windows = made.values.unflatten(1, (-1, self.n_queries))  # (n_media, n_windows, n_queries, llm_dim)
        valid = made.mask.unflatten(1, (-1, self.n_queries))[..., :1].float()  # (n_media, n_windows, 1)
        half = self.n_queries // 2
        loss = windows.new_zeros(())
        for sense, queries in (("picture", windows[:, :, :half]), ("sound", windows[:, :, half:])):
            summary = (queries.mean(2) * valid).sum(1) / valid.sum(1) - self.centre
            loss = loss + self._nearest(summary, sense, "kind", batch[f"{sense}_kind"])
            loss = loss + NAME_WEIGHT * self._nearest(summary, sense, "name", batch[f"{sense}_name"])
        return {"loss": loss}

    def _nearest(self, summary: Tensor, sense: str, level: str, target: Tensor) -> Tensor:
        """(n_media, llm_dim), (n_media,) -> cross-entropy over the words, of those media where the sense is."""
        if bool((target == IGNORED).all()):
            return summary.new_zeros(())
        logits = SHARPNESS * functional.normalize(summary, dim=-1) @ getattr(self, f"{sense}_{level}").T
        return functional.cross_entropy(logits, target, ignore_index=IGNORED)


def vocabularies(pictures: Sequence[Item], sounds: Sequence[Item]) -> dict[str, Vocabulary]:
    """The words of both senses, from training items only."""
    return {"picture": Vocabulary(PICTURE_KINDS, pictures), "sound": Vocabulary(SOUND_KINDS, sounds)}

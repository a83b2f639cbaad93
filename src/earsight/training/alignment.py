"""The objective "words": the connector alone is to reach the language model's words. No pass through that model.

    query tokens, first half of a window  -> nearest kind and name of what is seen, by cosine     (when it is known)
    query tokens, second half             -> nearest kind and name of what is heard
    speech tokens                         -> the tokens of what is said, by CTC; and its letters, by a head of their own

Words are the language model's own input embeddings, so what is learned here is what it reads later. Which token of
speech is which word is not known: CTC (Graves et al., 2006) sums over every way to place them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from earsight.connectors.speech_tokens import LETTERS
from earsight.model.media_inputs import feature_names, input_names

SHARPNESS = 16.0  # cosines lie in [-1, 1]; this makes them usable as logits
NAME_WEIGHT, LETTER_WEIGHT = 0.5, 0.3
MOST_TOKENS = 8000  # rarer tokens of speech are learnt by their letters


class Words:
    """What the records' media are to become, and how far the connector is from it."""

    def __init__(self, model: Any, tokenizer: Any, told: Sequence[Mapping[str, Any]]) -> None:
        """`told` are the `words` of all records: {"seen": [kind, name], "heard": [kind, name], "said": text}."""
        self.model, self.tokenizer = model, tokenizer
        table = model.get_input_embeddings().weight.detach().float()
        self.centre = table.mean(0)
        self.places: dict[str, dict[str, int]] = {}
        self.vectors: dict[str, Tensor] = {}
        for sense in ("seen", "heard"):
            for level, name in enumerate(("kind", "name")):
                words = sorted({one[sense][level] for one in told if sense in one and one[sense][level]})
                self.places[f"{sense} {name}"] = {word: place for place, word in enumerate(words)}
                vectors = [table[self._ids(word)].mean(0) - self.centre for word in words]
                self.vectors[f"{sense} {name}"] = functional.normalize(torch.stack(vectors), dim=-1) if words else table
        counts = torch.zeros(len(table), dtype=torch.long)
        for one in told:
            if "said" in one:
                counts += torch.bincount(torch.tensor(self._ids(one["said"])), minlength=len(table))
        spoken = counts.argsort(descending=True)[: min(MOST_TOKENS, int((counts > 0).sum()))]
        self.spoken = {token: place for place, token in enumerate(spoken.tolist(), start=1)}  # 0 is CTC's blank
        self.vectors["said"] = functional.normalize(table[spoken] - self.centre, dim=-1)

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(f" {text}", add_special_tokens=False)["input_ids"])

    def loss(self, inputs: Mapping[str, Any], words: Sequence[Mapping[str, Any]]) -> tuple[Tensor, dict[str, float]]:
        """A batch's media inputs and their words -> the loss, and its parts by name."""
        wanted = {*feature_names(self.model.description), *input_names(self.model.description)}
        made = self.model.soft_tokens({name: value for name, value in inputs.items() if name in wanted})
        config = self.model.connector.config
        windows = made.values.float().unflatten(
            1, (-1, config.tokens_per_window)
        )  # (n_media, n_windows, tokens, llm_dim)
        valid = made.mask.unflatten(1, (-1, config.tokens_per_window))[..., :1].float()  # (n_media, n_windows, 1)
        half = config.n_queries // 2
        parts: dict[str, Tensor] = {}
        for sense, queries in (("seen", windows[:, :, :half]), ("heard", windows[:, :, half : config.n_queries])):
            summary = (queries.mean(2) * valid).sum(1) / valid.sum(1) - self.centre
            parts[f"{sense} kind"] = self._nearest(summary, sense, 0, words)
            parts[f"{sense} name"] = self._nearest(summary, sense, 1, words) * NAME_WEIGHT
        parts |= self._said(windows[:, :, config.n_queries :].flatten(1, 2), inputs, words)
        losses = [value for value in parts.values() if value.requires_grad]
        total = torch.stack(losses).sum() if losses else windows.sum() * 0.0
        return total, {f"loss/{name}": float(value.detach()) for name, value in parts.items() if value.requires_grad}

    def _nearest(self, summary: Tensor, sense: str, level: int, words: Sequence[Mapping[str, Any]]) -> Tensor:
        """(n_media, llm_dim) -> cross-entropy over the words, of those media whose word is known."""
        name = f"{sense} {('kind', 'name')[level]}"
        known = [row for row, one in enumerate(words) if sense in one and one[sense][level]]
        if not known:
            return summary.new_zeros(())
        target = torch.tensor([self.places[name][words[row][sense][level]] for row in known], device=summary.device)
        logits = SHARPNESS * functional.normalize(summary[known], dim=-1) @ self.vectors[name].to(summary.device).T
        return functional.cross_entropy(logits, target)

    def _said(self, tokens: Tensor, inputs: Mapping[str, Any], words: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """(n_media, time, llm_dim) -> the two CTC losses, of those media whose words are known."""
        rows = [row for row, one in enumerate(words) if one.get("said")]
        if not rows:
            return {}
        speech: Any = self.model.connector.speech
        config = self.model.connector.config
        # A sentence begins with its medium and ends with it.
        steps = inputs["media_milliseconds"][rows] * config.positions / (1000 * config.step_seconds)
        lengths = steps.ceil().long().clamp(max=tokens.shape[1])
        heard = tokens[rows, : int(lengths.max())]
        vectors = torch.cat([functional.normalize(speech.blank, dim=0)[None], self.vectors["said"].to(heard.device)])
        pieces = SHARPNESS * functional.normalize(heard - self.centre.to(heard.device), dim=-1) @ vectors.T
        ids = [[self.spoken.get(one, -1) for one in self._ids(words[row]["said"])] for row in rows]
        # A sentence with a token outside the list is left to its letters.
        whole = torch.tensor([-1 not in one for one in ids], device=heard.device)
        pieces_loss = ctc(pieces, lengths, [one if -1 not in one else [] for one in ids])
        letters = [[LETTERS.index(letter) + 1 for letter in words[row]["said"] if letter in LETTERS] for row in rows]
        spelled = speech.spell(heard)  # (n, time, slots, letters)
        letters_loss = ctc(spelled.flatten(1, 2), lengths * spelled.shape[2], letters)
        return {
            "tokens said": (pieces_loss * whole).sum() / whole.sum().clamp(min=1),
            "letters said": LETTER_WEIGHT * letters_loss.mean(),
        }


def ctc(logits: Tensor, lengths: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
    """(n, time, classes), (n,), n sequences of classes above 0 -> (n,) loss a target token; 0 where none can fit."""
    flat = torch.tensor([one for target in targets for one in target], dtype=torch.long, device=logits.device)
    counts = torch.tensor([len(target) for target in targets], device=logits.device)
    logs = logits.float().log_softmax(-1).transpose(0, 1)
    losses = functional.ctc_loss(logs, flat, lengths, counts, reduction="none", zero_infinity=True)
    return losses / counts.clamp(min=1)

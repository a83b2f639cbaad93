"""The objective "words" for connectors whose tokens have no roles: what is told of a medium is among its tokens.

    soft tokens of a medium, or of one of its seconds -> cosines with a role's words -> the token that is nearest counts
                                                                                       (log-sum-exp over tokens)

Which token is to say what, the connector finds out by itself: multiple-instance learning (Ilse et al., ICML 2018,
section 2.1, with a smooth maximum). It stands for the pretraining on millions of pairs that the published connectors
had before they met their language models.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from earsight.data.starter.course import NOTHING
from earsight.training.alignment import ROLES, SHARPNESS, listed, media_of
from earsight.training.freezing import nothing_of

# The same word may be seen and heard: a bird in the picture is another direction than a bird in the sound.
CUES = {role: "sound" if role.startswith("heard") else "picture" for role in ROLES}
Seconds = Sequence[Tensor | None]
Auxiliary = Mapping[str, tuple[Tensor, int]]


class TokenWords:
    """What the records' media are to become, and how far the connector is from it."""

    def __init__(self, model: Any, tokenizer: Any, told: Sequence[Mapping[str, Any]]) -> None:
        """`told` are the `words` of all records: {role: word, or one a second with None for unknown}."""
        self.model, self.tokenizer = model, tokenizer
        table = model.get_input_embeddings().weight.detach().float()
        self.centre = table.mean(0)
        self.places: dict[str, dict[str, int]] = {}
        self.vectors: dict[str, Tensor] = {}
        for role, cue in CUES.items():
            words = sorted({word for one in told for word in listed(one.get(role)) if word})
            if words:
                self.places[role] = {word: place for place, word in enumerate(words)}
                both = torch.stack([self._direction(table, word) for word in words]) + self._direction(table, cue)
                self.vectors[role] = functional.normalize(both, dim=-1)

    def _direction(self, table: Tensor, word: str) -> Tensor:
        ids = self.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        return functional.normalize(table[ids].mean(0) - self.centre, dim=-1)

    def loss(
        self, inputs: Mapping[str, Any], words: Sequence[Mapping[str, Any]]
    ) -> tuple[Tensor, dict[str, float], Auxiliary]:
        """A batch's media inputs and their words -> the loss, its parts by name, the connector's auxiliary losses."""
        made, near = self._near(inputs)
        seconds = self._seconds(made.mask)
        found = {role: self._role(near, made.mask, seconds, role, words) for role in self.places}
        parts = {role: part for role, part in found.items() if part is not None}
        total = nothing_of(self.model.connector, near.device) + sum(parts.values())
        told = {f"loss/{role}": float(part.detach()) for role, part in parts.items()}
        return total, told, {name: (value, made.averaged) for name, value in made.losses.items()}

    def readings(
        self, inputs: Mapping[str, Any], words: Sequence[Mapping[str, Any]]
    ) -> dict[str, list["tuple[int, dict[str, float], str]"]]:
        """What the tokens tell: {role: [(which medium, {word: log-probability}, the true word)]}."""
        made, near = self._near(inputs)
        seconds, found = self._seconds(made.mask), {}
        for role, places in self.places.items():
            read = self._read(near, made.mask, seconds, role, words)
            logs = [one.log_softmax(-1).tolist() for _, one, _, _ in read]
            found[role] = [
                (row, dict(zip(places, log, strict=True)), word)
                for (row, _, word, _), log in zip(read, logs, strict=True)
            ]
        return found

    def _near(self, inputs: Mapping[str, Any]) -> tuple[Any, Tensor]:
        """Soft tokens, and their directions (n_media, n_tokens, llm_dim), as long as cosines are to be sharp."""
        made = self.model.soft_tokens(media_of(self.model, inputs))
        centre = self.centre.to(made.values.device)
        return made, SHARPNESS * functional.normalize(made.values.float() - centre, dim=-1)

    def _role(
        self, near: Tensor, mask: Tensor, seconds: Seconds, role: str, words: Sequence[Mapping[str, Any]]
    ) -> Tensor | None:
        """Cross-entropy over the role's words; each medium counts once. None where the batch tells nothing of it."""
        read = self._read(near, mask, seconds, role, words)
        if not read:
            return None
        targets = torch.tensor([self.places[role][word] for _, _, word, _ in read], device=near.device)
        losses = functional.cross_entropy(torch.stack([logits for _, logits, _, _ in read]), targets, reduction="none")
        shares = losses.new_tensor([share for _, _, _, share in read])
        return (losses * shares).sum() / shares.sum()

    def _read(
        self, near: Tensor, mask: Tensor, seconds: Seconds, role: str, words: Sequence[Mapping[str, Any]]
    ) -> list[tuple[int, Tensor, str, float]]:
        """(medium, logits (n_words,), true word, share of its medium) of all that is told of a role."""
        logits = near @ self.vectors[role].to(near.device).T  # (n_media, n_tokens, n_words)
        found = []
        for row, one in enumerate(words):
            here = logits[row][mask[row]]
            asked = [pair for pair in _asked(one.get(role), seconds[row]) if pair[1] in self.places[role]]
            for tokens, word in asked:
                said = here if tokens is None else here[tokens]
                found.append((row, said.logsumexp(0), word, 1.0 / len(asked)))
        return found

    def _seconds(self, mask: Tensor) -> Seconds:
        """Which second each token of each medium is of; None where the connector's tokens do not follow time."""
        tell = getattr(self.model.connector.config, "seconds_of_tokens", None)
        return [None if tell is None else tell(n_tokens) for n_tokens in mask.sum(1).tolist()]


def _asked(told: Any, seconds: Tensor | None) -> Iterator[tuple[Tensor | None, str]]:
    """(tokens, word): which of a medium's tokens are to say it, None for any of them."""
    known = [(second, word) for second, word in enumerate(listed(told)) if word]
    if not isinstance(told, str) and seconds is not None:
        for second, word in known:
            tokens = (seconds == second).nonzero()[:, 0]
            if len(tokens):
                yield tokens, word
        return
    # Of a course without its time only what stays the same can be told; that there is nothing yet is no contradiction.
    different = {word for _, word in known}
    different = different - {NOTHING} or different
    if len(different) == 1:
        yield None, different.pop()

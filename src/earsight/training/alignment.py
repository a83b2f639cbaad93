"""The objectives "words" and "said": the connector alone is to reach the language model's words, without that model.

    a query token of a window  -> nearest of its role's words, by cosine: what is seen, where, how many, what is heard,
                                  whether it begins just now, and together with what is seen
    speech tokens              -> the tokens of what is said, by CTC (which tokens: `spoken_pieces`); and its letters,
                                  by a head of their own
    the token of a moment      begins as the number of its window

"said" is the second of these by itself: its steps are cheap, and it needs many.

Words are the language model's own input embeddings, so what is learned here is what it reads later. Which token of
speech is which word is not known: CTC (Graves et al., 2006) sums over every way to place them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from earsight.connectors.speech_tokens import LETTERS
from earsight.errors import EarsightError
from earsight.model.media_inputs import feature_names, input_names
from earsight.training.freezing import nothing_of
from earsight.training.spoken_pieces import SpokenPieces

SHARPNESS = 16.0  # cosines lie in [-1, 1]; this makes them usable as logits
LETTER_WEIGHT = 0.5
OTHER_TOKENS = 700  # that those of a batch are told apart from
# Which query token of a window tells what. Two roles share one where their words do not crowd each other.
ROLES = {
    "seen kind": 0,
    "seen name": 1,
    "place": 2,
    "number": 2,
    "seen change": 3,
    "heard kind": 4,
    "heard name": 5,
    "heard change": 6,
}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def has_roles(connector: Any) -> bool:
    """Whether the tokens of a connector's windows have places of their own for what is told."""
    return hasattr(connector, "first_query")


class Words:
    """What the records' media are to become, and how far the connector is from it."""

    def __init__(self, model: Any, tokenizer: Any, told: Sequence[Mapping[str, Any]], only_said: bool = False) -> None:
        """`told` are the `words` of all records: {role: word, or one a window with None for unknown; "said": text}.

        Raises:
            EarsightError: the connector has no query token for one of the roles.
        """
        n_queries, n_needed = getattr(model.connector.config, "n_queries", 0), max(ROLES.values()) + 1
        if not only_said and n_queries < n_needed:
            raise EarsightError(
                f"the objective 'words' needs {n_needed} query tokens a window, one for each thing that is told of it; "
                f"this connector has {n_queries}: train it towards 'answers', or set values.connector.n_queries"
            )
        self.model, self.tokenizer, self.only_said = model, tokenizer, only_said
        table = model.get_input_embeddings().weight.detach().float()
        self.centre = table.mean(0)
        self.places: dict[str, dict[str, int]] = {}
        self.vectors: dict[str, Tensor] = {}
        for role in ROLES:
            words = sorted({word for one in told for word in listed(one.get(role)) if word})
            if words:
                self.places[role] = {word: place for place, word in enumerate(words)}
                vectors = torch.stack([table[self._ids(word)].mean(0) for word in words])
                self.vectors[role] = functional.normalize(vectors - self.centre, dim=-1)
        self.pieces = SpokenPieces(tokenizer, (one["said"] for one in told if "said" in one))
        self.spoken = {token: place for place, token in enumerate(self.pieces.tokens, start=1)}  # 0 is CTC's blank
        self.vectors["said"] = functional.normalize(table[self.pieces.tokens] - self.centre, dim=-1)
        self._number_moments(table)

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(f" {text}", add_special_tokens=False)["input_ids"])

    def _number_moments(self, table: Tensor) -> None:
        """Let the moments, where nothing has trained them yet, begin as numbers."""
        moments = getattr(self.model.connector, "moments", None)
        if moments is None or bool(moments.any()):
            return
        told = [NUMBERS[one] if one < len(NUMBERS) else str(one) for one in range(len(moments))]
        with torch.no_grad():
            moments.copy_(torch.stack([table[self._ids(one)].mean(0) for one in told]))

    def loss(
        self, inputs: Mapping[str, Any], words: Sequence[Mapping[str, Any]]
    ) -> tuple[Tensor, dict[str, float], dict[str, Any]]:
        """A batch's media inputs and their words -> the loss, its parts by name, and no auxiliary losses."""
        media = media_of(self.model, inputs)
        parts = self._of_speech(media, words) if self.only_said else self._of_all(media, words)
        losses = [value for value in parts.values() if value.requires_grad]
        total = nothing_of(self.model.connector, self.model.device)
        total = total + torch.stack(losses).sum() if losses else total
        told = {f"loss/{name}": float(value.detach()) for name, value in parts.items() if value.requires_grad}
        return total, told, {}

    def _of_all(self, media: Mapping[str, Any], words: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        made, config = self.model.soft_tokens(media), self.model.connector.config
        # (n_media, n_windows, tokens, llm_dim)
        windows = made.values.float().unflatten(1, (-1, config.tokens_per_window))
        valid = made.mask.unflatten(1, (-1, config.tokens_per_window))[..., 0]  # (n_media, n_windows)
        queries = windows[:, :, config.first_query : config.first_said]
        parts = {
            role: self._nearest(queries[:, :, place], valid, role, words)
            for role, place in ROLES.items()
            if role in self.places
        }
        return parts | self._said(windows[:, :, config.first_said :].flatten(1, 2), media, words)

    @torch.no_grad()
    def transcripts(self, inputs: Mapping[str, Any]) -> list[str]:
        """What the speech tokens write without a language model: the nearest at each time, once, and no blanks."""
        media = media_of(self.model, inputs)
        tokens = self._tokens_of_speech(media)
        if tokens is None:
            return [""] * len(media["media_milliseconds"])
        lengths = self._lengths(media["media_milliseconds"], tokens.shape[1]).tolist()
        places = self._cosines(tokens, self.vectors["said"].to(tokens.device)).argmax(-1)
        written = []
        for row, length in zip(places, lengths, strict=True):
            once = row[:length].unique_consecutive().tolist()
            written.append(self.tokenizer.decode([self.pieces.tokens[one - 1] for one in once if one]).strip())
        return written

    def _of_speech(self, media: Mapping[str, Any], words: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """The query tokens are not even computed."""
        tokens = self._tokens_of_speech(media)
        return {} if tokens is None else self._said(tokens, media, words)

    def _tokens_of_speech(self, media: Mapping[str, Any]) -> Tensor | None:
        config = self.model.connector.config
        given = self.model.features_of(media).get(config.said)
        if given is None:
            return None
        steps = -(-given.values.shape[1] // config.positions)
        return cast(Tensor, self.model.connector.said_tokens(given, steps).float())

    def _lengths(self, milliseconds: Tensor, most: int) -> Tensor:
        """How many speech tokens each medium has: a sentence begins with its medium and ends with it."""
        config = self.model.connector.config
        return (milliseconds * config.positions / (1000 * config.step_seconds)).ceil().long().clamp(max=most)

    def _cosines(self, tokens: Tensor, table: Tensor) -> Tensor:
        """(..., time, llm_dim), (n, llm_dim) -> (..., time, blank and n) cosines, sharpened."""
        vectors = torch.cat([functional.normalize(self.model.connector.speech.blank, dim=0)[None], table])
        return SHARPNESS * functional.normalize(tokens - self.centre.to(tokens.device), dim=-1) @ vectors.T

    def _nearest(self, tokens: Tensor, valid: Tensor, role: str, words: Sequence[Mapping[str, Any]]) -> Tensor:
        """(n_media, n_windows, llm_dim) -> cross-entropy over the role's words; each medium counts once.

        One word for a whole medium is asked of the mean of its windows: a sound is not in each of its seconds.
        """
        found: list[Tensor] = []
        targets: list[int] = []
        weights: list[float] = []
        for row, one in enumerate(words):
            told = one.get(role)
            if isinstance(told, str):
                found.append(tokens[row][valid[row]].mean(0))
                targets.append(self.places[role][told])
                weights.append(1.0)
            elif told:
                known = [(at, word) for at, word in enumerate(told[: int(valid[row].sum())]) if word]
                found += [tokens[row, at] for at, _ in known]
                targets += [self.places[role][word] for _, word in known]
                weights += [1.0 / len(known) for _ in known]
        if not found:
            return tokens.new_zeros(())
        near = functional.normalize(torch.stack(found) - self.centre.to(tokens.device), dim=-1)
        logits = SHARPNESS * near @ self.vectors[role].to(tokens.device).T
        losses = functional.cross_entropy(logits, torch.tensor(targets, device=tokens.device), reduction="none")
        shares = losses.new_tensor(weights)
        return (losses * shares).sum() / shares.sum()

    def _said(self, tokens: Tensor, inputs: Mapping[str, Any], words: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """(n_media, time, llm_dim) -> the two CTC losses, of those media whose words are known."""
        rows = [row for row, one in enumerate(words) if one.get("said")]
        if not rows:
            return {}
        lengths = self._lengths(inputs["media_milliseconds"][rows], tokens.shape[1])
        heard = tokens[rows, : int(lengths.max())]
        ids = [[self.spoken[one] for one in self.pieces.ids(words[row]["said"])] for row in rows]
        kept = self._some({place for one in ids for place in one})
        at = {place: row for row, place in enumerate(kept, start=1)}
        table = self.vectors["said"].to(tokens.device)[torch.tensor(kept, device=tokens.device) - 1]
        pieces_loss = ctc(self._cosines(heard, table), lengths, [[at[place] for place in one] for one in ids])
        letters = [[LETTERS.index(letter) + 1 for letter in words[row]["said"] if letter in LETTERS] for row in rows]
        spelled = self.model.connector.speech.spell(heard)  # (n, time, slots, letters)
        letters_loss = ctc(spelled.flatten(1, 2), lengths * spelled.shape[2], letters)
        return {
            "tokens said": pieces_loss.mean(),
            "letters said": LETTER_WEIGHT * letters_loss.mean(),
        }

    def _some(self, wanted: set[int]) -> list[int]:
        """The wanted tokens among others at random: all of them at every time would be most of a step's work."""
        others = torch.randperm(len(self.spoken))[:OTHER_TOKENS] + 1
        return sorted(wanted | set(others.tolist()))


def media_of(model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Of a batch, what its media are read from."""
    wanted = {*feature_names(model.description), *input_names(model.description)}
    return {name: value for name, value in inputs.items() if name in wanted}


def listed(told: Any) -> Sequence[str | None]:
    """A role's words: one, one a window, or none."""
    return (told,) if isinstance(told, str) else told or ()


def ctc(logits: Tensor, lengths: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
    """(n, time, classes), (n,), n sequences of classes above 0 -> (n,) loss a target token; 0 where none can fit."""
    flat = torch.tensor([one for target in targets for one in target], dtype=torch.long, device=logits.device)
    counts = torch.tensor([len(target) for target in targets], device=logits.device)
    logs = logits.float().log_softmax(-1).transpose(0, 1)
    losses = functional.ctc_loss(logs, flat, lengths, counts, reduction="none", zero_infinity=True)
    return losses / counts.clamp(min=1)

"""What an answer rests on: the same answer scored again with one sense taken away."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from earsight.model.audio_visual_lm import EarsightForConditionalGeneration
from earsight.types import Evidence, Features, SoftTokens

# A sense carries an answer when the answer loses at least this much log-probability per token without it ...
NOTABLE = 0.05
# ... and alone when the other sense's loss is below this share of it.
SHARE = 0.25
Sense = Literal["sound", "picture", "both", "neither"]


@torch.no_grad()
def weigh(
    model: EarsightForConditionalGeneration,
    ids: Tensor,
    reply: Tensor,
    features: Mapping[str, Features],
    milliseconds: Tensor,
    asked: Mapping[str, Tensor],
) -> Evidence:
    """Score a reply with all features, without the sound's (muted) and without the picture's (blanked).

    The prompt stays the same: only what the encoders said is taken away. (1, length), (n_tokens,) -> log-probabilities
    """

    def score(given: Mapping[str, Features]) -> float:
        made = model.connect(given, milliseconds, **asked)
        return _score(model, ids, reply, made)

    scores = {"full": score(features)}
    for name, sense in (("muted", "sound"), ("blanked", "picture")):
        parts = model.description.encoders.values()
        streams = {stream for part in parts if part.sense == sense for stream in part.dims}
        if streams & set(features):
            gone = {stream: _nothing(model, f) for stream, f in features.items() if stream in streams}
            scores[name] = score({**features, **gone})
    return Evidence(scores["full"], scores.get("muted"), scores.get("blanked"), carried_by(scores))


def carried_by(scores: Mapping[str, float]) -> Sense:
    """ "sound", "picture", "both" or "neither", from log-probabilities per token named full, muted and blanked."""
    losses = {
        sense: scores["full"] - scores[ablation]
        for sense, ablation in (("sound", "muted"), ("picture", "blanked"))
        if ablation in scores
    }
    most = max(losses.values(), default=0.0)
    if most < NOTABLE:
        return "neither"
    sound, picture = (losses.get(sense, 0.0) >= max(NOTABLE, SHARE * most) for sense in ("sound", "picture"))
    return "both" if sound and picture else "sound" if sound else "picture"


def _nothing(model: EarsightForConditionalGeneration, features: Features) -> Features:
    """A stream with nothing in it. Where a connector counts tokens by its streams, it keeps its length as zeros."""
    by_clock = getattr(model.description.connector, "counts_by_clock", False)
    mask = torch.zeros_like(features.mask) if by_clock else features.mask
    return Features(torch.zeros_like(features.values), mask, features.rate_hz)


def _score(model: EarsightForConditionalGeneration, ids: Tensor, reply: Tensor, made: SoftTokens) -> float:
    """Mean log-probability of the reply's tokens."""
    whole = torch.cat([ids, reply[None]], dim=1)
    logits = model(input_ids=whole, soft_tokens=made.values, soft_token_mask=made.mask).logits
    before = logits[0, ids.shape[1] - 1 : -1].float().log_softmax(-1)
    return float(before.gather(1, reply[:, None]).mean())

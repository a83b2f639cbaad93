"""What an answer rests on: the same answer scored again with one sense taken away."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from earsight.model.audio_visual_lm import EarsightForConditionalGeneration
from earsight.types import Evidence, Features

# A sense carries an answer when the answer loses at least this much log-probability per token without it ...
NOTABLE = 0.05
# ... and alone when the other sense's loss is below this share of it.
SHARE = 0.25
Sense = Literal["sound", "picture", "both", "neither"]


@torch.no_grad()
def weigh(
    model: EarsightForConditionalGeneration, ids: Tensor, reply: Tensor, features: Mapping[str, Features], steps: Tensor
) -> Evidence:
    """Score a reply with all features, without the sound's (muted) and without the picture's (blanked).

    The prompt stays the same: only what the encoders said is taken away. (1, length), (n_tokens,) -> log-probabilities
    """
    scores = {"full": _score(model, ids, reply, features, steps)}
    for name, streams in (("muted", ("speech", "sound")), ("blanked", ("vision",))):
        if any(stream in features for stream in streams):
            left = {stream: value for stream, value in features.items() if stream not in streams}
            scores[name] = _score(model, ids, reply, left, steps)
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


def _score(
    model: EarsightForConditionalGeneration, ids: Tensor, reply: Tensor, features: Mapping[str, Features], steps: Tensor
) -> float:
    """Mean log-probability of the reply's tokens."""
    made = model.connect(features, steps)
    whole = torch.cat([ids, reply[None]], dim=1)
    logits = model(input_ids=whole, soft_tokens=made.values, soft_token_mask=made.mask).logits
    before = logits[0, ids.shape[1] - 1 : -1].float().log_softmax(-1)
    return float(before.gather(1, reply[:, None]).mean())

"""InstructBLIP's picture side against the published code: ViT, its norm, the Q-Former with and without the question."""

import torch
from torch import Tensor

from earsight.encoders.instructblip import InstructBlipConfig, published_state, sizes_of_published
from golden import Golden


@torch.no_grad()
def compare(golden: Golden) -> None:
    stored = golden.tensors
    config = _config(golden)
    told = sizes_of_published(golden.state)
    assert told == {name: getattr(config, name) for name in told}
    encoder = config.build().eval()
    encoder.load_state_dict(published_state(golden.state))

    before_norm: list[Tensor] = []
    hook = encoder.vision.encoder.register_forward_hook(
        lambda *called: before_norm.append(called[-1].last_hidden_state)
    )
    seen = encoder(stored["pixel_values"], torch.ones(len(stored["pixel_values"])))["vision"].values[:, 0]
    hook.remove()
    _check(golden, "vit_out", torch.cat(before_norm))
    _check(golden, "ln_vision_out", seen)
    if "instruction_ids" in stored:
        asked = (stored["instruction_ids"], stored.get("instruction_mask"))
        _check(golden, "qformer_full", encoder.read_whole(seen, *asked))
        _check(golden, "frame_tokens", encoder.read(seen, *asked))
    _check(golden, "frame_tokens_no_instruction", encoder.read(seen))


def _config(golden: Golden) -> InstructBlipConfig:
    vision, qformer = golden.about["vision"], golden.about["qformer"]
    return InstructBlipConfig(
        image_size=vision["img_size"],
        patch=vision["patch_size"],
        vit_dim=vision["embed_dim"],
        vit_layers=vision["depth"],
        vit_heads=vision["num_heads"],
        vit_ffn_dim=vision["mlp_hidden"],
        vit_norm_eps=vision["block_norm_eps"],
        post_norm_eps=vision["ln_vision_eps"],
        dim=qformer["hidden_size"],
        n_layers=qformer["num_hidden_layers"],
        n_heads=qformer["num_attention_heads"],
        ffn_dim=qformer["intermediate_size"],
        cross_attention_every=qformer["cross_attention_freq"],
        n_queries=qformer["num_query"],
        vocab_size=qformer["vocab_size"],
        max_question_tokens=qformer["max_position_embeddings"],
    )


def _check(golden: Golden, name: str, ours: Tensor) -> None:
    if name in golden.tensors:
        golden.check(name, ours)

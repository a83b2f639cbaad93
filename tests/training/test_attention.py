"""The attention of a training on a processor: the same numbers, sooner."""

import pytest
import torch

from earsight.checkpoints.build import build_tiny
from earsight.training import attention


def language_model(dtype):
    model, _ = build_tiny("starter")
    model.language_model.to(dtype)
    return model


def loss_and_gradient(model, length=9):
    torch.manual_seed(3)
    embeds = torch.randn(3, length, 32, dtype=next(model.language_model.parameters()).dtype, requires_grad=True)
    mask = torch.ones(3, length, dtype=torch.long)
    mask[0, :4], mask[1, :1] = 0, 0  # as they are padded, on the left
    logits = model.language_model(inputs_embeds=embeds, attention_mask=mask).logits
    (logits.float().square() * mask[..., None]).mean().backward()
    return logits.detach()[mask.bool()], embeds.grad[mask.bool()]


@pytest.mark.parametrize("heads", [(4, 4), (6, 2)], ids=["a key for each head", "keys that heads share"])
def test_it_is_the_attention_of_transformers(heads):
    from transformers import LlamaConfig, LlamaForCausalLM

    n_heads, n_keys = heads
    config = LlamaConfig(
        vocab_size=50, hidden_size=n_heads * 8, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=n_heads, num_key_value_heads=n_keys, attn_implementation="sdpa",
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    ids = torch.randint(0, 50, (3, 11))
    mask = torch.ones_like(ids)
    mask[1, :5] = 0
    found = {}
    attention._register()
    for name in ("sdpa", attention.NAME):
        model.set_attn_implementation(name)
        model.zero_grad()
        logits = model(ids, attention_mask=mask).logits[mask.bool()]
        logits.square().mean().backward()
        found[name] = (logits.detach(), model.model.layers[0].self_attn.k_proj.weight.grad.clone())
    for ours, theirs in zip(found[attention.NAME], found["sdpa"], strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_it_is_used_in_bfloat16_only_and_not_longer_than_the_training():
    model = language_model(torch.bfloat16)
    plain, plain_gradient = loss_and_gradient(model)
    with attention.faster(model):
        assert model.language_model.config._attn_implementation == attention.NAME
        logits, gradient = loss_and_gradient(model)
    assert model.language_model.config._attn_implementation == "sdpa"
    assert torch.allclose(logits.float(), plain.float(), atol=0.05)
    assert torch.cosine_similarity(gradient.float().flatten(), plain_gradient.float().flatten(), dim=0) > 0.98
    whole = language_model(torch.float32)
    with attention.faster(whole):
        assert whole.language_model.config._attn_implementation == "sdpa"


def test_a_long_sequence_keeps_the_fused_kernel(monkeypatch):
    model = language_model(torch.bfloat16)
    plain, _ = loss_and_gradient(model)
    monkeypatch.setattr(attention, "LONGEST", 8)
    with attention.faster(model):
        assert torch.equal(loss_and_gradient(model)[0], plain)


def test_an_error_leaves_the_model_as_it_was():
    model = language_model(torch.bfloat16)
    with pytest.raises(KeyError), attention.faster(model):
        raise KeyError
    assert model.language_model.config._attn_implementation == "sdpa"

"""Picture towers and CLAP: what Transformers' own models give, in the order connectors want."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from earsight.encoders import picture_towers
from earsight.encoders.clap import ClapConfig, _extractor
from earsight.encoders.picture_towers import PictureTowerConfig
from earsight.errors import EarsightError

SIZES = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
BACKBONES = {
    "clip": {**SIZES, "model_type": "clip_vision_model", "intermediate_size": 16},
    "siglip": {**SIZES, "model_type": "siglip_vision_model", "intermediate_size": 16},
    "dinov2": {**SIZES, "model_type": "dinov2", "mlp_ratio": 2},
}
TINY_CLAP = {
    "spec_size": 64,
    "num_mel_bins": 64,
    "patch_size": 4,
    "patch_stride": [4, 4],
    "patch_embeds_hidden_size": 8,
    "depths": [1, 1],
    "num_attention_heads": [2, 2],
    "window_size": 4,
}


@pytest.fixture(params=list(BACKBONES))
def config(request):
    torch.manual_seed(0)
    return PictureTowerConfig(BACKBONES[request.param])


def frames(n, height=32, width=32):
    return list(np.random.default_rng(0).integers(0, 256, (n, height, width, 3), dtype=np.uint8))


def own_states(tower, values):
    """Transformers' last hidden state and all hidden states, of the patches where there is no CLS token."""
    told = tower.model(values, output_hidden_states=True)
    return told.last_hidden_state, told.hidden_states


def without_stand_in(config, tokens):
    return tokens if config.has_cls else tokens[:, 1:]


def test_a_tower_gives_transformers_own_last_hidden_state(config, monkeypatch):
    monkeypatch.setattr(picture_towers, "FRAMES_AT_ONCE", 2)  # three frames are two slices
    tower, prepared = config.build().eval(), config.prepare(frames(3))
    made = tower(**prepared)["vision"]
    assert made.values.shape == (3, 1, config.positions, 8) == (3, 1, 17, 8) and made.mask.all()
    last, _ = own_states(tower, prepared["values"])
    assert torch.allclose(without_stand_in(config, made.values[:, 0]), last, atol=1e-6)


def test_another_layer_is_that_hidden_state(config):
    values = config.prepare(frames(1))["values"]
    for layer in (-2, 1):
        tower = replace(config, layer=layer).build().eval()
        states = own_states(tower, values)[1]
        made = tower(values, torch.ones(1))["vision"].values[:, 0]
        assert torch.allclose(without_stand_in(config, made), states[layer], atol=1e-6)


def test_without_a_cls_token_the_mean_of_the_patches_stands_in():
    config = PictureTowerConfig(BACKBONES["siglip"])
    assert not config.has_cls
    tower = config.build().eval()
    made = tower(**config.prepare(frames(2)))["vision"].values[:, 0]
    assert torch.allclose(made[:, 0], made[:, 1:].mean(1), atol=1e-6)


def test_layers_run_in_blocks_give_what_they_give_at_once(config):
    prepared = config.prepare(frames(2))
    tower = config.build().eval()
    before = replace(config, run_blocks=False).build().eval()
    before.load_state_dict(tower.state_dict())
    streams = before(**prepared)
    assert set(streams) == set(before.config.dims) == {"vision", "pixels"}
    assert streams["pixels"].values.shape == (2, 1, 3, 32, 32)
    hidden = streams["vision"].values[:, 0]
    for first, last in ((0, 1), (1, 1), (1, 3)):
        hidden = before.run_layers(hidden, first, last)
    assert torch.allclose(before.finish(hidden), tower(**prepared)["vision"].values[:, 0], atol=1e-6)


def test_gradients_flow_through_a_tower_and_into_no_weight(config):
    tower = config.build().eval()
    hidden = tower.embed(config.prepare(frames(1))["values"]).requires_grad_()
    tower.finish(tower.run_layers(hidden, 0, tower.n_layers)).square().sum().backward()
    assert hidden.grad.abs().sum() > 0
    assert not any(weight.requires_grad for weight in tower.parameters())


def test_each_family_scales_pixels_its_own_way():
    grey = [np.full((32, 32, 3), 255, dtype=np.uint8)]
    values = {name: PictureTowerConfig(one).prepare(grey)["values"][0, 0, 0, 0] for name, one in BACKBONES.items()}
    assert values["siglip"] == 1.0
    assert values["clip"] == pytest.approx((1 - 0.48145466) / 0.26862954)
    assert values["dinov2"] == pytest.approx((1 - 0.485) / 0.229)


def test_frames_of_any_size_are_fitted_whole(config):
    assert config.prepare([*frames(1, 20, 50), *frames(1)])["values"].shape == (2, 3, 32, 32)


def test_the_default_is_clips_large_model():
    config = PictureTowerConfig()
    assert (config.dims, config.positions, config.n_layers) == ({"vision": 1024}, 257, 24)


def test_a_backbone_that_is_no_picture_tower_is_refused():
    with pytest.raises(EarsightError, match="clip_vision_model, siglip_vision_model, dinov2"):
        PictureTowerConfig({"model_type": "llama"}).build()
    with pytest.raises(EarsightError, match="3 layers"):
        PictureTowerConfig(BACKBONES["clip"], layer=4).build()


@pytest.fixture
def clap():
    torch.manual_seed(0)
    return ClapConfig(TINY_CLAP, longest_seconds=0.5)


def test_each_segment_of_sound_is_one_vector(clap):
    noise = np.random.default_rng(0)
    heard = [noise.standard_normal(length).astype(np.float32) for length in (24000, 9000)]
    module, prepared = clap.build().eval(), clap.prepare(heard)
    made = module(**prepared)["sound"]
    assert made.values.shape == (2, 1, clap.dims["sound"]) == (2, 1, 16) and made.mask.all()
    own = module.model(prepared["values"]).pooler_output
    assert torch.allclose(made.values[:, 0], own, atol=1e-6)
    for index, piece in enumerate(heard):
        alone = module(**clap.prepare([piece]))["sound"].values
        assert torch.allclose(made.values[index], alone[0], atol=1e-5)
        assert clap.n_steps(len(piece)) == 1


def test_silent_and_very_short_segments_are_heard(clap):
    pieces = [np.zeros(24000, np.float32), np.ones(1, np.float32), np.zeros(0, np.float32)]
    prepared = clap.prepare(pieces)
    assert torch.equal(prepared["values"], clap.prepare(pieces)["values"])
    assert clap.build().eval()(**prepared)["sound"].values.isfinite().all()


def test_the_published_clap_is_768_wide_and_hears_from_50_hertz():
    assert ClapConfig().dims == {"sound": 768}
    assert _extractor(64).frequency_min == 50
    assert ClapConfig().prepare([np.zeros(480000, np.float32)])["values"].shape == (1, 1, 1001, 64)

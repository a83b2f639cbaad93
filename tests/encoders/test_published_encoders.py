"""BEATs, ImageBind's audio branch and InstructBLIP's picture side: lengths, silence, precision, refused weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from earsight.encoders.beats import BeatsConfig, config_from_published, reference_token_mask
from earsight.encoders.beats import published_state as beats_state
from earsight.encoders.imagebind_audio import ImageBindAudioConfig
from earsight.encoders.imagebind_audio import published_state as imagebind_state
from earsight.encoders.instructblip import InstructBlipConfig
from earsight.encoders.instructblip import published_state as instructblip_state
from earsight.errors import EarsightError
from earsight.media.kaldi_fbank import fbank, n_frames

BEATS = BeatsConfig(n_layers=2, hidden=16, n_heads=4, ffn=32, embed_dim=12, conv_pos=16, conv_pos_groups=4, n_classes=3)
IMAGEBIND = ImageBindAudioConfig(dim=12, n_layers=2, n_heads=2, out_dim=6)
INSTRUCTBLIP = InstructBlipConfig(
    image_size=28, vit_dim=16, vit_layers=2, vit_heads=2, vit_ffn_dim=32, dim=12, n_layers=2, n_heads=2, ffn_dim=24,
    n_queries=4, vocab_size=50, max_question_tokens=16,
)  # fmt: skip
SMALL = {"beats": BEATS, "imagebind": IMAGEBIND, "instructblip": INSTRUCTBLIP}


def built(config):
    """Weights wide enough that a mistake would show: Transformers starts this ViT at almost zero."""
    torch.manual_seed(0)
    encoder = config.build().eval().requires_grad_(False)
    for parameter in encoder.parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=parameter.shape[-1] ** -0.5)
    return encoder


def noise(seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * 16000)).astype(np.float32)


def pictures(n=3):
    return np.random.default_rng(0).integers(0, 256, (n, 40, 30, 3), dtype=np.uint8)


# Kaldi's filterbank


def test_a_filterbank_has_the_frames_that_lie_inside_the_sound():
    for n_samples in (0, 399, 400, 559, 560, 16000):
        assert fbank(torch.randn(2, n_samples)).shape == (2, n_frames(n_samples), 128)
    assert [n_frames(n) for n in (0, 399, 400, 559, 560, 16000)] == [0, 0, 1, 1, 2, 98]


def test_silence_is_the_filterbanks_floor():
    assert torch.equal(fbank(torch.zeros(800)), torch.full((3, 128), torch.finfo(torch.float32).eps).log())


def test_a_tone_is_loudest_in_the_band_that_holds_it():
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(1600) / 16000)
    edges = np.linspace(*(1127 * np.log1p(np.array([20, 8000]) / 700)), 130)
    nearest = np.abs(edges[1:-1] - 1127 * np.log1p(1000 / 700)).argmin()
    for window in ("povey", "hann"):
        assert (fbank(tone, window).argmax(-1) - nearest).abs().max() <= 1


def test_one_waveform_and_a_batch_have_the_same_filterbank():
    batch = torch.randn(2, 4000)
    assert torch.allclose(fbank(batch)[1], fbank(batch[1]), atol=1e-4)


# BEATs


def test_padding_does_not_change_a_neighbour():
    encoder, pieces = built(BEATS), [noise(0.7), noise(2.0, 1), noise(0.01), noise(0.5, 2)]
    together = encoder(**BEATS.prepare(pieces))["sound"]
    for row, piece in enumerate(pieces):
        alone = encoder(**BEATS.prepare([piece]))["sound"]
        steps = BEATS.n_steps(len(piece))
        assert steps == int(together.mask[row].sum()) == int(alone.mask.sum())
        assert torch.allclose(together.values[row, :steps], alone.values[0], atol=1e-5)
        assert not together.values[row, steps:].any()
        assert torch.allclose(encoder.probabilities(together)[row], encoder.probabilities(alone)[0], atol=1e-5)


def test_sound_shorter_than_a_patch_has_no_steps():
    encoder = built(BEATS)
    for pieces in ([noise(0.01)], [noise(0.0), noise(0.1)], [noise(0.17)]):
        heard = encoder(**BEATS.prepare(pieces))["sound"]
        assert [BEATS.n_steps(len(piece)) for piece in pieces] == heard.mask.sum(1).tolist()
        assert heard.values.shape == (*heard.mask.shape, 16)
        assert encoder.probabilities(heard).isfinite().all()


def test_half_a_minute_makes_1496_steps_at_fifty_a_second():
    assert BeatsConfig().n_steps(30 * 16000) == 1496
    assert BeatsConfig().rate_hz == 50


def test_the_gated_bias_is_the_one_written_with_a_table_of_pairs():
    encoder = built(BEATS).encoder
    attention = encoder.layers[0].self_attn
    queries, keys, values = torch.randn(3, 4, 5, 4)
    gate = torch.rand(4, 5, 1)
    distances = encoder._bias_by_distance(9)  # of a longer neighbour
    key_minus_query = torch.arange(5)[None] - torch.arange(5)[:, None]
    table = distances.flip(1)[:, key_minus_query + 8]
    scores = queries @ keys.transpose(1, 2) / 2.0 + gate * table
    expected = scores.softmax(-1) @ values
    assert torch.allclose(attention._piece(queries, keys, values, gate, distances), expected, atol=1e-6)


def test_a_sample_mask_of_whole_sound_hides_no_token():
    mask = torch.ones(1, 32000, dtype=torch.bool)
    assert reference_token_mask(mask, 198, 96).all()


def test_beats_has_the_published_number_of_parameters():
    with torch.device("meta"):
        encoder = BeatsConfig().build()
    assert sum(one.numel() for one in encoder.parameters()) == pytest.approx(90.3e6, rel=0.005)


def test_a_beats_model_of_another_kind_is_refused():
    with pytest.raises(EarsightError, match="layer_norm_first"):
        config_from_published({"layer_norm_first": True})
    with pytest.raises(EarsightError, match="encoder_layers"):
        config_from_published({})


# ImageBind


def test_a_piece_of_sound_is_one_step_of_229_tokens():
    prepared = ImageBindAudioConfig().prepare([noise(2.0), noise(0.5)])
    assert prepared["values"].shape == (2, 1, 128, 204)
    assert prepared["lengths"].tolist() == [32000, 8000]
    heard = built(IMAGEBIND)(**prepared)["sound"]
    assert heard.values.shape == (2, 1, 229, 12)
    assert heard.mask.tolist() == [[True], [True]]


def test_blocks_are_run_where_asked_for():
    encoder, prepared = built(IMAGEBIND), IMAGEBIND.prepare([noise(2.0)])
    before = encoder(**prepared)["sound"].values[:, 0]
    after = built(replace(IMAGEBIND, run_blocks=True))(**prepared)["sound"].values[:, 0]
    assert torch.allclose(after, encoder.trunk(before), atol=1e-6)


def test_an_embedding_is_twenty_long():
    lengths = built(IMAGEBIND).embedding(torch.randn(3, 1, 128, 204)).norm(dim=-1)
    assert torch.allclose(lengths, torch.full((3,), 20.0))


def test_a_piece_embeds_alike_alone_and_in_a_batch():
    encoder, pieces = built(IMAGEBIND), [noise(2.0), noise(0.3, 1), noise(0.0)]
    together = encoder.embedding(IMAGEBIND.prepare(pieces)["values"])
    alone = torch.cat([encoder.embedding(IMAGEBIND.prepare([one])["values"]) for one in pieces[:2]])
    assert torch.allclose(together[:2], alone, atol=1e-5)
    assert encoder(**IMAGEBIND.prepare(pieces))["sound"].mask.tolist() == [[True], [True], [False]]


# InstructBLIP


def test_a_frame_becomes_patch_features_and_then_the_querys_tokens():
    encoder, prepared = built(INSTRUCTBLIP), INSTRUCTBLIP.prepare(pictures())
    seen = encoder(**prepared)["vision"]
    assert prepared["values"].shape == (3, 3, 28, 28)
    assert seen.values.shape == (3, 1, INSTRUCTBLIP.n_patch_features, 16)
    assert encoder.read(seen.values[:, 0]).shape == (3, INSTRUCTBLIP.positions, 12)


def test_the_question_changes_what_is_read_and_its_padding_does_not():
    encoder = built(INSTRUCTBLIP)
    seen = torch.randn(2, INSTRUCTBLIP.n_patch_features, 16)
    ids = torch.tensor([[5, 6, 7, 0], [5, 6, 7, 8]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    together = encoder.read(seen, ids, mask)
    assert torch.allclose(together[:1], encoder.read(seen[:1], ids[:1, :3]), atol=1e-5)
    assert not torch.allclose(together, encoder.read(seen), atol=1e-3)


def test_many_frames_are_seen_and_read_in_slices_as_one_by_one(monkeypatch):
    monkeypatch.setattr("earsight.encoders.instructblip.FRAMES_AT_ONCE", 2)
    encoder, prepared = built(INSTRUCTBLIP), INSTRUCTBLIP.prepare(pictures(3))
    seen = encoder(**prepared)["vision"].values[:, 0]
    alone = encoder(prepared["values"][2:], prepared["lengths"][2:])["vision"].values[:, 0]
    assert torch.allclose(seen[2:], alone, atol=1e-5)
    assert torch.allclose(encoder.read(seen)[2:], encoder.read(alone), atol=1e-5)


def test_no_frames_are_no_error():
    encoder = built(INSTRUCTBLIP)
    seen = encoder(**INSTRUCTBLIP.prepare(pictures(0)))["vision"].values
    assert encoder.read(seen[:, 0]).shape == (0, 4, 12)


# All of them


@pytest.mark.parametrize("name", ["beats", "imagebind"])
def test_silence_is_finite(name):
    config = replace(SMALL[name], run_blocks=True) if name == "imagebind" else SMALL[name]
    heard = built(config)(**config.prepare([np.zeros(16000, dtype=np.float32)]))["sound"]
    assert heard.mask.any()
    assert heard.values.isfinite().all()


@pytest.mark.parametrize("name", list(SMALL))
def test_bfloat16_is_near_float32(name):
    config = replace(SMALL[name], run_blocks=True) if name == "imagebind" else SMALL[name]
    encoder = built(config)
    prepared = config.prepare(pictures() if name == "instructblip" else [noise(1.0), noise(0.6, 1)])
    exact = next(iter(encoder(**prepared).values())).values
    coarse = next(iter(encoder.bfloat16()(**prepared).values())).values
    assert coarse.dtype == torch.bfloat16
    assert (coarse.float() - exact).abs().mean() < 0.05 * exact.abs().mean()
    if name == "instructblip":
        assert encoder.read(coarse[:, 0], torch.ones(3, 2, dtype=torch.long)).dtype == torch.bfloat16


@pytest.mark.parametrize("name", list(SMALL))
def test_weights_that_lack_one_tensor_are_refused(name):
    state = dict(built(SMALL[name]).state_dict())
    state.popitem()
    with pytest.raises(RuntimeError, match="Missing key"):
        SMALL[name].build().load_state_dict(state)


def test_only_the_part_of_a_published_file_that_is_ours_is_taken():
    one = torch.ones(1)
    beats = beats_state({"predictor.bias": one, "encoder.layers.1.self_attn.relative_attention_bias.weight": one})
    assert beats == {}
    assert list(beats_state({"predictor.bias": one}, predictor=True)) == ["predictor.bias"]
    assert imagebind_state({"modality_trunks.vision.blocks.0.norm_1.bias": one}) == {}
    assert instructblip_state({"llm_proj.bias": one, "Qformer.bert.embeddings.position_ids": one}) == {}

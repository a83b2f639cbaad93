"""The frozen encoders' own code: shapes, padding, widths."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from earsight.encoders.efficientnet_lite import STAGES, EfficientNetLiteConfig, _Conv, _norm, _scaled_width
from earsight.encoders.whisper import WhisperPiecesConfig, WhisperStreamsConfig, published_state

TINY = {
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "num_mel_bins": 80,
}


def test_lite2_has_the_published_widths_and_depths():
    widths = [_scaled_width(stage[4], 1.1) for stage in STAGES]
    assert widths == [16, 24, 48, 88, 120, 208, 352]
    assert len(EfficientNetLiteConfig().build()._blocks) == 21


def test_same_padding_puts_the_odd_pixel_right_and_bottom():
    conv = _Conv(1, 1, 3, stride=2)
    torch.nn.init.ones_(conv.weight)
    picture = torch.zeros(1, 1, 4, 4)
    picture[0, 0, 0, 0] = 1.0
    # Padding of one pixel, at the end: the first window starts at the picture's own corner.
    assert conv.convolved(picture, conv.weight, None)[0, 0].tolist() == [[1, 0], [0, 0]]
    picture = torch.zeros(1, 1, 4, 4)
    picture[0, 0, 3, 3] = 1.0
    assert conv.convolved(picture, conv.weight, None)[0, 0].tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(("kernel", "stride", "size"), [(1, 1, 8), (3, 1, 8), (5, 2, 8), (3, 2, 9)])
def test_batch_norm_whose_statistics_stand_is_folded_into_its_convolution(kernel, stride, size):
    torch.manual_seed(0)
    conv, norm = _Conv(3, 4, kernel, stride=stride), _norm(4)
    for values in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        values.uniform_(0.5, 2.0)
    hidden = torch.randn(2, 3, size, size)
    folded, apart = conv(hidden, norm.eval()), norm(conv.convolved(hidden, conv.weight, None))
    torch.testing.assert_close(folded, apart, atol=1e-5, rtol=1e-5)
    assert folded.shape[-1] == -(-size // stride)
    before = norm.running_mean.clone()
    conv(hidden, norm.train())
    assert not torch.equal(norm.running_mean, before), "statistics that are trained follow the batch"


def test_a_frame_becomes_its_mean_and_its_cells():
    config = EfficientNetLiteConfig(width=0.25, depth=0.4, image_size=64)
    made = config.build().eval()(torch.randn(2, 3, 64, 64), torch.ones(2, dtype=torch.long))
    assert made["vision"].values.shape == (2, 1, config.positions, 1280)


def test_pixels_are_handed_on_at_the_side_that_a_connector_wants():
    config = EfficientNetLiteConfig(width=0.25, depth=0.4, image_size=64, with_pixels=True, pixels_size=32)
    pictures = torch.randn(2, 3, 64, 64)
    pixels = config.build().eval()(pictures, torch.ones(2, dtype=torch.long))["pixels"].values
    assert torch.allclose(pixels[:, 0, :, 3, 5], pictures[:, :, 6:8, 10:12].mean((2, 3)))
    assert config.dims["pixels"] == 3 and pixels.shape == (2, 1, 3, 32, 32)


def test_whisper_gives_ten_steps_a_second_in_two_streams():
    config = WhisperStreamsConfig(TINY, chunk_seconds=2.0, sound_layers=(1, 2), pool=5)
    streams = config.build().eval()(torch.randn(3, 80, 200), torch.tensor([32000, 16000, 100]))
    shapes = {name: tuple(given.values.shape) for name, given in streams.items()}
    assert shapes == {"speech": (3, 20, 16), "sound": (3, 20, 32)}
    assert streams["sound"].mask.sum(1).tolist() == [20, 10, 1] == [config.n_steps(n) for n in (32000, 16000, 100)]


def test_whispers_padding_is_cut_away_unless_it_is_to_be_kept():
    config = WhisperStreamsConfig(TINY, chunk_seconds=2.0)
    prepared = config.prepare([np.zeros(8000, dtype=np.float32)])
    assert config.build().eval()(**prepared)["speech"].values.shape == (1, 25, 16)
    kept = replace(config, keep_padding=True)
    assert kept.build().eval()(**prepared)["speech"].mask.sum() == 100 == kept.n_steps(8000)


def test_whispers_positions_are_cut_to_a_chunk():
    config = WhisperStreamsConfig({**TINY, "d_model": 4}, chunk_seconds=1.0)
    kept = published_state({"embed_positions.weight": torch.zeros(1500, 4)}, config)
    assert kept["encoder.embed_positions.weight"].shape == (50, 4)


def whisper(**settings):
    torch.manual_seed(0)
    config = WhisperStreamsConfig(backbone=TINY, chunk_seconds=2.0, sound_layers=(1, 2), **settings)
    return config, config.build().eval()


def test_whisper_layer_by_layer_is_transformers_encoder():
    config, encoder = whisper()
    prepared = config.prepare([np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)])
    with torch.no_grad():
        ours = encoder(**prepared)
        theirs = encoder.encoder(prepared["values"], output_hidden_states=True)
    assert torch.equal(ours["speech"].values, theirs.last_hidden_state)
    assert torch.equal(ours["sound"].values, torch.cat([theirs.hidden_states[1], theirs.hidden_states[2]], dim=-1))


def test_a_sound_padded_to_its_own_length_has_the_features_it_has_alone():
    config, encoder = whisper(pool=5, stack=True, pad_seconds=0.5)
    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1, length).astype(np.float32) for length in (3000, 8000, 20000, 32000)]
    with torch.no_grad():
        together = encoder(**config.prepare(sounds))
        for row, sound in enumerate(sounds):
            alone = encoder(**config.prepare([sound]))
            for stream, given in alone.items():
                steps = given.values.shape[1]
                assert int(together[stream].mask[row].sum()) == steps == config.n_steps(len(sound))
                assert torch.allclose(together[stream].values[row, :steps], given.values[0], atol=1e-5), stream


def test_frames_of_speech_side_by_side_are_five_times_as_wide():
    config, encoder = whisper(pool=5, stack=True, pad_seconds=0.5)
    with torch.no_grad():
        made = encoder(**config.prepare([np.zeros(16000, dtype=np.float32)]))
    assert made["speech"].values.shape == (1, 10, 5 * 16) and config.dims["speech"] == 80
    assert made["sound"].values.shape == (1, 10, 2 * 16)


def test_a_piece_of_sound_is_the_mean_of_what_whispers_middle_layers_say_while_it_lasts():
    torch.manual_seed(0)
    config = WhisperPiecesConfig(backbone=TINY, longest_seconds=2.0, sound_layers=(1, 2))
    encoder = config.build().eval()
    prepared = config.prepare([np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)])
    with torch.no_grad():
        made = encoder(**prepared)["sound"].values
        states = encoder.encoder(prepared["values"], output_hidden_states=True).hidden_states
    assert torch.allclose(made[0, 0], torch.cat([states[1], states[2]], dim=-1)[0, :25].mean(0), atol=1e-6)


def test_a_short_piece_that_is_padded_to_its_own_length_has_the_vector_it_has_alone():
    torch.manual_seed(0)
    config = WhisperPiecesConfig(backbone=TINY, longest_seconds=2.0, sound_layers=(1,), pad_seconds=0.5)
    encoder = config.build().eval()
    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1, length).astype(np.float32) for length in (3000, 8000, 32000)]
    with torch.no_grad():
        together = encoder(**config.prepare(sounds))["sound"].values
        for row, sound in enumerate(sounds):
            alone = config.prepare([sound])
            assert alone["values"].shape[2] == (50, 50, 200)[row]
            assert torch.allclose(together[row], encoder(**alone)["sound"].values[0], atol=1e-5)


def test_a_pieces_tokens_are_those_of_its_own_length_and_its_log_mel_that_of_the_whole_piece():
    torch.manual_seed(0)
    config = WhisperPiecesConfig(TINY, longest_seconds=2.0, sound_layers=(1,), pool=10, with_mel=True, pad_seconds=0.5)
    encoder, rng = config.build().eval(), np.random.default_rng(0)
    short, long = (rng.normal(0, 0.1, length).astype(np.float32) for length in (9000, 32000))
    with torch.no_grad():
        both = encoder(**config.prepare([short, long]))
        alone = encoder(**config.prepare([short]))
        whole = replace(config, pad_seconds=None)
        padded = whole.build().eval()
        padded.load_state_dict(encoder.state_dict())
        before = padded(**whole.prepare([short, long]))
    tokens = both["sound"].values[0, 0]
    assert tokens.shape == (config.positions, 16) and torch.allclose(tokens, alone["sound"].values[0, 0], atol=1e-5)
    assert tokens[6:].eq(0).all() and tokens[:6].ne(0).any(1).all(), "a second of it is encoded: its mean, five tokens"
    assert torch.allclose(both["sound"].values[1], before["sound"].values[1], atol=1e-5)
    assert torch.equal(both["mel"].values, before["mel"].values)

"""The frozen encoders' own code: shapes, padding, widths."""

import torch

from earsight.encoders.efficientnet_lite import STAGES, EfficientNetLiteConfig, _Conv, _scaled_width
from earsight.encoders.whisper import WhisperStreamsConfig, published_state


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
    assert conv(picture)[0, 0].tolist() == [[1, 0], [0, 0]]
    picture = torch.zeros(1, 1, 4, 4)
    picture[0, 0, 3, 3] = 1.0
    assert conv(picture)[0, 0].tolist() == [[0, 0], [0, 1]]


def test_a_frame_becomes_its_mean_and_its_cells():
    config = EfficientNetLiteConfig(width=0.25, depth=0.4, image_size=64)
    tokens = config.build().eval()(torch.randn(2, 3, 64, 64))
    assert tokens.shape == (2, config.n_tokens, 1280)


def test_whisper_gives_ten_steps_a_second_in_two_streams():
    config = WhisperStreamsConfig(dim=16, n_layers=2, n_heads=2, chunk_seconds=2.0, sound_layers=(1, 2))
    streams = config.build().eval()(torch.randn(3, 80, 200))
    assert {name: tuple(values.shape) for name, values in streams.items()} == {
        "speech": (3, 20, 16),
        "sound": (3, 20, 32),
    }


def test_whispers_positions_are_cut_to_a_chunk():
    config = WhisperStreamsConfig(dim=4, chunk_seconds=1.0)
    kept = published_state({"embed_positions.weight": torch.zeros(1500, 4)}, config)
    assert kept["encoder.embed_positions.weight"].shape == (50, 4)

"""The connectors of SALMONN and video-SALMONN: counts, batches, absent streams, causality."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from earsight.connectors.multi_resolution_qformer import Level, MultiResolutionQFormerConfig
from earsight.connectors.multi_resolution_qformer import published_state as multi_resolution_state
from earsight.connectors.window_qformer import WindowQFormerConfig, published_state
from earsight.errors import EarsightError
from earsight.media.spotlight import spotlight
from earsight.types import Extent, Features

SMALL = {"hidden": 12, "n_layers": 2, "n_heads": 3, "intermediate": 16}
WINDOW = WindowQFormerConfig(**SMALL)
WINDOW_DIMS = {"speech": 5, "sound": 4}
MULTI = MultiResolutionQFormerConfig(
    positions=5,
    step_seconds=0.5,
    levels=(Level(0.5, 1), Level(1.0, 2), Level(2.0, 4)),
    audio_dim=4,
    max_positions=64,
    **SMALL,
)
MULTI_DIMS = {"vision": 4, "speech": 5, "sound": 3}
MULTI_RATES = {"vision": 2.0, "speech": 8.0, "sound": 8.0}  # four frames of sound a step


def built(config, dims=None):
    torch.manual_seed(0)
    multi = isinstance(config, MultiResolutionQFormerConfig)
    connector = config.build(dims or (MULTI_DIMS if multi else WINDOW_DIMS), llm_dim=6).eval()
    for one in connector.parameters():  # fresh weights are so small that nothing would differ
        if one.ndim > 1:
            torch.nn.init.normal_(one, std=0.3)
    return connector


def stream(lengths, dim, rate_hz, positions=None, seed=0):
    """A batch of one stream, zero beyond each medium's length; what a medium holds depends on its length alone."""
    mask = torch.arange(max(lengths, default=0))[None] < torch.tensor(lengths)[:, None]
    shape = (*mask.shape, *([positions] if positions else []), dim)
    values = torch.zeros(shape)
    for row, length in enumerate(lengths):
        made = torch.Generator().manual_seed(100 * seed + length)
        values[row, :length] = torch.randn(length, *shape[2:], generator=made)
    return Features(values, mask, rate_hz)


def window_features(speech, sound):
    return {"speech": stream(speech, 5, 50.0, seed=1), "sound": stream(sound, 4, 50.0, seed=2)}


def multi_features(vision, speech, sound):
    return {
        "vision": stream(vision, 4, 2.0, positions=5, seed=1),
        "speech": stream(speech, 5, 8.0, seed=2),
        "sound": stream(sound, 3, 8.0, seed=3),
    }


def run(connector, features):
    n_media = len(next(iter(features.values())).values) if features else 1
    with torch.no_grad():
        return connector(features, torch.zeros(n_media, dtype=torch.long))


def extents(features):
    """What the processor would count by."""
    n_media = len(next(iter(features.values())).mask)
    for row in range(n_media):
        here = {name: one for name, one in features.items() if one.mask[row].any()}
        steps = {name: int(one.mask[row].nonzero().max()) + 1 for name, one in here.items()}
        yield Extent(0, steps, {name: one.rate_hz for name, one in here.items()})


def assert_counted_and_as_alone(connector, features):
    made = run(connector, features)
    counts = made.mask.sum(1).tolist()
    assert counts == [connector.config.n_soft_tokens(extent) for extent in extents(features)]
    for row, count in enumerate(counts):
        assert made.mask[row, :count].all() and not made.values[row, count:].any()
        alone = {n: Features(f.values[row : row + 1], f.mask[row : row + 1], f.rate_hz) for n, f in features.items()}
        alone = {n: f for n, f in alone.items() if f.mask.any()}
        cut = {n: int(f.mask.nonzero()[:, 1].max()) + 1 for n, f in alone.items()}
        alone = {n: Features(f.values[:, : cut[n]], f.mask[:, : cut[n]], f.rate_hz) for n, f in alone.items()}
        torch.testing.assert_close(run(connector, alone).values[0], made.values[row, :count], rtol=0, atol=1e-5)


# --- SALMONN


def test_thirty_seconds_are_89_windows_and_88_where_the_last_is_dropped():
    extent = Extent(30_000, {"speech": 1500, "sound": 1496}, {"speech": 50.0, "sound": 50.0})
    assert WINDOW.n_soft_tokens(extent) == 89
    dropping = replace(WINDOW, last_window="drop")
    assert dropping.n_soft_tokens(extent) == 88
    features = window_features([1500], [1496])
    assert run(built(WINDOW), features).mask.sum() == 89 and run(built(dropping), features).mask.sum() == 88


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n_queries": 3},
        {"stride_seconds": 0.16},
        {"stride_seconds": 0.16, "last_window": "drop"},
        {"last_window": "drop"},
        {"mask_padding": False},
        {"windowed": False, "n_queries": 2},
        {"windowed": False, "mask_padding": False},
    ],
    ids=str,
)
def test_windows_are_as_many_as_counted_and_the_same_beside_other_sound(settings):
    connector = built(replace(WINDOW, **settings))
    assert_counted_and_as_alone(connector, window_features([1, 16, 17, 18, 0, 0, 40], [0, 17, 33, 34, 35, 0, 36]))


def test_a_stream_nobody_has_is_zeros():
    connector = built(WINDOW)
    heard = window_features([40], [0])
    padded = {**heard, "sound": Features(torch.zeros(1, 40, 4), torch.zeros(1, 40, dtype=torch.bool), 50.0)}
    del heard["sound"]
    assert torch.equal(run(connector, heard).values, run(connector, padded).values)
    assert run(connector, {}).values.shape == (1, 0, 6)


def test_a_gap_before_late_sound_is_finite():
    features = window_features([60], [60])
    for one in features.values():
        one.mask[:, :40] = False
        one.values[:, :40] = 0
    made = run(built(WINDOW), features)
    assert made.mask.sum() == 4 and made.values.isfinite().all()


def test_padding_is_hidden_unless_the_setting_says_otherwise():
    features = window_features([20], [20])
    hidden, read = (run(built(replace(WINDOW, mask_padding=mask)), features).values for mask in (True, False))
    assert torch.equal(hidden[:, 0], read[:, 0]) and not torch.allclose(hidden[:, 1], read[:, 1])


def test_salmonn_13b_has_the_published_number_of_parameters():
    with torch.device("meta"):
        connector = WindowQFormerConfig().build({"speech": 1280, "sound": 768}, 5120)
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in connector.named_children()}
    assert sizes == {"qformer": 22_837_248, "project": 3_937_280, "norms": 4_096}
    assert connector.query_tokens.numel() == 768


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(EarsightError, match="stride_seconds 0.5 is longer"):
        WindowQFormerConfig(stride_seconds=0.5)
    with pytest.raises(EarsightError, match="less than one frame at 1 Hz"):
        WINDOW.n_soft_tokens(Extent(0, {"speech": 3}, {"speech": 1.0}))
    mixed = {"speech": stream([4], 5, 50.0), "sound": stream([4], 4, 25.0)}
    with pytest.raises(EarsightError, match="must have one rate"):
        run(built(WINDOW), mixed)


def test_published_names_that_have_no_use_are_told():
    state = {
        "ln_audio.bias": torch.zeros(1),
        "speech_Qformer.bert.embeddings.position_ids": torch.zeros(1),
        "speech_Qformer.bert.encoder.layer.0.intermediate.dense.bias": torch.zeros(1),
        "speech_Qformer.bert.encoder.layer.0.output_query.dense.bias": torch.zeros(1),
    }
    ours, ignored = published_state(state)
    assert list(ours) == ["norms.sound.bias", "qformer.encoder.layer.0.output_query.dense.bias"]
    assert ignored == [name for name in state if "position_ids" in name or ".intermediate." in name]


# --- video-SALMONN


def test_sixty_steps_make_180_tokens():
    config = MultiResolutionQFormerConfig()
    assert config.n_soft_tokens(Extent(30_000, {"vision": 60}, {"vision": 2.0})) == 180
    assert config.n_soft_tokens(Extent(30_000, {"speech": 1500}, {"speech": 50.0})) == 180
    assert config.n_soft_tokens(Extent(30_020, {"vision": 60, "sound": 1501}, {"vision": 2.0, "sound": 50.0})) == 210
    assert config.n_soft_tokens(Extent(0, {"vision": 1}, {"vision": 2.0})) == 30
    assert config.n_soft_tokens(Extent(1000, {}, {})) == 0


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shared": False},
        {"causal": "future"},
        {"causal": "none"},
        {"levels": (Level(2.0, 3),)},
        {"levels": (Level(1.0, 1), Level(3.0, 3))},
        {"synchronised": False},
    ],
    ids=str,
)
def test_levels_give_as_many_tokens_as_counted_and_the_same_beside_other_media(settings):
    connector = built(replace(MULTI, **settings))
    features = multi_features([0, 1, 4, 5, 9, 0, 3], [0, 0, 17, 3, 36, 33, 4], [0, 0, 16, 5, 0, 33, 4])
    assert_counted_and_as_alone(connector, features)


def test_without_synchronisation_sound_changes_no_token_of_the_picture():
    apart, together = (built(replace(MULTI, synchronised=on)) for on in (False, True))
    seen, quiet, loud = (multi_features([8], n, n) for n in ([0], [16], [16]))
    loud["speech"].values.mul_(-3)
    with torch.no_grad():
        made = {name: run(apart, one).values for name, one in (("seen", seen), ("quiet", quiet), ("loud", loud))}
        changed = run(together, loud).values - run(together, quiet).values
    n_seen = made["seen"].shape[1]
    assert 0 < n_seen < made["quiet"].shape[1] and changed.abs().max() > 1e-3
    torch.testing.assert_close(made["quiet"][:, :n_seen], made["seen"])
    torch.testing.assert_close(made["loud"][:, :n_seen], made["seen"])
    assert (made["loud"] - made["quiet"])[:, n_seen:].abs().max() > 1e-3


@pytest.mark.parametrize("direction", ["past", "future"])
def test_a_frame_reaches_only_the_frames_on_one_side(direction):
    connector = built(replace(MULTI, causal=direction))
    states = torch.randn(1, 4 * MULTI.positions, 12)
    by_frame = (1, 4, MULTI.positions, 12)
    with torch.no_grad():
        before = connector.qformers[0].causal_states(0, states).view(by_frame)
        changes = []
        for frame in (0, 3):
            other = states.clone().view(by_frame)
            other[:, frame] += 1
            after = connector.qformers[0].causal_states(0, other.view(states.shape)).view(by_frame)
            changes.append([not torch.allclose(before[:, i], after[:, i], atol=1e-6) for i in range(4)])
    alone, all_frames = changes if direction == "future" else changes[::-1]
    assert all(all_frames) and alone == [i == (0 if direction == "future" else 3) for i in range(4)]


def test_without_the_block_there_are_no_weights_for_it():
    assert not [n for n, _ in built(replace(MULTI, causal="none")).named_parameters() if ".causal." in n]


def test_absent_sound_is_zeros_and_shorter_sound_is_the_bias():
    connector = built(MULTI)
    features = multi_features([2], [8], [4])
    joined = connector.join(features, 1, 2)[0]  # (steps, positions, vision 4 | speech 4 | sound 4)
    assert torch.equal(joined[1, :4, 8:], connector.audio["sound"].bias.expand(4, 4))
    assert not joined[:, 4, 4:].any()  # the fifth position of a step has no sound
    del features["sound"]
    assert not connector.join(features, 1, 2)[..., 8:].any()


def test_media_without_anything_have_no_tokens_and_no_loss():
    connector = built(MULTI)
    made = run(connector, multi_features([0, 0], [0, 0], [0, 0]))
    assert made.values.shape == (2, 0, 6) and made.losses["diversity"] == 0
    assert run(connector, {}).mask.shape == (1, 0)


def test_diversity_is_of_real_windows_only():
    connector = built(MULTI)
    both, one = (run(connector, multi_features(n, n, n)).losses["diversity"] for n in ([8, 0], [8]))
    torch.testing.assert_close(both, one)
    same = [torch.ones(2, 4, 12)] * 3
    torch.testing.assert_close(connector.diversity(same), torch.tensor(2.0))  # one for each of two coarse levels


@pytest.mark.parametrize("synchronised", [True, False])
def test_diversity_is_the_mean_over_the_windows_of_all_media(synchronised):
    connector = built(replace(MULTI, synchronised=synchronised))
    counts = ([8], [40], [8, 40])
    made = [run(connector, multi_features(n, n, n)) for n in counts]
    short, long, both = (one.losses["diversity"] * one.averaged for one in made)
    assert made[0].averaged < made[1].averaged
    torch.testing.assert_close(both, short + long)


def test_gradients_and_half_precision_are_finite_where_a_fine_window_is_all_padding():
    connector = built(MULTI).train()
    with torch.autocast("cpu", torch.bfloat16):
        made = connector(multi_features([1], [2], [2]), torch.zeros(1, dtype=torch.long))
    (made.values.float().sum() + made.losses["diversity"].float()).backward()
    assert made.values.isfinite().all() and all(
        p.grad is None or p.grad.isfinite().all() for p in connector.parameters()
    )


def test_a_checkpoint_gives_its_levels_back():
    assert MultiResolutionQFormerConfig(**asdict(MULTI)) == MULTI


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"levels": (Level(0.5, 3), Level(5.0, 20))}, "equation 3"),
        ({"levels": (Level(2.0, 2), Level(5.0, 5))}, "do not fill"),
        ({"levels": (Level(0.7, 1), Level(5.0, 5))}, "not whole steps"),
        ({"levels": (Level(5.0, 30), Level(0.5, 3))}, "do not fill"),
        ({"levels": ()}, "empty"),
    ],
)
def test_levels_that_do_not_fit_are_refused(settings, told):
    with pytest.raises(EarsightError, match=told):
        MultiResolutionQFormerConfig(**settings)


def test_a_window_over_the_position_table_is_refused():
    with pytest.raises(EarsightError, match="over max_positions"):
        MultiResolutionQFormerConfig(max_positions=64).build({"vision": 8, "speech": 8, "sound": 8}, 8)


def test_sound_with_more_frames_than_positions_is_refused():
    with pytest.raises(EarsightError, match="50 frames in a step"):
        MultiResolutionQFormerConfig().n_soft_tokens(Extent(0, {"speech": 10}, {"speech": 100.0}))


@pytest.mark.parametrize("shared", [True, False])
def test_a_stored_but_unused_qformer_is_left_out(shared):
    names = ("low_query_tokens", "video_query_tokens", "low_Qformer.bert.embeddings.LayerNorm.bias", "llama_proj.bias")
    config = replace(MULTI, levels=(Level(0.5, 1), Level(1.0, 2)), shared=shared)
    ours, ignored = multi_resolution_state(dict.fromkeys(names, torch.zeros(1)), config)
    used = set() if shared else {"qformers.0.layernorm.bias"}
    assert set(ours) == {"query_tokens.0", "query_tokens.1", "project.bias", *used}
    assert ignored == ([names[2]] if shared else [])


# --- image spotlight


def test_the_spotlight_goes_from_top_left_to_bottom_right():
    frame = np.zeros((4, 6, 3), np.uint8)
    frame[:2, :3], frame[:2, 3:], frame[2:, :3], frame[2:, 3:] = 1, 2, 3, 4
    parts = spotlight(frame, 2)
    assert parts.shape == (4, 2, 3, 3) and [np.unique(part).tolist() for part in parts] == [[1], [2], [3], [4]]


@pytest.mark.parametrize("shape", [(7, 10), (3, 5), (9, 9), (8, 4)])
def test_the_spotlight_shows_every_pixel(shape):
    frame = np.arange(np.prod(shape), dtype=np.uint8)[:, None].repeat(3, 1).reshape(*shape, 3)
    assert set(spotlight(frame, 3).ravel()) == set(frame.ravel())
    assert np.array_equal(spotlight(frame, 1)[0], frame)
    with pytest.raises(ValueError, match="cannot be cut"):
        spotlight(frame, 20)

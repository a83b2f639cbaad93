"""The connectors of Audio-Visual LLM and Dolphin, at tiny sizes."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from earsight.connectors.aligned_tokens import AlignedTokensConfig
from earsight.connectors.interleaved_merging import InterleavedMerging, InterleavedMergingConfig
from earsight.connectors.multi_scale_adapter import MultiScaleAdapter, MultiScaleAdapterConfig, Pyramid, _run, as_tower
from earsight.connectors.packing import lengths, pack
from earsight.connectors.temporal_spatial import TemporalSpatialConfig
from earsight.encoders.imagebind_audio import ImageBindAudioConfig
from earsight.encoders.picture_towers import PictureTowerConfig
from earsight.types import Extent, Features

VISION = PictureTowerConfig(
    {
        "model_type": "clip_vision_model",
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_hidden_layers": 5,  # does not divide into blocks
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 16,
    },
    run_blocks=False,
)
SOUND = ImageBindAudioConfig(dim=6, n_layers=4, n_heads=2, n_mels=32, n_frames=36, out_dim=4)
ENCODERS = {"vision": VISION, "sound": SOUND}
DIMS = {"vision": 8, "pixels": 3, "sound": 6, "mel": 1}
N, M = VISION.positions - 1, SOUND.positions - 1  # 4 and 6 patches
LLM = 10
ALIGNED = AlignedTokensConfig(
    adapter=MultiScaleAdapterConfig(n_blocks=3, dim=8, n_heads=2), merging=InterleavedMergingConfig(dim=12, n_heads=2)
).with_encoders(ENCODERS)
SPATIAL = TemporalSpatialConfig().with_encoders(ENCODERS)
# Frames and pieces of sound of each medium: both, picture only, sound only, neither, a still, unequal.
MEDIA = ((3, 3), (2, 0), (0, 3), (0, 0), (1, 0), (3, 1), (1, 2))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def encoders():
    towers = nn.ModuleDict({name: config.build().eval() for name, config in ENCODERS.items()})
    return towers.requires_grad_(False)


def extent(n_frames, n_pieces):
    steps = {"vision": n_frames, "pixels": n_frames, "sound": n_pieces, "mel": n_pieces}
    return Extent(3000, steps, dict.fromkeys(steps, 0.0))


def stream(rows, counts):
    """(rows, ...) -> the features of media with so many rows each."""
    mask = torch.arange(max(counts))[None] < torch.tensor(counts)[:, None]
    values = rows.new_zeros(*mask.shape, *rows.shape[1:])
    values[mask] = rows
    return Features(values, mask, 0.0)


def batch_of(media, encoders):
    """Dolphin's features of media of (frames, pieces of sound)."""
    frames, pieces = ([one[side] for one in media] for side in (0, 1))
    given = {}
    if any(frames):
        pixels = torch.randn(sum(frames), 3, 32, 32)
        given |= {"vision": stream(encoders["vision"].embed(pixels), frames), "pixels": stream(pixels, frames)}
    if any(pieces):
        mel = torch.randn(sum(pieces), 1, 32, 36)
        given |= {"sound": stream(encoders["sound"].embed(mel), pieces), "mel": stream(mel, pieces)}
    return given


def only(features, row):
    """One medium of a batch, without padding, and without the streams it lacks."""
    alone = {name: (f.values[row : row + 1], f.mask[row : row + 1]) for name, f in features.items()}
    longest = {name: int(lengths(mask)[0]) for name, (_, mask) in alone.items()}
    return {
        name: Features(values[:, : longest[name]], mask[:, : longest[name]], 0.0)
        for name, (values, mask) in alone.items()
        if longest[name]
    }


def clock(features):
    return torch.full((len(next(iter(features.values())).mask),), 3000)


def pooled(features):
    """Audio-Visual LLM's: one vector a segment of sound."""
    return {
        name: Features(f.values[:, :, 0], f.mask, 0.0) if name == "sound" else f
        for name, f in features.items()
        if name in SPATIAL.streams
    }


def opened(connector):
    """Gates off zero, as after training, so that what the adapter does is seen."""
    for side in connector.adapter.sides.values():
        for gate in side.gates:
            nn.init.normal_(gate)
    return connector


@pytest.fixture(
    params=[
        {},
        {"audio_spatial_tokens": False},
        {"adapter": replace(ALIGNED.adapter, enabled=False)},
        {"adapter": replace(ALIGNED.adapter, exchange=False)},
        {"adapter": replace(ALIGNED.adapter, exchange_residual=False)},
        {"merging": replace(ALIGNED.merging, contextual=False)},
        {"merging": replace(ALIGNED.merging, interleaved=False)},
        "temporal_spatial",
    ],
    ids=str,
)
def connected(request, encoders):
    """A configuration, its module, and features of every kind of medium."""
    given = batch_of(MEDIA, encoders)
    if request.param == "temporal_spatial":
        return SPATIAL, SPATIAL.build(DIMS, LLM).eval(), pooled(given)
    config = replace(ALIGNED, **request.param)
    return config, opened(config.build(DIMS, LLM).eval()), given


def test_every_kind_of_medium_makes_as_many_tokens_as_were_counted(connected, encoders):
    config, connector, given = connected
    made = connector(given, clock(given), encoders)
    assert made.mask.sum(1).tolist() == [config.n_soft_tokens(extent(*one)) for one in MEDIA]
    assert made.values.shape == (*made.mask.shape, LLM) and made.values[~made.mask].eq(0).all()
    for row in range(len(MEDIA)):
        alone = only(given, row)
        made_alone = connector(alone, torch.tensor([3000]), encoders)
        assert int(made_alone.mask.sum()) == config.n_soft_tokens(extent(*MEDIA[row]))


def test_a_batch_gives_each_medium_what_it_gets_alone(connected, encoders):
    _, connector, given = connected
    made = connector(given, clock(given), encoders)
    for row in range(len(MEDIA)):
        alone = connector(only(given, row), torch.tensor([3000]), encoders)
        assert torch.allclose(made.values[row][made.mask[row]], alone.values[0], atol=1e-5)


def test_the_counts_are_those_of_the_papers():
    assert SPATIAL.n_soft_tokens(extent(3, 2)) == 3 + N + 2
    assert SPATIAL.n_soft_tokens(extent(0, 2)) == 2
    assert ALIGNED.n_soft_tokens(extent(3, 3)) == N + M + 2 * 3
    assert ALIGNED.n_soft_tokens(extent(3, 0)) == N + 3
    assert ALIGNED.n_soft_tokens(extent(0, 3)) == M + 3
    assert ALIGNED.n_soft_tokens(extent(1, 0)) == N + 1
    assert replace(ALIGNED, audio_spatial_tokens=False).n_soft_tokens(extent(3, 3)) == N + 2 * 3
    assert {ALIGNED.n_soft_tokens(extent(0, 0)), SPATIAL.n_soft_tokens(extent(0, 0))} == {0}


def test_a_connector_that_does_not_know_its_encoders_is_not_built():
    for config in (TemporalSpatialConfig(), AlignedTokensConfig()):
        with pytest.raises(AssertionError, match="with_encoders"):
            config.build(DIMS, LLM)


def test_red_cls_green_patches_and_blue_sound_land_in_order():
    connector = SPATIAL.build({"vision": 3, "sound": 3}, 3).eval()
    for linear in connector.project.values():
        linear.weight.data, linear.bias.data = torch.eye(3), torch.zeros(3)
    red, green, blue = torch.eye(3)
    vision = torch.stack([red, *[green] * N]).expand(1, 2, -1, -1)
    features = {
        "vision": Features(vision, torch.ones(1, 2, dtype=torch.bool), 0.0),
        "sound": Features(blue.expand(1, 4, -1), torch.ones(1, 4, dtype=torch.bool), 0.0),
    }
    made = connector(features, torch.tensor([1000])).values[0]
    assert torch.equal(made, torch.stack([red] * 2 + [green] * N + [blue] * 4))
    turned = replace(SPATIAL, order=("auditory", "temporal", "spatial")).build({"vision": 3, "sound": 3}, 3)
    turned.load_state_dict(connector.state_dict())
    assert torch.equal(turned(features, torch.tensor([1000])).values[0], made.roll(4, 0))


def test_spatial_tokens_are_the_mean_over_the_frames_there_are(encoders):
    given = pooled(batch_of(((3, 0), (1, 0)), encoders))
    connector = SPATIAL.build(DIMS, LLM).eval()
    made = connector(given, clock(given)).values[1]
    still = connector.project["spatial"](given["vision"].values[1, 0, 1:])
    assert torch.allclose(made[1 : 1 + N], still, atol=1e-6)


def run_adapter(connector, encoders, features):
    """{sense: (rows, positions, dim)} after towers and adapter."""
    return connector._towers(features, connector._masks(features, clock(features)), encoders)


def test_an_untrained_adapter_leaves_the_towers_as_they_are(encoders):
    given = batch_of(((3, 3), (2, 0)), encoders)
    connector = ALIGNED.build(DIMS, LLM).eval()
    made = run_adapter(connector, encoders, given)
    for name, tower in ((name, as_tower(encoders[name])) for name in made):
        bare = given[name].values[given[name].mask]
        assert torch.allclose(made[name], tower.finish(tower.run_layers(bare, 0, tower.n_layers)), atol=1e-6)
    off = replace(ALIGNED, adapter=replace(ALIGNED.adapter, enabled=False)).build(DIMS, LLM).eval()
    assert not list(off.adapter.parameters())
    assert all(torch.equal(made[name], frozen) for name, frozen in run_adapter(off, encoders, given).items())


def test_with_the_exchange_a_frame_hears_its_own_moment_only(encoders):
    given = batch_of(((3, 3),), encoders)
    louder = {n: Features(f.values.clone(), f.mask, 0.0) for n, f in given.items()}
    louder["sound"].values[:, 1] += torch.randn(SOUND.positions, 6)
    changed = {}
    for exchange in (True, False):
        config = replace(ALIGNED, adapter=replace(ALIGNED.adapter, exchange=exchange))
        connector = opened(config.build(DIMS, LLM).eval())
        before, after = (run_adapter(connector, encoders, one)["vision"] for one in (given, louder))
        changed[exchange] = [not torch.allclose(*pair) for pair in zip(before, after, strict=True)]
    assert changed == {True: [False, True, False], False: [False, False, False]}


def test_gradients_reach_all_that_is_trained_and_no_tower(encoders):
    given = batch_of(MEDIA, encoders)
    connector = opened(ALIGNED.build(DIMS, LLM))
    connector(given, clock(given), encoders).values.square().sum().backward()
    idle = [name for name, weight in connector.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []
    assert not any(weight.grad is not None for weight in encoders.parameters())
    assert not [name for name in connector.state_dict() if "encoder" in name or "tower" in name]


def test_gates_learn_from_zero(encoders):
    given = batch_of(((2, 2),), encoders)
    connector = ALIGNED.build(DIMS, LLM)
    connector(given, clock(given), encoders).values.square().sum().backward()
    assert all(gate.grad.any() for side in connector.adapter.sides.values() for gate in side.gates)


def test_every_layer_of_a_tower_runs_once_however_it_divides():
    class Counting(nn.Linear):
        n_layers = 7

        def run_layers(self, hidden, first, last):
            ran.append(list(range(first, last)))
            return hidden

    ran = []
    for block in range(4):
        _run(Counting(1, 1), torch.zeros(1), block, 4)
    assert ran == [[0], [1, 2], [3, 4], [5, 6]]


def test_a_half_precision_tower_serves_a_full_precision_adapter(encoders):
    given = batch_of(((2, 2),), encoders)
    made = ALIGNED.build(DIMS, LLM).eval()(given, clock(given), encoders.bfloat16())
    assert made.values.dtype == torch.float32 and made.values.isfinite().all()


def test_connectors_train_under_autocast(connected, encoders):
    _, connector, given = connected
    with torch.autocast("cpu", torch.bfloat16):
        made = connector(given, clock(given), encoders)
    made.values.float().square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in connector.parameters() if weight.grad is not None)


def test_the_pyramid_holds_an_eighth_a_sixteenth_and_a_thirty_second():
    assert Pyramid(3, 8)(torch.randn(1, 3, 64, 96)).shape == (1, 8 * 12 + 4 * 6 + 2 * 3, 8)
    assert Pyramid(1, 8)(torch.randn(1, 1, 128, 204)).shape == (1, 16 * 26 + 8 * 13 + 4 * 7, 8)


def merging_of(config):
    return InterleavedMerging(config, {"vision": 8, "sound": 6}, LLM, LLM)


def test_interleaved_tokens_alternate_and_the_others_are_sorted_by_sense():
    groups = torch.tensor([[[1, -1], [2, -2], [3, -3]]])
    order = {}
    for interleaved in (True, False):
        config = InterleavedMergingConfig(interleaved=interleaved, dim=4, n_heads=1)
        order[interleaved] = merging_of(config).arrange(groups)[0].tolist()
    assert order == {True: [1, -1, 2, -2, 3, -3], False: [1, 2, 3, -1, -2, -3]}


@pytest.mark.parametrize("contextual", [True, False])
def test_each_token_of_a_group_reads_the_other_sense_only_in_context(contextual):
    merging = merging_of(InterleavedMergingConfig(contextual=contextual, dim=4, n_heads=1)).eval()
    seen, heard = torch.randn(1, 5, 8), torch.randn(1, 7, 6)
    before, after = merging(seen, heard), merging(seen, heard + torch.randn(1, 7, 6))
    assert before.shape == (1, 2, LLM)
    assert torch.allclose(before[:, 0], after[:, 0]) != contextual
    assert not torch.allclose(before[:, 1], after[:, 1])


def test_a_hole_in_the_middle_is_counted_and_empty(encoders):
    given = batch_of(((3, 0),), encoders)
    for one in given.values():
        one.mask[:, 1], one.values[:, 1] = False, 0
    made = ALIGNED.build(DIMS, LLM).eval()(given, clock(given), encoders)
    assert int(made.mask.sum()) == ALIGNED.n_soft_tokens(extent(3, 0))
    assert made.values[0, N + 1].eq(0).all() and made.values[0, N + 2].any()


def test_the_adapter_needs_only_the_senses_that_are_there(encoders):
    adapter = MultiScaleAdapter(ALIGNED.adapter, {"vision": 8, "sound": 6}, {"vision": 3, "sound": 1})
    assert adapter({}, {}, {}, {}) == {}


def test_packing_moves_valid_tokens_to_the_front_in_order():
    values, mask = torch.arange(1.0, 7).view(2, 3, 1), torch.tensor([[False, True, True], [True, False, False]])
    packed, kept = pack(values, mask)
    assert packed[..., 0].tolist() == [[2, 3], [4, 0]] and kept.tolist() == [[True, True], [True, False]]

"""Time grid and windows."""

import pytest
import torch

from earsight.connectors.synchronised_qformer import SynchronisedQFormerConfig, with_context
from earsight.connectors.windows import n_steps, n_windows, place_on_steps, split_windows
from earsight.types import Features


@pytest.mark.parametrize(("seconds", "steps"), [(0.0, 1), (0.4, 1), (1.0, 1), (1.001, 2), (10.0, 10), (60.0, 60)])
def test_steps_cover_a_duration(seconds, steps):
    assert n_steps(seconds, 1.0) == steps


def test_the_last_window_may_be_short():
    assert [n_windows(steps, 2) for steps in (1, 2, 3, 10)] == [1, 1, 2, 5]
    values = torch.arange(3.0).reshape(1, 3, 1)
    assert split_windows(values[..., None], 2).flatten().tolist() == [0, 1, 2, 0]


def test_rows_land_on_their_step_and_the_rest_is_masked():
    grid, mask = place_on_steps(torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1]), torch.tensor([2, 0]), (2, 3))
    assert grid[..., 0].tolist() == [[0, 0, 1], [2, 0, 0]]
    assert mask.tolist() == [[False, False, True], [True, False, False]]


@pytest.fixture
def connector():
    torch.manual_seed(0)
    config = SynchronisedQFormerConfig(streams=("red", "green"), positions=2, n_queries=3, hidden=16, n_heads=2)
    return config.build({"red": 4, "green": 5}, llm_dim=6).eval()


def features(steps, dims=(("red", 4), ("green", 5))):
    return {
        name: Features(torch.randn(1, steps, 2, dim), torch.ones(1, steps, dtype=torch.bool), 1.0) for name, dim in dims
    }


def test_a_change_in_one_window_leaves_the_others_alone(connector):
    given = features(4)
    before = connector(given, torch.tensor([4000])).values
    given["red"].values[:, 3].mul_(-1)
    after = connector(given, torch.tensor([4000])).values
    assert torch.equal(before[:, :3], after[:, :3]) and not torch.allclose(before[:, 3:], after[:, 3:])


def test_masked_features_do_not_matter(connector):
    given = features(2)
    given["green"].mask[:] = False
    before = connector(given, torch.tensor([2000])).values
    given["green"].values.mul_(100)
    assert torch.equal(before, connector(given, torch.tensor([2000])).values)
    del given["green"]
    assert torch.equal(before, connector(given, torch.tensor([2000])).values)


def test_a_window_with_nothing_in_it_is_finite(connector):
    made = connector({}, torch.tensor([3000]))
    assert made.values.shape == (1, 6, 6) and made.values.isfinite().all()


def told(**settings):
    """A connector with everything that is told of a window: its moment, its queries, what was said."""
    torch.manual_seed(0)
    sizes = {"said_hidden": 8, "said_blocks": 1, "said_kernel": 3, "window_seconds": 1.0}
    config = SynchronisedQFormerConfig(
        streams=("red", "green"), positions=2, n_queries=3, hidden=16, n_heads=2, **sizes, **settings
    )
    return config.build({"red": 4, "green": 5, "said": 10}, llm_dim=6).eval()


def test_a_window_reads_the_one_before_it_and_none_after():
    connector = told(context_windows=1)
    given = features(4)
    before = connector(given, torch.tensor([4000])).values.unflatten(1, (4, -1))
    given["red"].values[:, 1].mul_(-1)
    after = connector(given, torch.tensor([4000])).values.unflatten(1, (4, -1))
    changed = [not torch.allclose(before[:, at], after[:, at]) for at in range(4)]
    assert changed == [False, True, True, False]


def test_context_lies_before_its_window_and_is_zero_before_the_first():
    windows = torch.arange(1, 7).view(1, 3, 2)
    assert with_context(windows, 0).tolist() == windows.tolist()
    assert with_context(windows, 2)[0].tolist() == [[0, 0, 0, 0, 1, 2], [0, 0, 1, 2, 3, 4], [1, 2, 3, 4, 5, 6]]


def test_a_shorter_mediums_windows_are_the_same_beside_a_longer_one():
    connector = told(context_windows=1, n_moments=3, said="said")
    given = features(4) | {"said": Features(torch.randn(1, 8, 10), torch.ones(1, 8, dtype=torch.bool), 2.0)}
    half = {name: Features(one.values.tensor_split(2, 1)[0], one.mask.tensor_split(2, 1)[0], one.rate_hz)
            for name, one in given.items()}  # fmt: skip
    alone = connector(half, torch.tensor([2000]))
    beside = {}
    for name, one in given.items():
        mask = torch.cat([one.mask, one.mask])
        mask[0, mask.shape[1] // 2 :] = False  # the first medium ends there; what lies beyond is the padding
        beside[name] = Features(torch.cat([one.values, one.values]), mask, one.rate_hz)
    both = connector(beside, torch.tensor([2000, 4000]))
    torch.testing.assert_close(both.values[0][both.mask[0]], alone.values[0])


def test_a_window_is_its_moment_its_queries_and_what_was_said():
    connector = told(n_moments=2, said="said")
    config = connector.config
    assert (config.first_query, config.first_said, config.tokens_per_window) == (1, 4, 6)
    with torch.no_grad():
        connector.moments.copy_(torch.arange(1.0, 3.0)[:, None].expand(2, 6))
    given = features(3) | {"said": Features(torch.randn(1, 6, 10), torch.ones(1, 6, dtype=torch.bool), 2.0)}
    made = connector(given, torch.tensor([3000])).values.unflatten(1, (3, 6))
    assert made[0, :, 0, 0].tolist() == [1.0, 2.0, 0.0], "the third window is later than the moments that there are"
    heard = connector.said_tokens(given["said"], 3)
    assert torch.equal(made[:, :, config.first_said :].flatten(1, 2), heard)

"""Time grid and windows."""

import pytest
import torch

from earsight.connectors.synchronised_qformer import SynchronisedQFormerConfig
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

"""A window that changes on resume."""

import pytest
import torch

from tests.torch.test_resume import build, fixed_batches, load, save, train
from zenith.torch import Zenith

as_tensor = pytest.mark.parametrize("kind", [float, torch.tensor], ids=["float", "tensor"])


@as_tensor
@pytest.mark.parametrize("window", [1, 7, 20, 33, 500])
def test_a_run_goes_on_with_another_window_and_no_learning_rate_jumps(kind, window):
    data = fixed_batches()
    whole = build(kind)
    for t in range(40):
        whole[2].observe(2.0 - t / 25)
        train(whole, data, t, t + 1)
    assert whole[2].scale < 0.6
    resumed = build(kind, seed=1)
    load(resumed, save(whole))
    resumed[2].resize(window)
    assert resumed[2].window == window
    lrs = [float(lr) for lr in whole[2].get_last_lr()]
    assert [float(lr) for lr in resumed[2].get_last_lr()] == pytest.approx(lrs, rel=3e-7)
    norms = resumed[2].state_dict()["history"]["norms"]
    assert norms[-min(window, 20) :] == whole[2].state_dict()["history"]["norms"][-window:]
    resumed[2].observe(0.4)
    after = train(resumed, data, 40, 41)[0]
    assert after == pytest.approx(lrs, rel=0.2)  # nor at the next step
    again = build(kind, window=window)
    load(again, save(resumed))
    assert again[2].state_dict() == resumed[2].state_dict()
    assert train(again, data, 41, 60) == train(resumed, data, 41, 60)


def test_the_error_of_another_window_says_how_to_change_it():
    whole, other = build(float), build(float, window=33)
    with pytest.raises(ValueError, match=r"'window' must be 33.*Received: 20.*resize\(33\)"):
        other[2].load_state_dict(whole[2].state_dict())


@as_tensor
def test_a_window_that_is_refused_changes_nothing(kind):
    run = build(kind)
    train(run, fixed_batches(), 0, 30)
    state = run[2].state_dict()
    with pytest.raises(ValueError, match="window must be at least 1"):
        run[2].resize(0)
    assert run[2].state_dict() == state
    assert isinstance(run[2], Zenith)
    assert run[2].window == 20

"""What counts as a step, which gradient is measured, and who owns the learning rate."""

import copy
import io
import math
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, StepLR

from tests.oracle import algorithm_1
from tests.torch.problem import backward, batches, make_net
from zenith.torch import Zenith, grad_norm

as_tensor = pytest.mark.parametrize("kind", [float, torch.tensor], ids=["float", "tensor"])


def make(kind=float, window=5, lr=0.1, **options):
    net = make_net()
    optimizer = SGD(net.parameters(), lr=kind(lr), momentum=0.9)
    return net, optimizer, Zenith(optimizer, window=window, **options)


def train(net, optimizer, data, steps):
    lrs = []
    for _ in range(steps):
        backward(net, next(data))
        optimizer.step()
        lrs.append(float(optimizer.param_groups[0]["lr"]))
    return lrs


def norms_of(scheduler):
    return scheduler.state_dict()["history"]["norms"]


@as_tensor
def test_it_is_an_lr_scheduler_and_its_step_never_moves_the_window(kind):
    net, optimizer, scheduler = make(kind)
    assert isinstance(scheduler, LRScheduler)
    data = batches()
    for t in range(12):
        for _ in range(t % 3):
            scheduler.step()  # before, never, twice: no warning either (warnings are errors)
        backward(net, next(data))
        optimizer.step()
        scheduler.step()
        assert scheduler.last_norm == pytest.approx(
            float(grad_norm(p.grad for p in net.parameters()))
        )
        assert len(norms_of(scheduler)) == min(t + 1, 5)


@as_tensor
def test_what_it_shows_is_what_algorithm_1_knows(kind):
    net, optimizer, scheduler = make(kind)
    assert scheduler.last_norm is None
    assert math.isnan(scheduler.mean)
    assert (scheduler.scale, scheduler.zenith, scheduler.skipped) == (1.0, 0.0, 0)
    iterate, norms, zenith, data = algorithm_1(5), [], 0.0, batches()
    for _ in range(40):
        train(net, optimizer, data, 1)
        norms.append(scheduler.last_norm)
        mean = math.fsum(norms[-5:]) / len(norms[-5:])
        zenith = max(zenith, mean) if len(norms) >= 5 else 0.0
        assert scheduler.mean == pytest.approx(mean, rel=1e-6)
        assert scheduler.zenith == pytest.approx(zenith, rel=1e-6)
        assert scheduler.scale == pytest.approx(iterate(norms[-1]), rel=1e-6)
        shown = scheduler.get_last_lr()
        assert type(shown[0]) is type(optimizer.param_groups[0]["lr"])
        assert float(shown[0]) == pytest.approx(0.1 * scheduler.scale, rel=1e-6)
        assert float(optimizer.param_groups[0]["lr"]) == float(shown[0])
        assert [float(lr) for lr in scheduler.get_lr()] == [float(shown[0])]


def test_get_last_lr_gives_copies_of_tensors():
    _, optimizer, scheduler = make(torch.tensor)
    scheduler.get_last_lr()[0].zero_()
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(0.1)


@as_tensor
def test_a_step_without_gradients_does_not_count(kind):
    net, optimizer, scheduler = make(kind)
    train(net, optimizer, batches(), 3)
    net.zero_grad()
    scheduler.observe(7.0)
    optimizer.step()
    assert len(norms_of(scheduler)) == 3
    train(net, optimizer, batches(), 1)
    assert norms_of(scheduler)[-1] < 7.0  # observed for the next step only


@as_tensor
@pytest.mark.parametrize("norm", [2.5, 2, torch.tensor(2.5), torch.tensor([2.5])])
def test_observe_returns_the_norm_and_replaces_the_measured_one_once(kind, norm):
    net, optimizer, scheduler = make(kind)
    assert scheduler.observe(norm) is norm
    train(net, optimizer, batches(), 2)
    first, second = norms_of(scheduler)
    assert first == float(norm)
    assert second < 2


@pytest.mark.parametrize("norm", [None, "1", True, [1.0], torch.ones(2), 1j])
def test_observe_refuses_what_is_no_norm(norm):
    _, _, scheduler = make()
    with pytest.raises(TypeError, match=r"norm must be the global norm.*Received"):
        scheduler.observe(norm)


class CallsSuper(SGD):
    def step(self, closure=None):
        return super().step(closure)


class CallsSuperTwice(CallsSuper):
    def step(self, closure=None):
        return super().step(closure)


@as_tensor
@pytest.mark.parametrize("optimizer_class", [CallsSuper, CallsSuperTwice])
def test_a_step_that_calls_super_moves_the_window_once(optimizer_class, kind):
    net = make_net()
    optimizer = optimizer_class(net.parameters(), lr=kind(0.1))
    scheduler = Zenith(optimizer, window=50)
    data = batches()
    for t in range(6):
        batch = next(data)
        if t % 2:
            optimizer.step(lambda batch=batch: backward(net, batch))
        else:
            backward(net, batch)
            optimizer.step()
        assert len(norms_of(scheduler)) == t + 1


@pytest.mark.parametrize("optimizer_class", [SGD, CallsSuper])
def test_a_step_that_raised_does_not_stop_the_window(optimizer_class):
    net = make_net()
    optimizer = optimizer_class(net.parameters(), lr=0.1)
    scheduler = Zenith(optimizer, window=50)

    def fails():
        raise ArithmeticError

    for t in range(3):
        with pytest.raises(ArithmeticError):
            optimizer.step(fails)
        del optimizer.param_groups[0]["momentum"]
        backward(net, next(batches()))
        with pytest.raises(KeyError):
            optimizer.step()  # raised by torch, after the hook
        optimizer.param_groups[0]["momentum"] = 0.0
        train(net, optimizer, batches(), 1)
        assert len(norms_of(scheduler)) == 2 * (t + 1)


class EvaluatesTwice(SGD):
    """As line searches do."""

    def step(self, closure):
        closure()
        return super().step(closure)


def test_only_the_first_evaluation_of_a_closure_counts():
    net = make_net()
    optimizer = EvaluatesTwice(net.parameters(), lr=0.1)
    scheduler = Zenith(optimizer, window=50)
    batch = next(batches())
    for t in range(4):
        loss = optimizer.step(closure=lambda: backward(net, batch))
        assert loss.item() > 0
        assert len(norms_of(scheduler)) == t + 1


@as_tensor
def test_a_norm_that_is_not_finite_is_counted_and_leaves_the_scale(kind):
    net, optimizer, scheduler = make(kind)
    train(net, optimizer, batches(), 8)
    before = scheduler.scale
    scheduler.observe(math.nan)
    train(net, optimizer, batches(1), 1)
    assert (scheduler.skipped, scheduler.scale) == (1, before)
    assert math.isnan(scheduler.last_norm)


@as_tensor
def test_the_probe_step_of_distributed_checkpoint_does_not_count(kind):
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    net = make_net()
    optimizer = AdamW(net.parameters(), lr=kind(1e-3))
    scheduler = Zenith(optimizer, window=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about features that it deprecates
        get_optimizer_state_dict(net, optimizer)
    assert optimizer.state  # the probe did step
    assert norms_of(scheduler) == []
    train(net, optimizer, batches(), 6)
    assert len(norms_of(scheduler)) == 5


@as_tensor
def test_groups_added_later_are_scaled_from_their_own_learning_rate(kind):
    net, optimizer, scheduler = make(kind)
    extra, inherits = nn.Linear(8, 4), nn.Linear(8, 4)
    train(net, optimizer, batches(), 20)
    optimizer.add_param_group({"params": [*extra.parameters()], "lr": kind(0.03)})
    optimizer.add_param_group({"params": [*inherits.parameters()]})
    for (x, _), _ in zip(batches(2), range(5), strict=False):
        net.zero_grad()
        loss = net(x).square().sum() + extra(x).square().mean() + inherits(x).square().mean()
        loss.backward()
        optimizer.step()
        lrs = [float(group["lr"]) for group in optimizer.param_groups]
        expected = [lr * scheduler.scale for lr in (0.1, 0.03, 0.1)]
        assert lrs == pytest.approx(expected, rel=1e-6)
        assert scheduler.last_norm == pytest.approx(
            float(
                grad_norm(p.grad for module in (net, extra, inherits) for p in module.parameters())
            )
        )
    assert len(scheduler.get_last_lr()) == 3


@as_tensor
def test_a_learning_rate_changed_behind_its_back_is_reported_before_the_weights_move(kind):
    net, optimizer, scheduler = make(kind)
    train(net, optimizer, batches(), 7)
    other = StepLR(optimizer, step_size=1, gamma=0.5)
    other.step()
    weights = copy.deepcopy([*net.parameters()])
    norms = norms_of(scheduler)
    backward(net, next(batches()))
    with pytest.raises(RuntimeError, match=r"param_groups\[0\]\['lr'\].*schedule=other"):
        optimizer.step()
    assert all(torch.equal(*pair) for pair in zip(weights, net.parameters(), strict=True))
    assert norms_of(scheduler) == norms


@as_tensor
def test_a_learning_rate_that_changed_its_type_is_reported(kind):
    net, optimizer, _ = make(kind)
    swapped = 0.1 if kind is torch.tensor else torch.tensor(0.1)
    optimizer.param_groups[0]["lr"] = swapped
    backward(net, next(batches()))
    with pytest.raises(RuntimeError, match="Zenith owns it"):
        optimizer.step()


@as_tensor
def test_eta_0_is_changed_through_base_lrs(kind):
    net, optimizer, scheduler = make(kind)
    train(net, optimizer, batches(), 7)
    scheduler.base_lrs = [0.02]
    assert train(net, optimizer, batches(3), 1) == [pytest.approx(0.02 * scheduler.scale)]


def test_detach_leaves_the_learning_rate_and_lets_go_of_the_optimizer():
    net, optimizer, scheduler = make()
    lr = train(net, optimizer, batches(), 20)[-1]
    scheduler.detach()
    scheduler.detach()
    assert train(net, optimizer, batches(), 3) == [lr] * 3
    assert len(norms_of(scheduler)) == 5
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == lr
    Zenith(optimizer)  # another one may take over


def test_a_second_zenith_on_one_optimizer_is_refused():
    _, optimizer, scheduler = make()
    with pytest.raises(ValueError, match=r"has a Zenith already.*detach\(\)"):
        Zenith(optimizer)
    assert scheduler.scale == 1


@as_tensor
@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda objects: pickle.loads(pickle.dumps(objects))],  # noqa: S301
    ids=["deepcopy", "pickle"],
)
def test_a_copy_goes_on_by_itself_with_the_same_learning_rates(kind, duplicate):
    net, optimizer, scheduler = make(kind)
    train(net, optimizer, batches(), 12)
    twin_net, twin_optimizer, twin = duplicate((net, optimizer, scheduler))
    assert twin.optimizer is twin_optimizer
    at_copy = norms_of(twin)
    ahead = train(net, optimizer, batches(5), 12)
    assert norms_of(twin) == at_copy
    assert train(twin_net, twin_optimizer, batches(5), 12) == ahead
    twin.detach()
    assert duplicate((twin_optimizer, twin))[1].detach() is None


def test_tensor_learning_rates_keep_their_identity_for_compiled_and_captured_steps():
    net, optimizer, _ = make(torch.tensor)
    lr = optimizer.param_groups[0]["lr"]
    train(net, optimizer, batches(), 20)
    assert optimizer.param_groups[0]["lr"] is lr
    assert float(optimizer.defaults["lr"]) == pytest.approx(0.1)  # what add_param_group gives


def test_it_trains_through_a_file_of_the_whole_run():
    net, optimizer, scheduler = make()
    train(net, optimizer, batches(), 12)
    file = io.BytesIO()
    torch.save((net, optimizer, scheduler), file)
    file.seek(0)
    loaded_net, loaded_optimizer, _ = torch.load(file, weights_only=False)
    assert train(loaded_net, loaded_optimizer, batches(5), 8) == train(
        net, optimizer, batches(5), 8
    )


class NoLearningRate(Optimizer):
    def __init__(self, params):
        super().__init__(params, {})

    def step(self, closure=None):
        return None


def bad_arguments():
    net = make_net()
    other = SGD(make_net().parameters(), lr=0.1)
    yield TypeError, "must be a torch.optim.Optimizer", net, {}
    yield TypeError, "LBFGS", torch.optim.LBFGS(net.parameters()), {}
    yield ValueError, "no 'lr'", NoLearningRate(net.parameters()), {}
    for options, error, message in [
        ({"window": 0}, ValueError, "window must be at least 1"),
        ({"window": 2.5}, TypeError, "window must be an int"),
        ({"min_scale": 1.0}, ValueError, "min_scale"),
        ({"min_scale": -0.1}, ValueError, "min_scale"),
        ({"min_scale": math.nan}, ValueError, "min_scale"),
        ({"spike_factor": 1.0}, ValueError, "spike_factor"),
        ({"spike_factor": math.inf}, ValueError, "spike_factor"),
        ({"schedule": 3}, TypeError, "schedule must be"),
        ({"schedule": StepLR(other, 1)}, ValueError, "same optimizer"),
    ]:
        yield error, message, SGD(make_net().parameters(), lr=0.1), options


@pytest.mark.parametrize(("error", "message", "optimizer", "options"), [*bad_arguments()])
def test_bad_arguments_are_refused_and_the_optimizer_is_untouched(
    error, message, optimizer, options
):
    before = vars(optimizer).copy()
    groups = [group.copy() for group in getattr(optimizer, "param_groups", [])]
    with pytest.raises(error, match=message):
        Zenith(optimizer, **options)
    assert vars(optimizer) == before
    assert [group.keys() for group in groups] == [
        group.keys() for group in getattr(optimizer, "param_groups", [])
    ]

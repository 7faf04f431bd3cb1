"""A run: repeatable, resumable at every step, and honest about what went wrong."""

import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the runner needs PyTorch")

from torch import Tensor, nn  # noqa: E402

from experiments import loop as loop_module  # noqa: E402
from experiments import run as run_module  # noqa: E402
from experiments.errors import RequestError  # noqa: E402
from experiments.loop import Watcher  # noqa: E402
from experiments.methods import METHODS, Plan  # noqa: E402
from experiments.place import Place, StorageError  # noqa: E402
from experiments.results import Identity, read  # noqa: E402
from experiments.run import run  # noqa: E402
from experiments.tasks import find  # noqa: E402
from experiments.tasks._small_images import SmallImagesProblem  # noqa: E402
from experiments.threads import one_thread  # noqa: E402
from tests.experiments.runs import identity, without_clock, write_data  # noqa: E402
from tests.oracle import algorithm_1  # noqa: E402

STEPS = 15


class Cut(BaseException):
    """Stands for the end of the process: nothing catches it."""


class CutAt(Watcher):
    """Ends the run after a step."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.notes: list[str] = []

    def on_step(self, step: int, total_steps: int) -> None:
        assert total_steps == STEPS
        if step == self.step:
            raise Cut

    def on_note(self, note: str) -> None:
        self.notes.append(note)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


@pytest.fixture(autouse=True)
def _on_one_thread() -> Iterator[None]:
    with one_thread():
        yield


def result(which: Identity, data: Path, out: Path) -> str:
    """A whole run, its result file read back, without its clock; NaN equals NaN in it."""
    run(which, data, out)
    return repr(without_clock(read(Place(which, out).result_path)))


def cut(which: Identity, data: Path, out: Path, step: int) -> CutAt:
    watcher = CutAt(step)
    with pytest.raises(Cut):
        run(which, data, out, watcher, saved_every=0.0)
    return watcher


@pytest.mark.parametrize("method", METHODS)
def test_a_run_cut_and_resumed_is_the_undisturbed_one(
    tmp_path: Path, data: Path, method: str
) -> None:
    which = identity(method, momentum=0.9, weight_decay=1e-3)
    whole = result(which, data, tmp_path / "whole")
    for step in (1, 7, 11):
        cut(which, data, tmp_path / "cut", step)
    assert result(which, data, tmp_path / "cut") == whole
    assert list((tmp_path / "cut" / ".running").iterdir()) == []


def test_a_run_goes_on_from_its_last_checkpoint_at_every_step(tmp_path: Path, data: Path) -> None:
    which = identity()
    whole = result(which, data, tmp_path / "whole")
    for step in range(1, STEPS + 1):
        notes = cut(which, data, tmp_path / "cut", step).notes
        # Saved after the step is told, so one step is made again.
        assert notes == ([f"going on after step {step - 2}"] if step > 2 else [])
    assert result(which, data, tmp_path / "cut") == whole


def test_random_layers_draw_the_same_numbers_after_a_cut(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = result(identity(), data, tmp_path / "plain")
    make = SmallImagesProblem.model

    def with_dropout(problem: SmallImagesProblem) -> nn.Module:
        return nn.Sequential(nn.Dropout(0.3), make(problem))

    monkeypatch.setattr(SmallImagesProblem, "model", with_dropout)
    whole = result(identity(), data, tmp_path / "whole")
    assert whole != plain
    torch.manual_seed(5)
    for step in (3, 8):
        cut(identity(), data, tmp_path / "cut", step)
    assert result(identity(), data, tmp_path / "cut") == whole


def test_a_method_that_cannot_resume_starts_again(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = result(identity(), data, tmp_path / "whole")
    monkeypatch.setitem(METHODS, "zenith", replace(METHODS["zenith"], resumable=False))
    for _ in range(2):
        assert cut(identity(), data, tmp_path / "cut", 9).notes == []
    assert result(identity(), data, tmp_path / "cut") == whole


@pytest.mark.parametrize("damage", ["half", "garbage", "another run", "another net"])
def test_a_checkpoint_that_is_of_no_use_is_said_and_the_run_starts_again(
    tmp_path: Path, data: Path, damage: str
) -> None:
    whole = result(identity(), data, tmp_path / "whole")
    cut(identity(), data, tmp_path / "cut", 9)
    (path,) = (tmp_path / "cut" / ".running").glob("*.checkpoint")
    if damage == "half":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "garbage":
        path.write_bytes(b"hello")
    else:
        state = torch.load(path)
        if damage == "another run":
            state["run"] = "mnist"
        else:
            state["model"].popitem()
        torch.save(state, path)
    notes = cut(identity(), data, tmp_path / "cut", 1).notes
    assert notes == ["the checkpoint is not one of this run: starting again"]
    assert result(identity(), data, tmp_path / "cut") == whole


def reference(data: Path, changes: dict[str, Any], seed: int) -> list[tuple[float, float]]:
    """Loss and gradient norm of each step of plain SGD, in a loop as anybody writes it."""
    task = replace(find("cifar10", "laptop"), **changes)
    problem = task.open(data)
    torch.manual_seed(loop_module._noise(seed))
    model = problem.model()
    optimizer = torch.optim.SGD(model.parameters(), task.lr, task.momentum)
    rows: list[tuple[float, float]] = []
    for step in range(task.epochs * problem.steps_per_epoch):
        optimizer.zero_grad()
        loss = problem.loss(model, problem.batch(seed, step))
        loss.backward()
        gradient = torch.cat([p.grad.flatten().double() for p in model.parameters()])
        rows.append((loss.item(), gradient.norm().item()))
        optimizer.step()
    return rows


def test_a_run_is_the_training_that_anybody_would_write(tmp_path: Path, data: Path) -> None:
    which = identity("constant", seed=2, lr=0.01)
    made = run(which, data, tmp_path)
    expected = reference(data, dict(which.changes), 2)
    assert made.every == 1
    assert [row.step for row in made.steps] == list(range(1, STEPS + 1))
    np.testing.assert_allclose([row[2::2] for row in made.steps], expected, rtol=1e-5)
    assert {row.lr for row in made.steps} == {0.01}
    assert [row.step for row in made.epochs] == [5, 10, 15]
    losses = [loss for loss, _ in expected]
    means = [np.mean(losses[end - 5 : end]) for end in (5, 10, 15)]
    np.testing.assert_allclose([row.train_loss for row in made.epochs], means, rtol=1e-5)


def test_zenith_follows_algorithm_1_on_the_norms_that_are_recorded(
    tmp_path: Path, data: Path
) -> None:
    made = run(identity(), data, tmp_path)
    iterate = algorithm_1(4)
    expected = [0.1 * iterate(row.grad_norm) for row in made.steps]
    assert [row.lr for row in made.steps] == pytest.approx(expected, rel=1e-5)
    assert len({row.lr for row in made.steps}) > 2


def test_loss_and_norm_are_those_before_the_step_for_every_method(
    tmp_path: Path, data: Path
) -> None:
    loss, norm = reference(data, dict(identity().changes), 0)[0]
    for method in METHODS:
        first = run(identity(method, epochs=1), data, tmp_path).steps[0]
        assert (method, first.loss, first.grad_norm) == (
            method,
            pytest.approx(loss, rel=1e-5),
            pytest.approx(norm, rel=1e-5),
        )


def test_rows_are_means_over_stretches(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = run(identity(), data, tmp_path / "each").steps
    monkeypatch.setattr(loop_module, "_ROWS", 4)
    made = run(identity(), data, tmp_path / "some")
    assert made.every == 3
    assert [row.step for row in made.steps] == [3, 6, 9, 12, 15]
    for row in made.steps:
        assert row.loss == pytest.approx(np.mean([e.loss for e in each[row.step - 3 : row.step]]))
        assert row[3:] == each[row.step - 1][3:]
    cut(identity(seed=1), data, tmp_path / "cut", 8)
    assert result(identity(seed=1), data, tmp_path / "cut") == result(
        identity(seed=1), data, tmp_path / "whole"
    )


def test_seconds_are_those_of_training_alone(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(10**6))
    monkeypatch.setattr(loop_module, "_now", lambda device: float(next(ticks)))
    monkeypatch.setattr("experiments.minibatch.perf_counter", lambda: 0.0)
    made = run(identity(), data, tmp_path)
    assert made.seconds == STEPS  # one tick a step, whatever was read and evaluated in between
    assert [row.seconds for row in made.steps] == list(range(1, STEPS + 1))


def test_measuring_the_norm_is_no_part_of_the_training(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def slow(gradients: Any) -> float:
        nonlocal now
        now += 1000.0
        return 1.0

    monkeypatch.setattr(loop_module, "_now", lambda device: now)
    monkeypatch.setattr("experiments.minibatch.perf_counter", lambda: now)
    monkeypatch.setattr("experiments.minibatch.grad_norm", slow)
    assert run(identity("constant"), data, tmp_path).seconds == 0.0


def test_divergence_is_a_result(tmp_path: Path, data: Path) -> None:
    made = run(identity("constant", lr=1e30), data, tmp_path)
    assert made.status == "diverged"
    assert made.reason == f"the loss was {made.steps[-1].loss} at step {made.steps[-1].step}"
    assert 1 < made.steps[-1].step < 5
    assert not math.isfinite(made.steps[-1].loss)
    assert made.epochs == []
    assert repr(read(Place(made.identity, tmp_path).result_path).steps[-1].loss) == repr(
        made.steps[-1].loss
    )


def test_weights_that_break_in_the_last_step_of_an_epoch_are_divergence(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = METHODS["constant"].start

    def breaking(model: nn.Module, plan: Plan) -> Any:
        training = start(model, plan)
        step = training.step
        steps = iter(range(STEPS))

        def last_is_bad(batch: Any) -> Tensor:
            loss = step(batch)
            if next(steps) == 4:
                next(model.parameters()).data.fill_(math.inf)
            return loss

        monkeypatch.setattr(training, "step", last_is_bad)
        return training

    monkeypatch.setitem(METHODS, "constant", replace(METHODS["constant"], start=breaking))
    made = run(identity("constant"), data, tmp_path)
    assert (made.status, made.reason) == ("diverged", "a weight was not finite after step 5")


def test_a_run_that_fails_is_recorded_and_made_again_when_it_is_asked_for_again(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: nn.Module, plan: Plan) -> Any:
        raise ArithmeticError("no root\nin two lines")

    with monkeypatch.context() as patch:
        patch.setitem(METHODS, "zenith", replace(METHODS["zenith"], start=fail))
        made = run(identity(), data, tmp_path)
    assert made.status == "failed"
    assert made.reason.startswith("ArithmeticError: no root in two lines (")
    assert read(Place(identity(), tmp_path).result_path) == made
    assert run(identity(), data, tmp_path).status == "finished"


def test_a_run_that_is_done_is_not_made_again(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(identity(), data, tmp_path)
    before = Place(identity(), tmp_path).result_path.stat()
    monkeypatch.setattr(run_module, "Loop", lambda *_: pytest.fail("it trains"))
    assert repr(without_clock(run(identity(), data, tmp_path))) == repr(
        without_clock(read(Place(first.identity, tmp_path).result_path))
    )
    assert Place(identity(), tmp_path).result_path.stat() == before


def test_the_time_limit_ends_a_run_with_an_evaluation(tmp_path: Path, data: Path) -> None:
    made = run(identity(minutes=1e-9), data, tmp_path)
    assert (made.status, made.reason) == ("finished", "the time limit of 1e-09 minutes")
    assert [row.step for row in made.epochs] == [1]
    assert set(made.epochs[0].test) == {"accuracy", "loss"}
    assert run(identity(minutes=100.0), data, tmp_path).reason == ""


@pytest.mark.parametrize(
    ("which", "said"),
    [
        (identity("adam"), "METHOD must be one of zenith, .* Received: adam"),
        (replace(identity(), task="emnist"), "TASK must be one of mnist, .* Received: emnist"),
        (identity(droput=0.5), "has the settings epochs, .* Received: droput"),
        (identity(images=1000), "at most 50"),
        (identity(ranks=2), "torchrun --nproc-per-node 2"),
        (identity(ranks=3), "--batch must be a multiple of the 3 processes. Received: 8"),
    ],
)
def test_what_cannot_be_met_is_refused_and_nothing_is_recorded(
    tmp_path: Path, data: Path, which: Identity, said: str
) -> None:
    with pytest.raises(RequestError, match=said) as refusal:
        run(which, data, tmp_path)
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.rglob("seed*")) == []


def test_a_result_of_another_version_is_refused_and_stays(tmp_path: Path, data: Path) -> None:
    run(identity(), data, tmp_path)
    path = Place(identity(), tmp_path).result_path
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    before = path.read_bytes()
    with pytest.raises(RequestError, match="of format 1, found format 2"):
        run(identity(), data, tmp_path)
    assert path.read_bytes() == before


def test_a_result_that_is_that_of_another_run_is_refused(tmp_path: Path, data: Path) -> None:
    run(identity(), data, tmp_path)
    other = Place(identity(seed=1), tmp_path)
    other.result_path.write_bytes(Place(identity(), tmp_path).result_path.read_bytes())
    with pytest.raises(RequestError, match=r"expected Identity.*seed=1"):
        run(identity(seed=1), data, tmp_path)


def test_two_processes_do_not_make_the_same_run(tmp_path: Path) -> None:
    with (
        Place(identity(), tmp_path),
        pytest.raises(RequestError, match="another process makes this run"),
        Place(identity(), tmp_path, patience=0.05),
    ):
        pass
    with Place(identity(), tmp_path, patience=0.05), Place(identity(seed=1), tmp_path):
        pass


def test_a_full_disk_is_said_in_one_line_and_the_run_goes_on_from_before(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = result(identity(), data, tmp_path / "whole")
    out = tmp_path / "full"
    cut(identity(), data, out, 9)

    def full(self: Path, *content: object, **options: object) -> int:
        with self.open("wb") as file:
            file.write(b"half a")
        raise OSError(28, os.strerror(28))

    for method, saved_every in (("write_bytes", 0.0), ("write_text", 1000.0)):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, full)
            with pytest.raises(StorageError, match=r"cannot write .*: No space left") as refusal:
                run(identity(), data, out, saved_every=saved_every)
        assert "\n" not in str(refusal.value)
        assert "the same command goes on" in str(refusal.value)
    assert list(out.rglob(".new-*")) == []
    watcher = CutAt(15)
    with pytest.raises(Cut):
        run(identity(), data, out, watcher)
    assert watcher.notes == ["going on after step 8"]
    assert result(identity(), data, out) == whole


def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[torch.dtype] = set()
    start = METHODS["constant"].start

    def watching(model: nn.Module, plan: Plan) -> Any:
        convolution = next(layer for layer in model if isinstance(layer, nn.Conv2d))
        convolution.register_forward_hook(lambda layer, x, y: seen.add(y.dtype))
        return start(model, plan)

    monkeypatch.setitem(METHODS, "constant", replace(METHODS["constant"], start=watching))
    plain = run(identity("constant"), data, tmp_path)
    assert seen == {torch.float32}
    seen.clear()
    mixed = run(identity("constant", amp=True), data, tmp_path)
    assert seen == {torch.bfloat16}
    assert mixed.settings["amp"] is True
    losses = [[row.loss for row in made.steps] for made in (plain, mixed)]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[1][:3], losses[0][:3], rtol=0.05)


def test_the_random_state_and_the_threads_of_the_caller_are_left_alone(
    tmp_path: Path, data: Path
) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    run(identity(), data, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_minibatches_made_by_other_processes_change_nothing(tmp_path: Path, data: Path) -> None:
    expected = result(identity(), data, tmp_path / "here")
    run(identity(), data, tmp_path / "there", workers=2)
    made = read(Place(identity(), tmp_path / "there").result_path)
    assert repr(without_clock(made)) == expected


def test_a_run_says_what_made_it(tmp_path: Path, data: Path) -> None:
    made = run(identity(), data, tmp_path)
    assert made.environment["torch"] == torch.__version__
    assert made.environment["method"] == METHODS["zenith"].source
    assert (made.settings["lr"], made.settings["augment"]) == (0.1, True)
    assert made.settings.keys() >= {"momentum", "weight_decay", "l2", "window", "normalisation"}

"""Sharpness and slices against what is known exactly, and the two figures made of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="curvature needs PyTorch: zenith-lr[experiments]")
pytest.importorskip("curvlinops", reason="sharpness needs curvlinops: zenith-lr[curvature]")
pytest.importorskip("matplotlib", reason="the pictures need matplotlib: zenith-lr[experiments]")

import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian

from experiments.__main__ import main
from experiments.errors import RequestError
from experiments.evidence.curvature.landscape import filter_normalised, line_slice, plane_slice
from experiments.evidence.curvature.measure import (
    LINE,
    PLANE,
    Curvature,
    Moment,
    measure,
    read_all,
    write,
)
from experiments.evidence.curvature.probe import Probe
from experiments.evidence.curvature.sharpness import top_eigenvalue
from experiments.results import Identity
from experiments.run import run
from tests.experiments.runs import identity, write_data


class Squares:
    """Least squares: a linear layer without bias, whose Hessian is 2 X^T X / n for each output."""

    steps_per_epoch = 1

    def __init__(self, inputs: Tensor) -> None:
        self.inputs = inputs

    def model(self) -> nn.Module:
        return nn.Linear(self.inputs.shape[-1], 2, bias=False)

    def batch(self, seed: int, step: int, part: slice = slice(None)) -> Any:
        return self.inputs[step]

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        return model(batch).square().sum(1).mean()


def test_the_sharpness_of_least_squares_is_known() -> None:
    inputs = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 10, 4))).float()
    problem = Squares(inputs)
    flat = inputs.reshape(30, 4).double()
    expected = torch.linalg.eigvalsh(2 * flat.T @ flat / 30)[-1].item()
    found = top_eigenvalue(problem.model(), Probe.of(problem, 3))  # type: ignore[arg-type]
    assert found == pytest.approx(expected, rel=1e-3)


class Small:
    """A net with BatchNorm and dropout, whose whole Hessian fits in memory."""

    steps_per_epoch = 2

    def model(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5),
            nn.Linear(8, 3),
        )  # fmt: skip

    def batch(self, seed: int, step: int, part: slice = slice(None)) -> Any:
        generator = torch.Generator().manual_seed(100 * seed + step)
        return torch.rand(6, 1, 4, 4, generator=generator), torch.arange(6) % 3

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        images, labels = batch
        return nn.functional.cross_entropy(model(images), labels)


def test_the_sharpness_of_a_net_is_the_top_of_its_whole_hessian() -> None:
    torch.manual_seed(0)
    problem = Small()
    model = problem.model()
    probe = Probe.of(problem, 2)  # type: ignore[arg-type]
    model(probe.batches[0][0])  # BatchNorm has seen something
    found = top_eigenvalue(model, probe)
    assert model.training

    model.eval()
    names = [name for name, _ in model.named_parameters()]
    weights = [parameter.detach() for parameter in model.parameters()]

    def loss(flat: Tensor) -> Tensor:
        parts = flat.split([w.numel() for w in weights])
        named = {n: p.reshape(w.shape) for n, p, w in zip(names, parts, weights, strict=True)}
        losses = [
            nn.functional.cross_entropy(functional_call(model, named, (images,)), labels)
            for images, labels in probe.batches
        ]
        return torch.stack(losses).mean()

    whole = hessian(loss)(torch.cat([w.reshape(-1) for w in weights]))
    expected = torch.linalg.eigvalsh(whole.double())[-1].item()
    assert found == pytest.approx(expected, rel=2e-3)


def test_every_filter_of_a_direction_is_as_long_as_that_of_the_weights() -> None:
    model = Small().model()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    direction = filter_normalised(model, 0)
    for weight, part in zip(model.parameters(), direction, strict=True):
        if weight.ndim < 2:
            assert not part.any()
            continue
        for own, drawn in zip(weight, part, strict=True):
            assert drawn.norm().item() == pytest.approx(own.norm().item(), rel=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    again, other = filter_normalised(model, 0), filter_normalised(model, 1)
    assert all(torch.equal(a, b) for a, b in zip(direction, again, strict=True))
    assert not torch.equal(direction[0], other[0])


def test_slices_of_least_squares_are_the_parabola_that_they_are() -> None:
    inputs = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 5, 3))).float()
    problem = Squares(inputs)
    model, probe = problem.model(), Probe.of(problem, 2)  # type: ignore[arg-type]
    weights = model.weight.detach().clone()
    first, second = (filter_normalised(model, seed) for seed in (0, 1))

    def exact(a: float, b: float) -> float:
        moved = (weights + a * first[0] + b * second[0]).double()
        return float((inputs.reshape(10, 3).double() @ moved.T).square().sum(1).mean())

    steps = [-1.0, -0.5, 0.0, 2.0]
    np.testing.assert_allclose(
        line_slice(model, probe, first, steps), [exact(a, 0) for a in steps], rtol=1e-5
    )
    np.testing.assert_allclose(
        plane_slice(model, probe, (first, second), steps, [0.0, 1.0]),
        [[exact(a, b) for a in steps] for b in (0.0, 1.0)],
        rtol=1e-5,
    )
    assert torch.equal(model.weight, weights)


def made_up(method: str, seed: int = 0) -> Curvature:
    moments = [Moment(step, 0.1 / (1 + step), 10.0 + step, 1.0, 0.5) for step in range(4)]
    bowl = np.add.outer(np.square(PLANE), np.square(PLANE)) + 0.1
    line = (np.square(LINE) + 0.1).tolist()
    identity = Identity("mnist", "laptop", method, seed)
    return Curvature(identity, moments, line, bowl.tolist())


def test_a_curvature_comes_back_as_it_was_written(tmp_path: Path) -> None:
    for method in ("zenith", "cosine"):
        path = write(made_up(method), tmp_path)
        assert path == tmp_path / "mnist" / "laptop" / method / "curvature0.json"
    back = read_all(tmp_path)
    assert [each.identity.method for each in back] == ["cosine", "zenith"]
    assert back[1].moments == [pytest.approx(m, rel=1e-5) for m in made_up("zenith").moments]
    for damage in ('{"format": 2}', "[]", "", '{"format": 1}'):
        path.write_text(damage)
        with pytest.raises(RequestError, match="curvature0") as refusal:
            read_all(tmp_path)
        assert "\n" not in str(refusal.value)


def test_figures_3_and_4_are_drawn(tmp_path: Path) -> None:
    for method in ("zenith", "cosine", "constant"):
        write(made_up(method), tmp_path / "results")
    for name in ("figure3", "figure4"):
        assert main([name, f"--results={tmp_path / 'results'}", f"--out={tmp_path}"]) == 0
        assert (tmp_path / f"{name}-mnist.png").stat().st_size > 10_000


def test_the_run_that_is_measured_is_the_run_of_the_result_file(tmp_path: Path) -> None:
    write_data(tmp_path)
    one = identity("zenith", batch=8, epochs=1)
    done = run(one, tmp_path, tmp_path / "results")
    told: list[int] = []
    curvature = measure(one, tmp_path, lambda step, total: told.append(step))
    assert told == [row.step for row in done.steps]
    assert [m.step for m in curvature.moments] == [0, 1, 2, 4, 5]
    rates = {row.step: row.lr for row in done.steps} | {0: 0.1}
    assert [m.lr for m in curvature.moments] == [
        pytest.approx(rates[m.step], rel=1e-6) for m in curvature.moments
    ]
    ends = {row.step: row.validation["accuracy"] for row in done.epochs}
    measured = {m.step: m.metric for m in curvature.moments}
    assert {step: measured[step] for step in ends} == pytest.approx(ends)
    assert all(m.sharpness > 0 for m in curvature.moments)
    middle = curvature.line[len(LINE) // 2]
    assert middle == pytest.approx(curvature.moments[-1].loss)
    assert curvature.plane[len(PLANE) // 2][len(PLANE) // 2] == pytest.approx(middle)


def test_what_cannot_be_measured_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(tmp_path)
    tiny = ["--epochs=1", "--images=40", "--batch=8", f"--data-dir={tmp_path}"]
    results = f"--results={tmp_path / 'results'}"
    for asked, said in (
        (["curvature", "cifar10", "adam"], "METHOD must be"),
        (["curvature", "cifar", "zenith"], "TASK must be"),
        (["curvature", "cifar10", "constant", "--lr=1e30"], "diverged"),
    ):
        assert main([*asked, *tiny, results]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not list((tmp_path).glob("results/**/*.json"))

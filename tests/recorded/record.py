"""Trainings on scikit-learn's digits that show what `zenith.diagnose` has to tell apart.

`python -m tests.recorded.record` makes the CSV files of this folder anew (half a minute on one
core, PyTorch on the CPU); `python -m tests.recorded.record spike` makes one.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.optim import SGD

from zenith.log import LogWriter
from zenith.torch import Zenith

FOLDER = Path(__file__).parent
WINDOW = 60
RUNS: dict[str, Callable[[Path], None]] = {}


def recorded(run: Callable[[Path], None]) -> Callable[[Path], None]:
    RUNS[run.__name__] = run
    return run


def digits() -> tuple[Tensor, Tensor]:
    """Images in [0, 1], and their labels."""
    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)


def train(
    path: Path,
    *,
    steps: int,
    batch: int = 64,
    hidden: int = 64,
    normalised: bool = False,
    noise: float = 0.0,
    lr: float = 0.1,
    weight_decay: float = 0.0,
    corrupt: dict[int, float] | None = None,
    clip: float | None = None,
    every: int = WINDOW,
    **options: float,
) -> None:
    """SGD with momentum 0.9.

    The share `noise` of the labels is random, anew in every step; in the steps of `corrupt` the
    images are multiplied by its value. With `clip`, ZENITH sees the gradient after clipping.
    """
    torch.manual_seed(0)
    x, y = digits()
    layers = [nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10)]
    if normalised:
        layers.insert(1, nn.BatchNorm1d(hidden, affine=False))
        layers.append(nn.BatchNorm1d(10, affine=False))
    net = nn.Sequential(*layers)
    optimizer = SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=weight_decay)
    scheduler = Zenith(optimizer, WINDOW, **options)
    path.unlink(missing_ok=True)
    with LogWriter(path, every=every) as log:
        for step in range(1, steps + 1):
            rows = torch.randint(len(x), (batch,))
            factor = (corrupt or {}).get(step, 1.0)
            labels = torch.where(torch.rand(batch) < noise, torch.randint(10, (batch,)), y[rows])
            loss = nn.functional.cross_entropy(net(factor * x[rows]), labels)
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(net.parameters(), clip or 5.0)
            if clip is None:
                scheduler.observe(norm)
            for parameter in net.parameters():  # or one NaN would be the end of the net
                parameter.grad.nan_to_num_(0.0, 0.0, 0.0)
            optimizer.step()
            log.write(scheduler, loss=loss)


@recorded
def falling(path: Path) -> None:
    """The digits are fitted, the norm falls, and the learning rate with it."""
    train(path, steps=900)


@recorded
def short(path: Path) -> None:
    """Fewer steps than the window."""
    train(path, steps=45)


@recorded
def noise_floor(path: Path) -> None:
    """Batches of 4 in which half of the labels is random, anew in each step."""
    train(path, steps=900, batch=4, hidden=16, noise=0.5, lr=0.02)


@recorded
def rising(path: Path) -> None:
    """Weight decay shrinks weights that batch normalisation scales back: the gradient grows."""
    train(path, steps=900, normalised=True, weight_decay=0.02, lr=0.01)


@recorded
def spike(path: Path) -> None:
    """The run of `falling` with one batch whose images were not divided by 16, nor by 255."""
    train(path, steps=900, corrupt={300: 4080.0})


@recorded
def floor(path: Path) -> None:
    """The run of `falling` with a floor under the learning rate."""
    train(path, steps=900, min_scale=0.4)


@recorded
def clipped(path: Path) -> None:
    """The run of `noise_floor`, clipped, without ZENITH being shown what was there before."""
    train(path, steps=300, batch=4, hidden=16, noise=0.5, lr=0.02, clip=1.0)


@recorded
def skipped(path: Path) -> None:
    """The run of `falling` with three batches that hold an infinity."""
    train(path, steps=300, corrupt=dict.fromkeys((120, 121, 200), float("inf")), every=1)


@recorded
def sampled(path: Path) -> None:
    """The run of `spike` as a logger sees it that looks at one step in a hundred."""
    train(path, steps=900, corrupt={300: 4080.0}, every=100)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or RUNS:
        RUNS[name](FOLDER / f"{name}.csv")

"""A small net in Keras, its gradient by hand in float64, and SGD as Keras documents it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import keras
import numpy as np

from tests.oracle import algorithm_1

ETA_0 = 0.05
BATCH = 4
STEPS = 64
Arrays = list[np.ndarray]


def data(steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Batches whose gradients differ by a factor of ten, so that eta moves in every step."""
    rng = np.random.default_rng(0)
    size = np.exp(rng.normal(-1.0, 0.7, (steps, 1, 1)))
    x = rng.normal(size=(steps, BATCH, 3))
    y = size * rng.normal(size=(steps, BATCH, 2))
    return x.reshape(-1, 3).astype("float32"), y.reshape(-1, 2).astype("float32")


def initial_weights() -> Arrays:
    rng = np.random.default_rng(1)
    shapes = [(3, 4), (4,), (4, 2), (2,)]
    return [rng.normal(0, 0.3, shape).astype("float32") for shape in shapes]


def net(**policy: str) -> keras.Model:
    """3 -> tanh 4 -> 2, with `initial_weights`."""
    model = keras.Sequential(
        [
            keras.layers.Input((3,)),
            keras.layers.Dense(4, activation="tanh", name="hidden", **policy),
            keras.layers.Dense(2, name="output", **policy),
        ]
    )
    model.set_weights(initial_weights())
    return model


def gradient(weights: Arrays, x: np.ndarray, y: np.ndarray) -> Arrays:
    """Of the mean squared error, in the precision of the weights."""
    w1, b1, w2, b2 = weights
    h = np.tanh(x @ w1 + b1)
    d_out = 2 * (h @ w2 + b2 - y) / y.size
    d_hidden = (d_out @ w2.T) * (1 - h**2)
    return [x.T @ d_hidden, d_hidden.sum(0), h.T @ d_out, d_out.sum(0)]


def norm(arrays: Arrays) -> float:
    return float(np.sqrt(sum(np.sum(a**2) for a in arrays)))


@dataclass
class Reference:
    """Keras's documented SGD in float64 NumPy, with eta from Algorithm 1."""

    window: int
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None
    clipvalue: float | None = None
    gradient_accumulation_steps: int | None = None
    loss_scale_factor: float | None = None  # multiplies the loss and divides the gradient
    use_ema: bool = False
    ema_momentum: float = 0.99
    ema_overwrite_frequency: int | None = None
    base: Callable[[int], float] = lambda iteration: ETA_0
    weights: Arrays = field(
        default_factory=lambda: [w.astype("float64") for w in initial_weights()]
    )
    etas: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rule = algorithm_1(self.window)
        self.velocity = [np.zeros_like(w) for w in self.weights]
        self.average = [np.zeros_like(w) for w in self.weights]
        self.accumulated: list[Arrays] = []
        self.iteration = 0

    def train(self, x: np.ndarray, y: np.ndarray) -> "Reference":
        for i in range(0, len(x), BATCH):
            batch = x[i : i + BATCH].astype("float64"), y[i : i + BATCH].astype("float64")
            self.step(gradient(self.weights, *batch))
        return self

    def step(self, grads: Arrays) -> None:
        every = self.gradient_accumulation_steps or 1
        self.accumulated.append(grads)
        if len(self.accumulated) == every:
            self.update([np.mean(g, axis=0) for g in zip(*self.accumulated, strict=True)])
            self.accumulated = []
        else:
            self.etas.append(self.etas[-1] if self.etas else ETA_0)
        if self.use_ema:
            keep = self.ema_momentum if self.iteration // every else 0.0
            self.average = [
                keep * a + (1 - keep) * w for a, w in zip(self.average, self.weights, strict=True)
            ]
            overwrite = self.ema_overwrite_frequency
            if overwrite and (self.iteration // every + 1) % overwrite == 0:
                self.weights = [a.copy() for a in self.average]
        self.iteration += 1

    def update(self, grads: Arrays) -> None:
        self.norms.append(norm(grads))
        eta = self.base(self.iteration) * self.rule(self.norms[-1])
        self.etas.append(eta)
        if self.clipnorm:
            grads = [g * self.clipnorm / max(norm([g]), self.clipnorm) for g in grads]
        if self.global_clipnorm:
            factor = self.global_clipnorm / max(norm(grads), self.global_clipnorm)
            grads = [g * factor for g in grads]
        if self.clipvalue:
            grads = [np.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        for i, g in enumerate(grads):
            if self.weight_decay:
                self.weights[i] = self.weights[i] * (1 - self.weight_decay * eta)
            if not self.momentum:
                self.weights[i] = self.weights[i] - eta * g
                continue
            self.velocity[i] = self.momentum * self.velocity[i] - eta * g
            ahead = self.momentum * self.velocity[i] - eta * g
            self.weights[i] = self.weights[i] + (ahead if self.nesterov else self.velocity[i])


class Etas(keras.callbacks.Callback):
    """The learning rate that each batch's step used."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))


def batches(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i in range(0, len(x), BATCH):
        yield x[i : i + BATCH], y[i : i + BATCH]

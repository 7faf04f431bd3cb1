"""The rules as their papers have them, in NumPy on one flat vector, independent of torch.

Each takes the first weights and yields, for one minibatch after the other, the step size on the
gradient (or on the rule's own direction) and the weights after the step. A minibatch is a function
from weights to loss and gradient. What is sent back are the weights from which to go on; what the
rule remembers is its own.
"""

from collections.abc import Callable, Generator, Iterable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Minibatch = Callable[[Vector], tuple[float, Vector]]
Step = tuple[float, Vector]
Run = Generator[Step, Vector, None]
Rule = Callable[[Vector, Iterable[Minibatch]], Run]


def pal(mu: float = 0.1, longest: float = 3.16, beta: float = 0.4, alpha: float = 1 / 0.6) -> Rule:
    def rule(w: Vector, minibatches: Iterable[Minibatch]) -> Run:
        d = np.zeros_like(w)
        for minibatch in minibatches:
            loss, g = minibatch(w)
            d = beta * d + g
            n = np.sqrt(d @ d) or 1e-10
            unit = -d / n
            b = g @ unit
            a = (minibatch(w + mu * unit)[0] - loss - b * mu) / mu**2
            s = 0.0
            if b < 0:
                s = -alpha * b / (2 * a) if a > 0 else mu
            s = min(s, longest)
            w = w + s * unit
            w = yield (s / n, w)

    return rule


def lqa(cap: float, published: bool, steps_per_epoch: int = 1) -> Rule:
    def rule(w: Vector, minibatches: Iterable[Minibatch]) -> Run:
        for t, minibatch in enumerate(minibatches):
            loss, g = minibatch(w)
            if published:
                d, delta = g / np.abs(g).max(), max(1 - 0.02 * (t // steps_per_epoch), 0.1)
            else:
                d, delta = g, 0.1
            above, below = minibatch(w + delta * d)[0], minibatch(w - delta * d)[0]
            eta = delta / 2 * (above - below) / (above + below - 2 * loss + 0.5e-24)
            if published:
                eta = np.abs(eta)
            elif eta <= 0:
                eta = delta
            eta = min(eta, cap)
            w = w - eta * g
            w = yield (eta, w)

    return rule


def gen(eta: float, every: int = 4, smoothing: float = 0.9) -> Rule:
    def rule(w: Vector, minibatches: Iterable[Minibatch]) -> Run:
        current = eta
        for t, minibatch in enumerate(minibatches):
            loss, g = minibatch(w)
            if t % every == 0:
                plus, minus = minibatch(w - current * g)[0], minibatch(w + current * g)[0]
                h = (plus + minus - 2 * loss) / current**2
                slope = (minus - plus) / (2 * current)
                if h > 0 and slope > 0:
                    newton = np.clip(slope / h, current / 2, 2 * current)
                    current = smoothing * current + (1 - smoothing) * newton
            w = w - current * g
            w = yield (current, w)

    return rule


def l4(mean: bool) -> Rule:
    def rule(w: Vector, minibatches: Iterable[Minibatch]) -> Run:
        m, lowest = np.zeros_like(w), np.inf
        for t, minibatch in enumerate(minibatches, 1):
            loss, g = minibatch(w)
            m = 0.9 * m + 0.1 * g
            ghat = m / (1 - 0.9**t)
            v = ghat if mean else g
            lowest = 0.75 * loss if t == 1 else min(lowest, loss)
            eta = 0.15 * (loss - 0.9 * lowest) / (ghat @ v + 1e-12)
            w = w - eta * v
            lowest = lowest * (1 + 1 / 1000)
            w = yield (eta, w)

    return rule


def sps(cap: float, c: float = 0.5) -> Rule:
    def rule(w: Vector, minibatches: Iterable[Minibatch]) -> Run:
        for minibatch in minibatches:
            loss, g = minibatch(w)
            eta = 0.0 if loss < 0 else min(loss / (c * (g @ g) + 1e-8), cap)
            w = w - eta * g
            w = yield (eta, w)

    return rule


def sps_smoothed(steps_per_epoch: int, c: float = 0.2) -> Rule:
    def rule(w: Vector, minibatches: Iterable[Minibatch]) -> Run:
        eta = 1.0
        for minibatch in minibatches:
            loss, g = minibatch(w)
            eta = min(2 ** (1 / steps_per_epoch) * eta, loss / (c * (g @ g) + 1e-8))
            w = w - eta * g
            w = yield (eta, w)

    return rule


def qlabgrad(cap: float, fixed: bool, first: float = 0.1) -> Rule:
    def rule(w: Vector, minibatches: Iterable[Minibatch]) -> Run:
        beta = first
        for minibatch in minibatches:
            loss, g = minibatch(w)
            square = g @ g
            second = (minibatch(w - beta * g)[0] - loss + beta * square) / beta**2
            eta = square / (2 * second + 1e-24)
            eta = min(beta if eta < 0 else eta, cap)
            w = w - eta * g
            beta = beta if fixed else eta
            w = yield (eta, w)

    return rule


def dowg(r_eps: float = 1e-4) -> Rule:
    def rule(w: Vector, minibatches: Iterable[Minibatch]) -> Run:
        start, r2, v = w, r_eps**2, 0.0
        for minibatch in minibatches:
            _, g = minibatch(w)
            r2 = max(r2, (w - start) @ (w - start))
            v += r2 * (g @ g)
            eta = r2 / (np.sqrt(v) + 1e-4)
            w = w - eta * g
            w = yield (eta, w)

    return rule

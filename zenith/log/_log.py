"""A run of ZENITH as columns, and what follows from its gradient norms."""

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zenith.core import init, resize, update

Floats: TypeAlias = NDArray[np.float64]  # NaN where the log has nothing
Ints: TypeAlias = NDArray[np.int64]

# The header of the CSV file, and the keys of JSON lines.
COLUMNS = ("step", "lr", "grad_norm", "mean", "peak", "scale", "skipped", "window", "loss")


@dataclass(frozen=True, eq=False)
class Log:
    """A run of n rows, in the order of its steps. `read_log` makes one.

    Steps count the updates of the optimizer, from 1; with `unit` "epoch" they are numbers of
    epochs, and with "step before now" (from a portable state) they end at 0.
    """

    step: Ints
    lr: Floats  # eta_t, of the first parameter group
    grad_norm: Floats  # g_t; NaN also where the rule refused it
    mean: Floats  # mu_t
    peak: Floats  # Z_t, the zenith; 0 until the window is full
    scale: Floats  # eta_t / eta_0
    skipped: Ints  # how many norms were refused so far
    window: Ints  # W; 0 where it is not known
    loss: Floats
    unit: Literal["step", "epoch", "step before now"] = "step"

    def __len__(self) -> int:
        return len(self.step)

    @property
    def lost(self) -> Ints:
        """How many gradient norms, just before each row, the run had and the log has not."""
        before = np.concatenate(([0], self.step[:-1]))
        refused = np.diff(self.skipped, prepend=0)
        lost = self.step - before - refused - np.isfinite(self.grad_norm)
        if self.unit == "step before now":
            lost[0] = 1
        return np.maximum(lost, 0)

    def complete(self) -> "Log":
        """The same run with `mean`, `peak`, `scale` and `lr` filled in where the norms allow it.

        A learning rate is filled in where eta_0 is the same in the rows before and after that have
        one, so that no schedule has moved it.
        """
        if np.isfinite([self.mean, self.peak, self.scale, self.lr]).all():
            return self
        computed = self.replay()
        mean = np.where(np.isnan(self.mean), computed.mean, self.mean)
        peak = np.where(np.isnan(self.peak), computed.peak, self.peak)
        held_up = self.scale > 1.001 * mean / np.where(peak > 0, peak, np.nan)
        floor = self.scale[held_up].min(initial=1.0) if held_up.any() else 0.0  # min_scale
        scale = np.where(np.isnan(self.scale), np.maximum(computed.scale, floor), self.scale)
        lr = np.where(np.isnan(self.lr), self._constant_eta_0() * scale, self.lr)
        return dataclasses.replace(self, mean=mean, peak=peak, scale=scale, lr=lr)

    def _constant_eta_0(self) -> Floats:
        """eta_0 in each row, NaN where a schedule may have moved it."""
        known = np.flatnonzero(np.isfinite(self.lr) & (self.scale > 0))
        if not len(known):
            return np.full(len(self), np.nan)
        eta_0 = self.lr[known] / self.scale[known]
        after = np.searchsorted(known, np.arange(len(self))).clip(max=len(known) - 1)
        before = (after - 1).clip(min=0)
        return np.where(np.isclose(eta_0[before], eta_0[after], rtol=1e-6), eta_0[after], np.nan)

    def replay(self) -> "Log":
        """The same norms through `zenith.core.update`, without safeguards.

        `mean` and `scale` are NaN until W norms in a row are known; `peak` is the highest mean that
        the log can know of. Without a window, and by the epoch, everything is NaN.
        """
        mean, peak, scale = (np.full(len(self), np.nan) for _ in range(3))
        lost = self.lost
        state, from_the_start = init(1), True
        for i, window in enumerate(self.window.tolist() if self.unit != "epoch" else ()):
            if window == 0:
                continue
            if i == 0 or self.window[i - 1] == 0:
                state = init(window)
            elif window != len(state.norms):
                state = resize(state, window)
            if lost[i]:
                state = init(window)._replace(peak=state.peak)
                from_the_start = False
            if np.isfinite(self.grad_norm[i]):
                state = update(state, self.grad_norm[i])
            if self.peak[i] > 0 and (state.count < window or not from_the_start):
                # It may be from before the log, or of steps that were lost.
                state = state._replace(peak=np.float32(max(state.peak, self.peak[i] * window)))
                from_the_start = False
            if state.count == window or (from_the_start and state.count):
                mean[i] = float(state.total) / int(state.count)
                scale[i] = state.scale
            if state.peak > 0 or from_the_start:
                peak[i] = float(state.peak) / window
        return dataclasses.replace(self, mean=mean, peak=peak, scale=scale)

"""Put into words what a run of ZENITH shows."""

import dataclasses
from collections.abc import Mapping
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from zenith.log import Log, read_log

# A norm is a spike if it is this many times the median of the norms before it, and of those after.
SPIKE = 10.0
# And worth a word if it has taken more than this share of every later learning rate.
DAMAGE = 0.1
# The norm is flat while its mean is above this share of the zenith,
FLAT = 0.8
# and rising if it is this many times larger in the last quarter of the run than in the second.
RISING = 1.2
# Norms are clipped if this share of the last W are the same as the largest, to a thousandth.
CLIPPED = 0.5
# Fewer norms than this before a step have no typical one.
_FEWEST = 10


class Finding(NamedTuple):
    """One thing that a run shows."""

    code: str
    seen: str  # a sentence with the figures of this run
    advice: str

    def __str__(self) -> str:
        return f"{self.code}: {self.seen} {self.advice}"


_WINDOW_UNKNOWN = Finding(
    "window-unknown",
    "The log has neither the window W nor the mean of the norms: nothing follows from it.",
    "Pass window= (--window), or write the log with zenith.log.LogWriter.",
)


def diagnose(
    source: Log | Mapping[str, Any] | str | PathLike[str], *, window: int | None = None
) -> list[Finding]:
    """What the log of a run shows that its user should know, as it stands at the last row.

    - `skipped`: norms were refused because they were not finite.
    - `window-not-full`: fewer than W norms so far, and the learning rate is eta_0.
    - `spike`: norms above 10 times the median of the W before, and of the W after, have lowered
      every later learning rate by more than 10 %.
    - `floor`: `min_scale` holds the learning rate up.
    - `clipped`: half of the last W norms are the largest of them, as after clipping.
    - `rising`: since the window was full, the mean of the norms was 1.2 times larger in the last
      quarter of the steps than in the second.
    - `noise-floor`: W steps or more after that, the mean is still above 0.8 of the zenith.
    - `window-unknown`: the log has neither W nor the means, so that nothing can be told.
    - `sampled`: the log lacks norms, so that spikes cannot be told.

    With spikes in the run, `noise-floor` and `rising` judge it without them; where norms are
    clipped, neither is asked for.

    Args:
      source: a `Log`, or whatever `read_log` reads.
      window: W, for a log that does not tell it.

    Returns:
      The findings, the most urgent first; none for a run whose norm, and learning rate, falls.

    Raises:
      FileNotFoundError, ValueError, ImportError: as `zenith.log.read_log`.

    Example:
      >>> from zenith.diagnose import diagnose
      >>> state = {"format": 1, "window": 500, "norms": [2.0, 1.0], "peak": 0.0, "skipped": 0}
      >>> [finding.code for finding in diagnose(state)]
      ['window-not-full']
    """
    log = read_log(source, window=window)
    run = log.complete()
    findings: list[Finding | None] = [_skipped(run)]
    if run.peak[-1] > 0:
        cleaned, spike = _without_spikes(run)
        findings += [spike, _floor(run), _clipped(run) or _trend(cleaned)]
    elif run.peak[-1] == 0:
        findings.append(_window_not_full(run))
    elif run.unit == "step" and not run.window[-1]:
        findings.append(_WINDOW_UNKNOWN)
    findings.append(_sampled(run))
    return [finding for finding in findings if finding is not None]


def _window_not_full(run: Log) -> Finding | None:
    window = int(run.window[-1])
    seen = int(run.step[-1] - run.skipped[-1])
    if window and seen >= window:  # of norms that are all 0
        return None
    return Finding(
        "window-not-full",
        f"The window has {seen} of {window or 'W'} norms: the learning rate is eta_0 until it is "
        "full.",
        "Let it run on; for a run of few steps choose a smaller window, about a tenth of them.",
    )


def _skipped(run: Log) -> Finding | None:
    skipped = int(run.skipped[-1])
    if not skipped:
        return None
    rows = np.flatnonzero(np.diff(run.skipped, prepend=0))
    where = (
        "before the log begins"
        if not len(rows)
        else (f"the first by step {run.step[rows[0]]}, the last by step {run.step[rows[-1]]}")
    )
    return Finding(
        "skipped",
        f"{skipped} gradient norms were not finite, or too large, and moved nothing: {where}.",
        "Look at the loss and the data of those steps; ZENITH goes on as if they had not been, but "
        "an optimizer that steps with such a gradient spoils the weights.",
    )


def _without_spikes(run: Log) -> tuple[Log, Finding | None]:
    """The run as it would have been with the typical norm in place of each spike."""
    if not (run.window[-1] and _has_every_norm(run)):
        return run, None
    spikes, typical = _find_spikes(run)
    if not len(spikes):
        return run, None
    norms, peak = run.grad_norm.copy(), run.peak.copy()
    norms[spikes] = typical
    peak[spikes[0] :] = np.nan
    cleaned = dataclasses.replace(run, grad_norm=norms, peak=peak).replay()
    if not cleaned.peak[-1] > 0:
        return run, None
    damage = float(1 - cleaned.peak[-1] / run.peak[-1])
    if damage <= DAMAGE:
        return run, None
    largest = spikes[np.argmax(run.grad_norm[spikes])]
    norm, usual = run.grad_norm[largest], typical[np.argmax(run.grad_norm[spikes])]
    which = f"The norm of step {run.step[largest]} has"
    if len(spikes) > 1:
        which = f"The norms of step {run.step[largest]} and of {len(spikes) - 1} more have"
    return cleaned, Finding(
        "spike",
        f"{which} pinned the zenith: {norm:.3g} where "
        f"{usual:.3g} is typical. It is {run.peak[-1]:.3g} instead of {cleaned.peak[-1]:.3g}, and "
        f"every later learning rate is {damage:.0%} lower than without.",
        "Find what the batch holds; spike_factor=10.0 keeps one norm from counting for more than "
        "ten. To mend a run that goes on, start from the checkpoint before it.",
    )


def _find_spikes(run: Log) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the spikes, and the typical norm there: the median of the norms before it."""
    rows = np.flatnonzero(np.isfinite(run.grad_norm))
    norms, window = run.grad_norm[rows], int(run.window[-1])
    spikes: list[int] = []
    typical: list[float] = []
    # Only what is large beside the whole run can be one; the medians are for those few.
    for i in np.flatnonzero(norms > SPIKE * np.median(norms)).tolist():
        before, after = norms[max(i - window, 0) : i], norms[i + 1 : i + 1 + window]
        if len(before) < _FEWEST or norms[i] <= SPIKE * np.median(before):
            continue
        if len(after) < _FEWEST or norms[i] > SPIKE * np.median(after):
            spikes.append(i)
            typical.append(float(np.median(before)))
    return rows[spikes], np.array(typical)


def _floor(run: Log) -> Finding | None:
    ratio = run.mean / np.where(run.peak > 0, run.peak, np.nan)
    held = run.scale > 1.001 * ratio
    if not held[-1]:
        return None
    return Finding(
        "floor",
        f"The learning rate is at its floor of {run.scale[-1]:.3g} eta_0, as min_scale has it, "
        f"where the norms ask for {ratio[-1]:.3g}; it first was at step {run.step[held][0]}.",
        "From here on it is a constant learning rate. Lower min_scale, or take the run for done.",
    )


def _clipped(run: Log) -> Finding | None:
    norms = run.grad_norm[np.isfinite(run.grad_norm)]
    if run.unit == "epoch" or not run.window[-1]:
        return None
    norms = norms[-int(run.window[-1]) :]
    largest = float(norms.max(initial=0.0))
    share = float((norms > 0.999 * largest).mean()) if largest > 0 else 0.0
    if len(norms) < _FEWEST or share < CLIPPED:
        return None
    return Finding(
        "clipped",
        f"{share:.0%} of the last {len(norms)} norms are {largest:.3g}, the largest of them: the "
        "gradient was clipped before it was measured, and the learning rate cannot follow it.",
        "Hand over the norm before clipping: scheduler.observe(clip_grad_norm_(...)) in PyTorch, "
        "ZenithCallback in Lightning and the Trainer; in optax put zenith outside of the clipping.",
    )


def _trend(run: Log) -> Finding | None:
    full = np.flatnonzero((run.peak > 0) & np.isfinite(run.mean))
    if not len(full) or run.unit == "step before now":
        return None
    mean, peak = run.mean[full], run.peak[-1]
    window = int(run.window[-1]) or int(run.step[full[0]])
    if run.step[-1] - run.step[full[0]] < window:
        return None
    _, earlier, _, now = (float(part.mean()) for part in np.array_split(mean, 4))
    if now >= RISING * earlier:
        return Finding(
            "rising",
            f"The norm is rising: its mean was {earlier:.3g} in the second quarter of the steps "
            f"and {now:.3g} in the last. The learning rate rises with it, and is "
            f"{mean[-1] / peak:.0%} of eta_0.",
            "Weight decay with normalised layers does this: weights shrink, and their gradient "
            "grows. Take the decay off those weights, or lower it, or put a decay of the learning "
            "rate on top (schedule=).",
        )
    if mean[-1] >= FLAT * peak:
        return Finding(
            "noise-floor",
            f"The norm is not falling: after {run.step[-1]} steps its mean is {mean[-1]:.3g}, and "
            f"was {peak:.3g} at most. ZENITH is a constant learning rate here, at "
            f"{mean[-1] / peak:.0%} of eta_0.",
            "The noise of the minibatch holds the norm up. A larger batch lowers it; else take a "
            "schedule that knows the budget, alone or on top (schedule=).",
        )
    return None


def _sampled(run: Log) -> Finding | None:
    if run.unit == "step before now" or _has_every_norm(run):
        return None
    return Finding(
        "sampled",
        f"The log has {int(np.isfinite(run.grad_norm).sum())} gradient norms of "
        f"{int(run.step[-1])} {run.unit}s: a spike between them would not be seen.",
        "zenith.log.LogWriter writes every norm, and needs to look once in W steps.",
    )


def _has_every_norm(run: Log) -> bool:
    return run.unit == "step" and not run.lost[1:].any()

"""How equal the front ends are, and what each of them costs: the tables of docs/parity.md.

    python -m benchmarks.parity [--write docs/parity.md] [--steps 1000000]

Every figure is measured by this command. Times are CPU seconds on one thread, so that a busy
machine spoils them less; contenders take turns within each round, in an order that rotates, and a
figure is the median over the rounds.
"""

import argparse
import math
import os
import platform
import statistics
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import parity_steps
from tests.optax.norms import hard_norms
from tests.oracle import ExactRule
from tests.parity import in_numpy
from tests.parity.norms import sequences
from tests.parity.problem import make_problem
from tests.parity.worker import MODES, Norms, Trace, Workers, replay, time_replay, train
from zenith.core import init, to_portable

WINDOW = 500
WINDOWS = (50, 500, 5_000, 15_000)
# Those that are asked for the long sequence too: each takes less than 0.1 ms a step.
FAST = [
    ("NumPy", "eager"),
    ("PyTorch", "eager, float learning rate"),
    ("PyTorch", "compiled"),
    ("optax", "jit"),
    ("optax", "scan"),
    ("Keras on TensorFlow", "tf.function"),
    ("Keras on TensorFlow", "tf.function(jit_compile=True)"),
]
# Widths, batch, and the steps of one turn: enough that starting a `fit` does not show.
NETS = {
    "64-32-10, batch 32": ([64, 32, 10], 32, 200),
    "784-1024-1024-10, batch 128": ([784, 1024, 1024, 10], 128, 30),
}
FRONT_ENDS: dict[str, tuple[str, str, list[Any]]] = {
    "PyTorch, float learning rate": ("PyTorch", "in_torch", [False]),
    "PyTorch, Tensor learning rate": ("PyTorch", "in_torch", [True]),
    "optax, jit": ("optax", "in_optax", []),
    "Keras on TensorFlow, fit": ("Keras on TensorFlow", "in_keras", []),
    "Keras on JAX, fit": ("Keras on JAX", "in_keras", []),
    "Keras on PyTorch, fit": ("Keras on PyTorch", "in_keras", []),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, help="a Markdown file whose tables are replaced")
    parser.add_argument("--steps", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=21, help="default: %(default)s")
    parser.add_argument("--table", choices=TABLES, action="append", help="default: all of them")
    arguments = parser.parse_args()
    for name in arguments.table or TABLES:
        with Workers() as workers:
            text = TABLES[name](workers, arguments)
        print(f"\n{text}", flush=True)
        if arguments.write:
            _replace_table(arguments.write, name, text)


def compare_modes(workers: Workers, arguments: argparse.Namespace) -> str:
    """Every execution mode against NumPy and against the exact sum, and its time a step."""
    norms: dict[str, Norms] = sequences(1000)
    long = {"all of it, for long": hard_norms(arguments.steps, seed=0)}
    of_numpy = {
        name: in_numpy.NumpyRun(WINDOW).advance(sequence)
        for name, sequence in (norms | long).items()
    }
    exact = {name: _exact_sums(sequence) for name, sequence in (norms | long).items()}
    rows = []
    for framework, mode in MODES:
        compared, ulps, from_exact = 0, 0, 0.0
        for name, sequence in (norms | (long if (framework, mode) in FAST else {})).items():
            trace, _ = workers.submit(framework, replay, mode, WINDOW, sequence).result()
            compared += len(sequence)
            ulps = max(ulps, _ulps_apart(trace, of_numpy[name]))
            from_exact = max(from_exact, _distance(trace.totals, exact[name]))
        seconds, _ = _time(workers, framework, mode, WINDOW, arguments.rounds)
        cells = [f"{compared:,}", str(ulps), f"{from_exact:.6f}", _microseconds(seconds)]
        rows.append([f"{framework}, {mode}", *cells])
        print(*rows[-1], sep=" | ", flush=True)
    head = ["execution mode", "steps compared", "largest distance to NumPy, ulp"]
    return _table([*head, "largest distance from the exact sum, ulp", "µs a step"], rows)


def compare_trainings(workers: Workers, _: argparse.Namespace) -> str:
    """eta of each framework over 1000 steps of one net, against NumPy in float64."""
    problem = make_problem(1000)
    after = {momentum: in_numpy.train(problem, momentum, False) for momentum in (0.0, 0.9)}
    before = in_numpy.train(problem, 0.9, True)
    trainings: dict[str, tuple[str, list[str]]] = {
        "PyTorch": ("PyTorch", []),
        "optax, `zenith(sgd)`": ("optax", ["wrapper"]),
        "optax, `chain(scale_by_zenith(), sgd)`": ("optax", ["chain"]),
        "Keras on TensorFlow": ("Keras on TensorFlow", []),
        "Keras on JAX": ("Keras on JAX", []),
        "Keras on PyTorch": ("Keras on PyTorch", []),
    }
    rows = []
    for name, (framework, form) in trainings.items():
        plain, momentum = (
            workers.submit(framework, train, problem, momentum, *form).result()
            for momentum in (0.0, 0.9)
        )
        pairs = ((plain, after[0.0]), (momentum, after[0.9]), (momentum, before))
        rows.append([name, *(f"{np.max(np.abs(mine / ref - 1)):.1e}" for mine, ref in pairs)])
    head = ["front end", "without momentum", "momentum 0.9, against eta after the velocity"]
    return _table([*head, "momentum 0.9, against eta inside the velocity"], rows)


def time_training(workers: Workers, arguments: argparse.Namespace) -> str:
    """A whole training step with ZENITH and with clipping, beside the plain one."""
    rows = []
    for net, (widths, batch, count) in NETS.items():
        for name, (framework, function, options) in FRONT_ENDS.items():
            turns = (function, (widths, batch, *options), count, arguments.rounds)
            seconds = workers.submit(framework, _time_in_turns, *turns).result()
            plain = statistics.median(seconds["plain"])
            added = {
                kind: statistics.median(np.subtract(seconds[kind], seconds["plain"]))
                for kind in ("clip", "zenith")
            }
            cells = [f"{1e6 * added[kind]:+.0f} ({added[kind] / plain:+.1%})" for kind in added]
            rows.append([net, name, f"{1e6 * plain:.0f}", *cells])
            print(*rows[-1], sep=" | ", flush=True)
    head = ["net", "front end", "plain step, µs", "with clipping by the global norm, µs"]
    return _table([*head, "with ZENITH, µs"], rows)


def time_windows(workers: Workers, arguments: argparse.Namespace) -> str:
    """µs a step and bytes of the state against the window."""
    rows, held = [], {}
    for framework, mode in MODES:
        timed = [_time(workers, framework, mode, window, arguments.rounds) for window in WINDOWS]
        rows.append([f"{framework}, {mode}", *(_microseconds(seconds) for seconds, _ in timed)])
        held[framework, mode] = [f"{size:,}" for _, size in timed]
        print(*rows[-1], *held[framework, mode], sep=" | ", flush=True)
    head = ["µs a step", *(f"W = {window:,}" for window in WINDOWS)]
    distinct = {tuple(sizes): None for sizes in held.values()}
    assert len(distinct) == 1, f"the front ends keep different states: {held}"
    return _table(head, [*rows, ["bytes of the state, in each", *next(iter(distinct))]])


def _time(
    workers: Workers, framework: str, mode: str, window: int, rounds: int
) -> tuple[list[float], int]:
    full = {"norms": [1.0] * window, "peak": float(window)}
    state = to_portable(init(window)) | full
    norms = np.random.default_rng(0).lognormal(size=200).astype(np.float32)
    return workers.submit(framework, time_replay, mode, norms, state, rounds).result()


def _time_in_turns(
    module: str, function: str, arguments: Sequence[Any], count: int, rounds: int
) -> dict[str, list[float]]:
    """CPU seconds a step of each contender, round by round."""
    del module  # of the replays
    contenders = getattr(parity_steps, function)(*arguments)
    seconds: dict[str, list[float]] = {kind: [] for kind in contenders}
    for steps in contenders.values():
        steps(3)  # compile, and fill the caches
    for turn in range(rounds + 1):
        for kind in np.roll([*contenders], turn):
            begin = time.process_time()
            contenders[kind](count)
            seconds[kind].append((time.process_time() - begin) / count)
    return {kind: of_kind[1:] for kind, of_kind in seconds.items()}


def _exact_sums(norms: Norms) -> NDArray[np.float64]:
    oracle, sums = ExactRule(WINDOW), np.empty(len(norms))
    for step, norm in enumerate(norms):
        oracle.push(float(norm))
        sums[step] = math.fsum(oracle.norms)
    return sums


def _ulps_apart(trace: Trace, expected: Trace) -> int:
    pairs = zip(trace, expected, strict=True)
    # Of float32 that are not negative the bits, read as integers, count the numbers between.
    return max(
        int(np.max(np.abs(np.subtract(*(f.view(np.int32) for f in pair))))) for pair in pairs
    )


def _distance(totals: NDArray[np.float32], exact: NDArray[np.float64]) -> float:
    return float(np.max(np.abs(totals - exact) / np.spacing(np.maximum(totals, 2.0**-100))))


def _microseconds(seconds: list[float]) -> str:
    microseconds = 1e6 * statistics.median(seconds)
    return f"{microseconds:.1f}" if microseconds < 10 else f"{microseconds:,.0f}"


def name_versions(*_: object) -> str:
    """What the figures were measured with."""
    names = ("numpy", "torch", "tensorflow", "keras", "jax", "optax")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"{versions}; Python {platform.python_version()}, {os.cpu_count()} CPUs, one thread used."
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    ruler = ["---", *(["---:"] * (len(head) - 1))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ruler, *rows])


def _replace_table(page: Path, name: str, text: str) -> None:
    content = page.read_text(encoding="utf-8")
    first, last = f"<!-- {name}: python -m benchmarks.parity -->\n", f"<!-- end of {name} -->"
    before, _, rest = content.partition(first)
    _, found, after = rest.partition(last)
    if not found:
        raise ValueError(f"{page} must have the lines {first!r} and {last!r}")
    page.write_text(f"{before}{first}\n{text}\n\n{last}{after}", encoding="utf-8")


TABLES = {
    "machine": name_versions,
    "modes": compare_modes,
    "trainings": compare_trainings,
    "steps": time_training,
    "windows": time_windows,
}

if __name__ == "__main__":
    main()

"""A process for each framework, and what it is asked to do: replay norms, train, import states.

Keras chooses its backend when it is imported, so each backend needs a process of its own; the
others get one too, so that none of them sees the threads and settings of another. The tests, the
exchange of checkpoints and `benchmarks/parity.py` all go through here.
"""

import functools
import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tests.broken import broken_keys
from zenith.core import init, to_portable

Norms = NDArray[Any]  # f32[n], or of float16 or bfloat16
Portable = dict[str, Any]


class Trace(NamedTuple):
    """What the rule made of n norms, step by step."""

    scales: NDArray[np.float32]  # f32[n]
    totals: NDArray[np.float32]  # f32[n]: the sum over the window


class Run(Protocol):
    """One front end in one execution mode, to which norms are handed in place of gradients."""

    def advance(self, norms: Norms) -> Trace: ...

    def export(self) -> Portable: ...

    def take(self, portable: Mapping[str, Any]) -> None: ...

    def everything(self) -> object:
        """All that an import may change, to be compared with what it was."""

    def bytes_held(self) -> int: ...


class Worker(NamedTuple):
    """A framework: the module with its `MODES` and its `train`, and the backend of Keras."""

    module: str
    backend: str | None = None


WORKERS = {
    "NumPy": Worker("tests.parity.in_numpy"),
    "PyTorch": Worker("tests.parity.in_torch"),
    "optax": Worker("tests.parity.in_optax"),
    "Keras on TensorFlow": Worker("tests.parity.in_keras", "tensorflow"),
    "Keras on JAX": Worker("tests.parity.in_keras", "jax"),
    "Keras on PyTorch": Worker("tests.parity.in_keras", "torch"),
}

# Every execution mode: the framework, and the key of `MODES` in its module.
MODES = [
    ("NumPy", "eager"),
    ("PyTorch", "eager, float learning rate"),
    ("PyTorch", "eager, Tensor learning rate"),
    ("PyTorch", "compiled"),
    ("optax", "eager"),
    ("optax", "jit"),
    ("optax", "scan"),
    ("Keras on TensorFlow", "eager"),
    ("Keras on TensorFlow", "tf.function"),
    ("Keras on TensorFlow", "tf.function(jit_compile=True)"),
    ("Keras on JAX", "jit"),
    ("Keras on PyTorch", "eager"),
]


class Workers(ExitStack):
    """The processes, each started when it is first needed and ended with the context."""

    def __init__(self) -> None:
        super().__init__()
        self._pools: dict[str, ProcessPoolExecutor] = {}

    def submit(self, framework: str, task: Any, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have the process of `framework` run `task(module, *args)`, a function of this file."""
        if framework not in self._pools:
            pool = ProcessPoolExecutor(
                max_workers=1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(WORKERS[framework].backend,),
            )
            self._pools[framework] = self.enter_context(pool)
        return self._pools[framework].submit(task, WORKERS[framework].module, *args, **kwargs)


def _start(backend: str | None) -> None:
    # The nets are tiny; more threads only wait for each other.
    os.environ |= dict.fromkeys(
        ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
    )
    os.environ |= {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    }
    if backend is not None:
        os.environ["KERAS_BACKEND"] = backend


def replay(
    module: str,
    mode: str,
    window: int,
    norms: Norms,
    *,
    start: Portable | None = None,
    cuts: Sequence[int] = (),
) -> tuple[Trace, list[Portable]]:
    """The trace of a run over `norms`, and its state at each cut and at the end."""
    run = _run(module, mode, window)
    if start is not None:
        run.advance(np.array([1e20] * window + [np.nan], np.float32))  # of which nothing may stay
    run.take(to_portable(init(window)) if start is None else start)
    traces, states = [], []
    for part in np.split(norms, list(cuts)):
        traces.append(run.advance(part))
        states.append(run.export())
    return Trace(*(np.concatenate(fields) for fields in zip(*traces, strict=True))), states


def time_replay(
    module: str, mode: str, norms: Norms, start: Portable, rounds: int
) -> tuple[list[float], int]:
    """CPU seconds a step, round by round, once everything is compiled; bytes of the state."""
    run = _run(module, mode, start["window"])
    run.take(start)
    seconds = []
    for _ in range(rounds + 1):
        begin = time.process_time()
        run.advance(norms)
        seconds.append((time.process_time() - begin) / len(norms))
    return seconds[1:], run.bytes_held()


@functools.cache  # a run that is compiled stays so
def _run(module: str, mode: str, window: int) -> Run:
    return import_module(module).MODES[mode](window)


def train(module: str, *args: Any) -> NDArray[np.float64]:
    """eta_t of each step of a training that computes its own gradients and norms."""
    return import_module(module).train(*args)


def import_broken(module: str, mode: str, portable: Portable, count: int, seed: int) -> list[str]:
    """Import `count` broken states; return the keys that the refusals name, or "" for a success.

    An exception other than ValueError, a changed state after one, or an import that is not exact
    is an error.
    """
    run = _run(module, mode, portable["window"])
    run.take(portable)
    before, named = run.everything(), []
    for broken in broken_keys(portable, count, seed):
        try:
            run.take(broken)
        except ValueError as error:
            named.append(str(error))
            exact = run.everything() == before
        else:
            named.append("")
            exact = run.export() == broken | {"norms": list(broken["norms"])}
            run.take(portable)
        if not exact:
            raise AssertionError(f"importing {broken!r} left another state: {named[-1]!r}")
    return named

"""The state as a plain dict, for JSON, `torch.load(weights_only=True)` and any framework."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from zenith.core._rule import SMALLEST_NORM, ZenithState, check_window, init, largest_norm, update

FORMAT = 1
_KEYS = ("format", "window", "norms", "peak", "skipped")
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_INT32_MAX = int(np.iinfo(np.int32).max)


def to_portable(state: ZenithState) -> dict[str, Any]:
    """What must be kept of a state, as Python numbers; everything else follows from it.

    Args:
      state: a `ZenithState` of arrays that NumPy can read, of any framework.

    Returns:
      `format` (int), `window` (int), `norms` (list of at most `window` floats, oldest first),
      `peak` (float, sum over the window, not the mean) and `skipped` (int).

    Example:
      >>> from zenith.core import init, to_portable, update
      >>> to_portable(update(init(2), 0.5))
      {'format': 1, 'window': 2, 'norms': [0.5], 'peak': 0.0, 'skipped': 0}
    """
    norms = np.asarray(state.norms)
    window = len(norms)
    return {
        "format": FORMAT,
        "window": window,
        "norms": cast(list[float], norms[window - int(state.count) :].tolist()),
        "peak": float(state.peak),
        "skipped": int(state.skipped),
    }


def from_portable(
    portable: Mapping[str, Any], *, window: int | None = None, min_scale: float = 0.0
) -> ZenithState:
    """The state that `to_portable` described, bit for bit.

    Args:
      portable: a mapping with exactly the keys that `to_portable` writes.
      window: the window that is expected, if another one is to be refused.
      min_scale: the safeguard of the run that continues; `scale` depends on it.

    Returns:
      A `ZenithState` of NumPy arrays.

    Raises:
      ValueError: a key is missing or foreign, or a value is not one that `to_portable` writes. The
        message names the key.

    Example:
      >>> from zenith.core import from_portable
      >>> from_portable({"format": 1, "window": 2, "norms": [0.5], "peak": 0.0, "skipped": 0}).count
      np.int32(1)
    """
    _check_keys(portable)
    if _read_int("format", portable["format"]) != FORMAT:
        raise _refusal("format", f"must be {FORMAT}", portable["format"])
    size = _read_window(portable["window"], window)
    norms = _read_norms(portable["norms"], size)
    skipped = _read_int("skipped", portable["skipped"])
    peak = _read_float32("peak", portable["peak"], _FLOAT32_MAX)

    padded = np.zeros(size, np.float32)
    padded[size - len(norms) :] = norms
    state = init(size)._replace(norms=padded, count=np.int32(len(norms)), peak=peak)
    # A norm that the rule refuses moves nothing but `skipped`; what it derives is the rest.
    derived = update(state, np.nan, min_scale=min_scale)
    if derived.peak != peak:
        raise _refusal("peak", f"must be at least the sum {float(derived.peak)!r} of `norms`", peak)
    if len(norms) < size and peak != 0:
        raise _refusal("peak", "must be 0 until the window is full", peak)
    return derived._replace(skipped=np.int32(skipped))


def _check_keys(portable: Mapping[str, Any]) -> None:
    if not isinstance(portable, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(
            f"a portable state must be a mapping with the keys {_KEYS}. Received: {portable!r}"
        )
    missing = [key for key in _KEYS if key not in portable]
    foreign = [key for key in portable if key not in _KEYS]
    if missing or foreign:
        raise ValueError(
            f"a portable state has exactly the keys {_KEYS}. Missing: {missing}. Foreign: {foreign}"
        )


def _read_window(received: object, expected: int | None) -> int:
    try:
        size = check_window(cast(int, received))
    except (TypeError, ValueError):
        raise _refusal("window", "must be an int of at least 1", received) from None
    if expected is not None and size != expected:
        raise _refusal("window", f"must be {expected}, the window of this run", received)
    return size


def _read_norms(received: object, window: int) -> list[np.float32]:
    if not isinstance(received, Sequence) or isinstance(received, str | bytes | bytearray):
        raise _refusal("norms", "must be a list of floats, oldest first", received)
    norms = cast(Sequence[object], received)
    if len(norms) > window:
        raise _refusal(
            "norms", f"must hold at most window = {window} values", f"{len(norms)} values"
        )
    return [_read_float32("norms", norm, largest_norm(window)) for norm in norms]


def _read_float32(key: str, received: object, largest: float) -> np.float32:
    # bool is an int; a checkpoint that holds one was not written by us.
    if not isinstance(received, int | float | np.floating) or isinstance(received, bool):
        raise _refusal(key, "must hold floats", received)
    # Compared before the conversion: a Python int may lie beyond every float.
    number = cast(float, received)
    if number == 0 or SMALLEST_NORM <= number <= largest:
        value = np.float32(number)
        if float(value) == number:
            return value
    raise _refusal(key, f"must hold float32 numbers that are 0 or in [2^-100, {largest!r}]", number)


def _read_int(key: str, received: object) -> int:
    if (
        not isinstance(received, int)
        or isinstance(received, bool)
        or not 0 <= received <= _INT32_MAX
    ):
        raise _refusal(key, f"must be an int from 0 to {_INT32_MAX}", received)
    return received


def _refusal(key: str, rule: str, received: object) -> ValueError:
    return ValueError(f"portable state: {key!r} {rule}. Received: {received!r}")

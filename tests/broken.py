"""Portable states gone wrong, as bytes of a file and as keys of a dict, by the thousand."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

_PIECES = (b"", b"0", b"-", b"9", b".", b"e", b"e999", b"null", b"true", b"NaN", b"Infinity", b"[")
_PIECES += (b"]", b"{", b"}", b'"', b",", b":", b" ", b"\\", b"\x00", b"\xff", b"\xed\xa0\x80")
_PIECES += (b'"window":', b'"peak": 1.0, ', b"[" * 5000, b"9" * 5000, b"\xef\xbb\xbf")

_NUMBERS = (0, -0.0, 1, 2, -1, 0.5, 0.1, 1e-40, 2.0**-100, 1e30, 3e38, 1e39, 2**24, 2**24 + 1)
_NUMBERS += (2**31 - 1, 2**31, 10**400, -(10**400), math.nan, math.inf, -math.inf, 2**53 + 1)
_OTHERS = (None, True, False, "", "1", b"1", (), {}, object(), 1j, np.float32(0.5), np.float64(0.1))
_OTHERS += (np.int64(2), np.bool_(True), np.array([1.0]), range(2), float, slice(2))


def broken_bytes(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """`content` with bytes flipped, cut out, repeated, put in, or swapped; often several times."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        new = bytearray(content)
        for _ in range(rng.geometric(0.6)):
            first, last = sorted(rng.integers(0, len(new) + 1, 2))
            match rng.integers(6):
                case 0 if new:
                    new[rng.integers(len(new))] ^= 1 << int(rng.integers(8))
                case 1:
                    del new[first:last]
                case 2:
                    del new[first:]
                case 3:
                    new[first:first] = new[first:last]
                case 4:
                    new[first:first] = _PIECES[rng.integers(len(_PIECES))]
                case _:
                    new[first : first + 1] = _PIECES[rng.integers(len(_PIECES))]
        yield bytes(new)


def broken_keys(portable: dict[str, Any], count: int, seed: int) -> Iterator[Any]:
    """`portable` with keys gone, added or renamed, and with values of every kind."""
    rng = np.random.default_rng(seed)
    keys = list(portable)

    def number() -> Any:
        return _NUMBERS[rng.integers(len(_NUMBERS))]

    def value() -> Any:
        kind = rng.integers(4)
        if kind == 0:
            return _OTHERS[rng.integers(len(_OTHERS))]
        if kind == 1:
            return number()
        entries = [number() if kind == 2 else value() for _ in range(rng.integers(5))]
        return entries if rng.random() < 0.9 else tuple(entries)

    for _ in range(count):
        new: dict[Any, Any] = dict(portable)
        for _ in range(rng.geometric(0.7)):
            key = keys[rng.integers(len(keys))]
            match rng.integers(6):
                case 0:
                    new.pop(key, None)
                case 1:
                    new[(key.upper(), key + " ", 0, None, b"peak", ("peak",))[rng.integers(6)]] = 1
                case 2 if portable["norms"]:
                    norms = list(portable["norms"])
                    norms[rng.integers(len(norms))] = number()
                    new["norms"] = norms
                case _:
                    new[key] = value()
        yield new if rng.random() < 0.99 else value()

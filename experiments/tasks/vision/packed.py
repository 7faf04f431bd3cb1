"""A long list of small records that worker processes share instead of copying it."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np


class Packed:
    """JSON records, one behind the other in a single block of memory.

    As a list of dicts the annotations of COCO would be copied to every worker process, object by
    object, as their reference counts change.
    """

    def __init__(self, records: Iterable[Any]) -> None:
        encoded = [json.dumps(record).encode() for record in records]
        self.ends = np.cumsum([0, *map(len, encoded)])
        self.block = np.frombuffer(b"".join(encoded), np.uint8)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> Any:
        return json.loads(self.block[self.ends[index] : self.ends[index + 1]].tobytes())

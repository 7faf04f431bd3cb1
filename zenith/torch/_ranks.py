"""Whether the ranks of a distributed run agree on the gradient norm."""

import math
import os
from typing import Any

import torch.distributed as dist

_started = 0  # Zeniths that have taken a step in this process, in the same order on every rank


class RanksAgree:
    """Compares the first norm of this rank with that of another one, and never waits for it.

    A norm that is local to a rank would give every rank a learning rate of its own, silently: the
    gradients are sharded (FSDP1, pipeline stages), or were never reduced. A collective operation
    would tell at once, but would hang where one rank alone trains; so the norms go through the
    key-value store of the run at step 1, and are compared at step 2, 4, 8 or so on, as soon as the
    other one is there. Ranks that exchange anything in a step all have it, and raise, at step 2.
    """

    def __init__(self, process_group: "dist.ProcessGroup | None") -> None:
        self.settled = False
        self._group = process_group
        self._key = ""
        self._mine = math.nan
        self._calls = 0

    def check(self, norm: Any) -> None:
        """Take part with the norm of this step, a float or a Tensor that is read if it is needed.

        Raises:
          RuntimeError: another rank has measured another norm.
        """
        self._calls += 1
        if self._calls & (self._calls - 1):  # neither 1 nor 2, 4, 8
            return
        peer = _peer(self._group)
        store = None if peer is None else _store()
        if store is None:
            self.settled = True
            return
        if not self._key:
            self._mine = float(norm)
            if not math.isfinite(self._mine):
                self._calls = 0  # it tells nothing: the next step is the first
                return
            global _started
            # torchrun may keep the store, with what was written before a restart.
            restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
            self._key = f"zenith/norm/{restarts}/{_started}"
            _started += 1
            mine = f"{self._key}/{dist.get_rank()}"
            store.set(mine, repr(self._mine))
            # The server does not acknowledge a set(): without an answer over the same connection,
            # it may serve the other rank's question of step 2 first. Then one rank raises, and the
            # other one waits for it in their next exchange until the run's timeout.
            store.check([mine])
            return
        other = f"{self._key}/{peer}"
        if not store.check([other]):
            return
        self.settled = True
        theirs = float(store.get(other))
        # Ranks that share a gradient have the same bits, on like processors; local ones differ by
        # per cents.
        if not math.isclose(self._mine, theirs, rel_tol=1e-4):
            raise RuntimeError(
                f"the gradient norm is local to a rank: {self._mine:.6g} on rank "
                f"{dist.get_rank()}, {theirs:.6g} on rank {peer}. Every rank would get a learning "
                "rate of its own. If the gradients are split over ranks (FSDP1, pipeline stages, "
                "an optimizer for a shard of the parameters), pass process_group=, the ranks over "
                "which they are split, to Zenith; if you observe() a norm, observe the global one. "
                "If all ranks are to share one gradient, reduce it, with DistributedDataParallel "
                "for example, before optimizer.step(). If each rank trains a model of its own, "
                "pass process_group=torch.distributed.new_group([rank], "
                "use_local_synchronization=True)."
            )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"settled": True}  # a copy would ask under the name of the original


def _peer(group: "dist.ProcessGroup | None") -> int | None:
    """The first rank of the group; for the first one the last; None if there is no other."""
    if not (dist.is_available() and dist.is_initialized()):
        return None
    ranks = dist.get_process_group_ranks(group or dist.group.WORLD)
    if len(ranks) < 2:
        return None
    return ranks[0] if dist.get_rank() != ranks[0] else ranks[-1]


def _store() -> Any:
    """The key-value store through which the ranks met: torch has no public way to it."""
    return dist.distributed_c10d._get_default_store()  # pyright: ignore

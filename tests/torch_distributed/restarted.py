"""A training of two ranks that goes on from the last checkpoint whenever torchrun restarts it.

    KILLS=13,29 torchrun --nproc-per-node=2 --max-restarts=2 tests/torch_distributed/restarted.py X

At the n-th start rank 1 kills itself in the middle of the step that KILLS names n-th: after the
gradients are reduced, before it moves the weights.
"""

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tests.torch_distributed.problem import (
    STEPS,
    WINDOW,
    batches,
    loss_of,
    make_net,
    make_optimizer,
    share,
)
from zenith.torch import Zenith

EVERY = 5


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    rank, start = dist.get_rank(), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    kills = [int(step) for step in os.environ["KILLS"].split(",") if step]
    net = DistributedDataParallel(make_net())
    optimizer = make_optimizer(net.parameters())
    scheduler = Zenith(optimizer, window=WINDOW)
    parts = {"net": net, "optimizer": optimizer, "zenith": scheduler}
    checkpoint, first = folder / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        first = state["step"]
        for name, part in parts.items():
            part.load_state_dict(state[name])
    with (folder / f"starts-{rank}").open("a") as log:
        log.write(f"{first}\n")
    for t, batch in zip(range(STEPS), batches(), strict=False):
        if t < first:
            continue
        if t % EVERY == 0 and rank == 0:
            states = {name: part.state_dict() for name, part in parts.items()}
            torch.save(states | {"step": t}, folder / "being_written.pt")
            (folder / "being_written.pt").replace(checkpoint)
        net.zero_grad()
        loss_of(net, share(batch, rank, 2)).backward()
        if rank == 1 and start < len(kills) and t == kills[start]:
            os.kill(os.getpid(), signal.SIGKILL)
        optimizer.step()
    torch.save([part.state_dict() for part in parts.values()], folder / f"done-{rank}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

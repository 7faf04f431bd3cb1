"""A training that is killed again and again, and goes on from its last checkpoint each time.

    python tests/torch/train_until_killed.py FOLDER KILLS SEED {float,tensor}

Every training is a process of its own, forked so that it need not import torch anew, and killed by
SIGKILL after a random time. One that reaches the end leaves its weights, and the next one begins
from nothing. After the last kill one more is left alone.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from tests.torch.problem import backward, batches, make_net
from zenith.torch import Zenith

STEPS = 400
EVERY = 4  # steps from one checkpoint to the next


def train(folder: Path, kind) -> None:
    """Train to the end, from the last checkpoint if there is one, and write the weights."""
    net = make_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=kind(0.1), momentum=0.9)
    scheduler = Zenith(optimizer, window=20)
    checkpoint, first = folder / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        first = state["step"]
        for part, name in ((net, "net"), (optimizer, "optimizer"), (scheduler, "zenith")):
            part.load_state_dict(state[name])
    with (folder / "log").open("a") as log:
        log.write(f"{first}\n")
    for t in range(first, STEPS):
        if t % EVERY == 0:
            state = {"net": net, "optimizer": optimizer, "zenith": scheduler}
            states = {name: part.state_dict() for name, part in state.items()}
            torch.save(states | {"step": t}, folder / "being_written.pt")
            (folder / "being_written.pt").replace(checkpoint)  # whole, or not at all
        backward(net, next(batches(seed=t)))
        optimizer.step()
    torch.save([net.state_dict(), optimizer.state_dict(), scheduler.state_dict()], folder / "done")


def import_what_a_step_imports() -> None:
    """Once, before the forks: it takes seconds. No backward: autograd would not run in a fork."""
    net = make_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    Zenith(optimizer)
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()


def kill_and_resume(folder: Path, kills: int, seed: int, kind) -> None:
    moments = random.Random(seed)
    runs = 0
    while True:
        current = folder / str(runs)
        current.mkdir(exist_ok=True)
        since = size(current / "log")
        child = os.fork()
        if child == 0:
            train(current, kind)
            os._exit(0)
        if kills:
            if moments.random() < 0.75:  # else it may be killed while it reads the checkpoint
                wait_for_a_new_line(current / "log", since)
            time.sleep(moments.uniform(0, 0.15))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if not killed and status != 0:
            sys.exit(f"a training failed with status {status}")
        if not killed:
            runs += 1
        if not killed and not kills:
            return
        kills -= killed


def wait_for_a_new_line(log: Path, since: int) -> None:
    """Until the training has begun: on a busy machine that takes longer than it is left to live."""
    give_up = time.monotonic() + 30
    while size(log) == since and time.monotonic() < give_up:
        time.sleep(0.001)


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    import_what_a_step_imports()
    folder, kills, seed, kind = sys.argv[1:]
    kill_and_resume(
        Path(folder), int(kills), int(seed), {"float": float, "tensor": torch.tensor}[kind]
    )

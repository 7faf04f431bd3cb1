"""What torchrun starts on every rank: one training with Accelerate, and what it saw in a file.

torchrun --nproc-per-node=2 tests/torch_accelerate/worker.py FILE PREPARED ACCUMULATE CLIP
"""

import json
import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import SGD
from torch.utils.data import DataLoader, TensorDataset

from tests.torch.problem import make_net
from zenith.torch import Zenith

STEPS, BATCH, WINDOW, LR = 24, 12, 5, 0.3


def dataset():
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(STEPS * BATCH, 8, generator=generator)
    return TensorDataset(x, (x @ torch.randn(8, 4, generator=generator)).argmax(1))


def train(prepared, accumulate=1, clip=None, folder=None, resume=None, schedule=None):
    """Learning rates and norms of every real step.

    `prepared`: Zenith is built "before" the optimizer is prepared and prepared with it, "after" on
    the optimizer that Accelerate wrapped, or "apart", never prepared.
    """
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulate)
    loader = DataLoader(dataset(), batch_size=BATCH // accelerator.num_processes // accumulate)
    net = make_net()
    optimizer = SGD(net.parameters(), lr=LR if resume is None else 0.9, momentum=0.9)
    options = {"schedule": schedule(optimizer) if schedule else None}
    if prepared == "before":
        zenith = Zenith(optimizer, window=WINDOW, **options)
        net, optimizer, loader, scheduler = accelerator.prepare(net, optimizer, loader, zenith)
    elif prepared == "after":
        net, optimizer, loader = accelerator.prepare(net, optimizer, loader)
        zenith = scheduler = Zenith(optimizer, window=WINDOW, **options)
        accelerator.register_for_checkpointing(zenith)
    else:
        zenith = scheduler = Zenith(optimizer, window=WINDOW, **options)
        net, optimizer, loader = accelerator.prepare(net, optimizer, loader)
        accelerator.register_for_checkpointing(zenith)
    first, lrs, norms, updates = 0, [], [], 0
    if resume is not None:
        accelerator.load_state(folder)
        first = resume
        updates = resume
        loader = accelerator.skip_first_batches(loader, first * accumulate)
    for x, y in loader:
        with accelerator.accumulate(net):
            accelerator.backward(nn.functional.cross_entropy(net(x), y))
            if clip and accelerator.sync_gradients:
                zenith.observe(accelerator.clip_grad_norm_(net.parameters(), clip))
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            lrs.append(float(zenith.optimizer.param_groups[0]["lr"]).hex())
            norms.append(zenith.last_norm)
            updates += 1
            if folder is not None and resume is None and updates == STEPS // 2:
                accelerator.save_state(folder)
    return {
        "lrs": lrs,
        "norms": norms,
        "counted": zenith.state_dict()["updates"],
        "steps_of_schedule": zenith.last_epoch,
        "rank": accelerator.process_index,
        "weights": [p.flatten().tolist() for p in net.parameters()],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    file, prepared, accumulate, clip = sys.argv[1:]
    result = train(prepared, int(accumulate), float(clip) or None)
    Path(f"{file}-{result['rank']}").write_text(json.dumps(result))
    torch.distributed.destroy_process_group()

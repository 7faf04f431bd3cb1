"""What torchrun starts on every rank: trains each case named on the command line, and writes what
it saw to a file.

    torchrun --nproc-per-node=2 tests/torch_distributed/worker.py FOLDER CASE...
"""

import contextlib
import json
import sys
import traceback
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.algorithms.model_averaging.averagers import PeriodicModelAverager
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.optim import PostLocalSGDOptimizer, ZeroRedundancyOptimizer
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from tests.torch_distributed.problem import (
    MICRO_BATCHES,
    STEPS,
    WINDOW,
    batches,
    clip_and_observe,
    loss_of,
    make_net,
    make_optimizer,
    share,
)
from zenith.torch import Zenith

Case = Callable[[Path], dict[str, object]]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def train(net, optimizer, scheduler, *, ranks=None, rank=None, steps=STEPS, first=0, **how):
    """Train on this rank's share of every global batch; what a rank reports, with its errors."""
    backward = how.get("backward", lambda net, batch: loss_of(net, batch).backward())
    before_step = how.get("before_step", lambda: None)
    ranks = dist.get_world_size() if ranks is None else ranks
    rank = dist.get_rank() if rank is None else rank
    lrs, norms, errors = [], [], []
    for t, batch in zip(range(first + steps), batches(), strict=False):
        if t < first:
            continue
        net.zero_grad()
        backward(net, share(batch, rank, ranks))
        before_step()
        try:
            optimizer.step()
        except RuntimeError as error:  # every rank goes on, so that none is waited for in vain
            errors.append([t, str(error)])
        lrs.append(float(scheduler.get_last_lr()[0]).hex())
        norms.append(scheduler.last_norm)
        if how.get("lockstep"):
            dist.barrier()
    return {"lrs": lrs, "norms": norms, "errors": errors}


def with_zenith(net, params=None, lr=0.3, **options):
    optimizer = make_optimizer(net.parameters() if params is None else params, lr)
    return net, optimizer, Zenith(optimizer, window=WINDOW, **options)


def shard(net: nn.Module, mesh) -> nn.Module:
    for layer in net:
        if [*layer.parameters()]:
            fully_shard(layer, mesh=mesh)
    return fully_shard(net, mesh=mesh)


def line_of_ranks():
    return init_device_mesh("cpu", (dist.get_world_size(),))


# Distributed data parallel


@case
def ddp(_):
    return train(*with_zenith(DistributedDataParallel(make_net(), gradient_as_bucket_view=True)))


@case
def ddp_tensor_lr(_):
    net = DistributedDataParallel(make_net(), static_graph=True)
    return train(*with_zenith(net, lr=torch.tensor(0.3)))


@case
def ddp_no_sync(_):
    net = DistributedDataParallel(make_net(), gradient_as_bucket_view=True)

    def accumulate(net, batch):
        x, y = batch
        parts = [*zip(x.chunk(MICRO_BATCHES), y.chunk(MICRO_BATCHES), strict=True)]
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            with contextlib.nullcontext() if last else net.no_sync():
                (loss_of(net, part) / MICRO_BATCHES).backward()

    return train(*with_zenith(net), backward=accumulate)


@case
def ddp_clipped(_):
    net, optimizer, scheduler = with_zenith(DistributedDataParallel(make_net()))
    clip = lambda: clip_and_observe(net, scheduler)  # noqa: E731
    return train(net, optimizer, scheduler, before_step=clip)


@case
def ddp_one_rank_overflows(_):
    """A loss scaler, and an overflow that begins on one rank alone."""
    net, optimizer, scheduler = with_zenith(make_net())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
    skipped = []

    def backward(net, batch):
        scaler.scale(loss_of(net, batch)).backward()
        if len(skipped) % 5 == 3 and dist.get_rank() == 1:
            next(net.parameters()).grad[0, 0] = torch.inf
        # What DDP does, but after the damage, so that it reaches every rank.
        for p in net.parameters():
            dist.all_reduce(p.grad)
            p.grad /= dist.get_world_size()

    def step():
        before = [p.detach().clone() for p in net.parameters()]
        scaler.step(optimizer)
        scaler.update()
        skipped.append(all(torch.equal(*p) for p in zip(before, net.parameters(), strict=True)))

    stepper = type("Stepper", (), {"step": staticmethod(step)})
    result = train(net, stepper, scheduler, backward=backward)
    return result | {"skipped": skipped, "counted": len(scheduler.state_dict()["history"]["norms"])}


@case
def zero(_):
    net = DistributedDataParallel(make_net())
    optimizer = ZeroRedundancyOptimizer(
        net.parameters(), SGD, lr=0.3, momentum=0.9, weight_decay=1e-3
    )
    return train(net, optimizer, Zenith(optimizer, window=WINDOW))


def shard_of_zero(**options):
    """Zenith on the optimizer inside, which holds the parameters of one rank."""
    net = DistributedDataParallel(make_net())
    optimizer = ZeroRedundancyOptimizer(
        net.parameters(), SGD, lr=0.3, momentum=0.9, weight_decay=1e-3
    )
    return train(net, optimizer, Zenith(optimizer.optim, window=WINDOW, **options))


@case
def zero_by_its_shard(_):
    return shard_of_zero()


@case
def zero_by_its_shard_with_group(_):
    return shard_of_zero(process_group=dist.group.WORLD)


@case
def zero_inside_backward(_):
    net = DistributedDataParallel(make_net())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = ZeroRedundancyOptimizer(
            net.parameters(), SGD, lr=0.3, overlap_with_ddp=True, parameters_as_bucket_view=False
        )
    try:
        Zenith(optimizer, window=WINDOW)
    except ValueError as error:
        return {"lrs": [], "errors": [[0, str(error)]]}
    return {"lrs": [], "errors": []}


@case
def post_local_sgd(_):
    net = DistributedDataParallel(make_net())
    inner = make_optimizer(net.parameters())
    optimizer = PostLocalSGDOptimizer(inner, PeriodicModelAverager(period=4, warmup_steps=0))
    return train(net, optimizer, Zenith(optimizer, window=WINDOW))


# Sharded by DTensor


@case
def fsdp2(_):
    return train(*with_zenith(shard(make_net(), line_of_ranks())))


@case
def fsdp2_tensor_lr(_):
    return train(*with_zenith(shard(make_net(), line_of_ranks()), lr=torch.tensor(0.3)))


@case
def fsdp2_clipped(_):
    """The norm that clip_grad_norm_ returns is a DTensor."""
    net, optimizer, scheduler = with_zenith(
        shard(make_net(), line_of_ranks()), lr=torch.tensor(0.3)
    )
    clip = lambda: clip_and_observe(net, scheduler)  # noqa: E731
    return train(net, optimizer, scheduler, before_step=clip)


@case
def tensor_parallel(_):
    """Gradients as DTensors and, of the other layers, plain ones in one optimizer."""
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
    net = parallelize_module(make_net(), line_of_ranks(), plan)
    return train(*with_zenith(net), ranks=1, rank=0)


@case
def hsdp(_):
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicas", "shards"))
    return train(*with_zenith(shard(make_net(), mesh)))


@case
def tensor_parallel_and_fsdp2(_):
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
    net = shard(parallelize_module(make_net(), mesh["tp"], plan), mesh["dp"])
    return train(*with_zenith(net), ranks=2, rank=mesh["dp"].get_local_rank())


# Sharded as plain tensors


def fsdp1(use_orig_params: bool, **options):
    net = FullyShardedDataParallel(
        make_net(), use_orig_params=use_orig_params, device_id=torch.device("cpu")
    )
    return train(*with_zenith(net, **options))


@case
def fsdp1_flat(_):
    return fsdp1(use_orig_params=False, process_group=dist.group.WORLD)


@case
def fsdp1_original(_):
    return fsdp1(use_orig_params=True, process_group=dist.group.WORLD)


@case
def fsdp1_original_tensor_lr(_):
    return fsdp1(True, process_group=dist.group.WORLD, lr=torch.tensor(0.3))


@case
def fsdp1_without_group(_):
    return fsdp1(use_orig_params=True)


def a_part_of_the_parameters(**options):
    """As pipeline stages: each rank steps some of the parameters."""
    net = DistributedDataParallel(make_net())
    params, ranks, rank = [*net.parameters()], dist.get_world_size(), dist.get_rank()
    mine = params[rank::ranks]
    net, optimizer, scheduler = with_zenith(net, mine, **options)

    def share_weights():
        for index, p in enumerate(params):
            dist.broadcast(p.data, index % ranks)

    optimizer.register_step_post_hook(lambda *_: share_weights())
    return train(net, optimizer, scheduler)


@case
def parts(_):
    return a_part_of_the_parameters(process_group=dist.group.WORLD)


@case
def parts_tensor_lr(_):
    return a_part_of_the_parameters(process_group=dist.group.WORLD, lr=torch.tensor(0.3))


@case
def parts_without_group(_):
    return a_part_of_the_parameters()


@case
def a_rank_without_gradient(_):
    """Rank 1 owns a parameter that the loss does not reach, and must not be waited for."""
    net = make_net()
    unused = [nn.Parameter(torch.zeros(3))]
    mine = net.parameters() if dist.get_rank() == 0 else unused
    net, optimizer, scheduler = with_zenith(net, mine, process_group=dist.group.WORLD)
    idle = train(net, optimizer, scheduler, backward=lambda *_: None, steps=3)
    counted = scheduler.state_dict()["history"]["norms"]
    return train(net, optimizer, scheduler, ranks=1, rank=0) | {"idle": [counted, idle["errors"]]}


# Nothing shared


@case
def forgotten(_):
    return train(*with_zenith(make_net()), lockstep=True)


@case
def forgotten_and_observed(_):
    net, optimizer, scheduler = with_zenith(make_net(), process_group=dist.group.WORLD)
    clip = lambda: clip_and_observe(net, scheduler)  # noqa: E731
    return train(net, optimizer, scheduler, before_step=clip, lockstep=True)


@case
def each_a_model_of_its_own(_):
    group = dist.new_group([dist.get_rank()], use_local_synchronization=True)
    return train(*with_zenith(make_net(), process_group=group), lockstep=True)


@case
def one_rank_trains_alone(_):
    if dist.get_rank() == 0:
        return train(*with_zenith(make_net()), ranks=1, rank=0)
    return {"lrs": [], "errors": []}


# torch.distributed.checkpoint


@case
def save_fsdp2(folder):
    net, optimizer, scheduler = with_zenith(shard(make_net(), line_of_ranks()))
    # Asked before the first step it takes one of its own, with LR 0 and gradients of 0.
    get_state_dict(net, optimizer)
    result = train(net, optimizer, scheduler, steps=STEPS // 2)
    weights, moments = get_state_dict(net, optimizer)
    state = {"net": weights, "optimizer": moments, "zenith": scheduler}
    dcp.save(state, checkpoint_id=folder / f"dcp-{dist.get_world_size()}")
    return result | {"counted": len(scheduler.state_dict()["history"]["norms"])}


@case
def resume_fsdp2(folder):
    """The checkpoint of two ranks."""
    net, optimizer, scheduler = with_zenith(shard(make_net(), line_of_ranks()), lr=0.7)
    for p in net.parameters():
        nn.init.zeros_(p)
    weights, moments = get_state_dict(net, optimizer)
    state = {"net": weights, "optimizer": moments, "zenith": scheduler}
    dcp.load(state, checkpoint_id=folder.parent / "2" / "dcp-2")
    set_state_dict(net, optimizer, model_state_dict=weights, optim_state_dict=moments)
    return train(net, optimizer, scheduler, first=STEPS // 2, steps=STEPS - STEPS // 2)


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    for name in names:
        try:
            result = CASES[name](folder)
        except Exception:
            result = {"crash": traceback.format_exc()}
        (folder / f"{name}-{dist.get_rank()}.json").write_text(json.dumps(result))
        dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

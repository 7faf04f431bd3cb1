"""Two and four real processes: one learning rate on all of them, that of one process."""

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

from tests.torch_distributed.problem import (
    STEPS,
    WINDOW,
    alone,
    clip_and_observe,
    make_net,
    make_optimizer,
)
from zenith.torch import Zenith, _ranks

SHARED = [
    *("ddp", "ddp_tensor_lr", "ddp_no_sync", "ddp_clipped", "zero", "post_local_sgd"),
    *("fsdp2", "fsdp2_tensor_lr", "fsdp2_clipped", "tensor_parallel"),
    *("fsdp1_flat", "fsdp1_original", "fsdp1_original_tensor_lr"),
    *("parts", "parts_tensor_lr", "zero_by_its_shard_with_group"),
]
LOCAL = [
    *("fsdp1_without_group", "zero_by_its_shard", "parts_without_group"),
    *("forgotten", "forgotten_and_observed"),
]
# The checkpoint of two ranks is resumed by four.
SHARED_BY_4 = ["ddp", "fsdp2", "hsdp", "tensor_parallel_and_fsdp2", "zero", "fsdp1_flat", "parts"]
CASES = {
    2: [
        *(*SHARED, *LOCAL, "ddp_one_rank_overflows", "zero_inside_backward", "save_fsdp2"),
        *("a_rank_without_gradient", "each_a_model_of_its_own", "one_rank_trains_alone"),
    ],
    4: [*SHARED_BY_4, "parts_without_group", "resume_fsdp2", "save_fsdp2"],
}
pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, about experimental features


def floats(lrs: list[str]) -> list[float]:
    return [float.fromhex(lr) for lr in lrs]


def probed(net, optimizer):
    get_optimizer_state_dict(net, optimizer)
    assert optimizer.state  # torch took a step of its own


@pytest.fixture(scope="module")
def expected() -> dict[str, list[float]]:
    return {"": alone(), "clipped": alone(clip_and_observe), "probed": alone(prepare=probed)}


shared_cases = pytest.mark.parametrize(
    ("ranks", "case"), [(2, case) for case in SHARED] + [(4, case) for case in SHARED_BY_4]
)


@shared_cases
def test_the_learning_rate_has_the_same_bits_on_every_rank_at_every_step(runs, ranks, case):
    first, *others = [rank["lrs"] for rank in runs.of(ranks, case)]
    assert len(first) == STEPS
    assert others == [first] * (ranks - 1)


@shared_cases
def test_the_learning_rate_is_that_of_one_process_on_the_global_batch(runs, ranks, case, expected):
    reference = expected["clipped" if "clipped" in case else ""]
    lrs = floats(runs.of(ranks, case)[0]["lrs"])
    assert lrs == pytest.approx(reference, rel=1e-6)
    assert min(lrs) < 0.8 * lrs[0]  # a constant one would prove nothing


@pytest.mark.parametrize(
    ("ranks", "case"), [*[(2, case) for case in LOCAL], (4, "parts_without_group")]
)
def test_a_norm_that_is_local_to_a_rank_is_an_error_on_every_rank(runs, ranks, case):
    for rank, result in enumerate(runs.of(ranks, case)):
        (step, message), *more = result["errors"]
        assert step == 1  # when the learning rate is eta_0 still
        assert f"is local to a rank: {result['norms'][0]:.6g} on rank {rank}" in message
        assert "pass process_group=" in message
        assert more == []


def test_a_model_for_each_rank_is_told_by_a_group_of_one(runs):
    first, second = runs.of(2, "each_a_model_of_its_own")
    assert first["errors"] == second["errors"] == []
    assert first["lrs"] != second["lrs"]


def test_one_rank_that_trains_alone_waits_for_nobody(runs, expected):
    alone_, idle = runs.of(2, "one_rank_trains_alone")
    assert floats(alone_["lrs"]) == expected[""]
    assert idle["lrs"] == []


def test_a_rank_without_any_gradient_takes_part(runs, expected):
    results = runs.of(2, "a_rank_without_gradient")
    assert results[0]["lrs"] == results[1]["lrs"]
    assert floats(results[0]["lrs"]) == pytest.approx(expected[""], rel=1e-6)
    # No gradient on any rank is no step.
    assert [result["idle"] for result in results] == [[[], []]] * 2


def test_an_overflow_on_one_rank_is_no_step_on_any(runs):
    first, second = runs.of(2, "ddp_one_rank_overflows")
    assert first["lrs"] == second["lrs"]
    assert first["skipped"] == second["skipped"]
    assert sum(first["skipped"]) == 8
    lrs = floats(first["lrs"])
    for t, skipped in enumerate(first["skipped"]):
        if skipped:
            assert (lrs[t], first["norms"][t]) == (lrs[t - 1], first["norms"][t - 1])


def test_zero_that_steps_inside_backward_is_refused(runs):
    for result in runs.of(2, "zero_inside_backward"):
        assert "overlap_with_ddp=False" in result["errors"][0][1]


def test_the_probe_step_of_distributed_checkpoint_does_not_count(runs, expected):
    for result in runs.of(2, "save_fsdp2"):
        assert floats(result["lrs"]) == pytest.approx(expected["probed"][: STEPS // 2], rel=1e-6)


def test_a_checkpoint_of_two_ranks_is_resumed_by_four(runs, expected):
    first, *others = [rank["lrs"] for rank in runs.of(4, "resume_fsdp2")]
    assert others == [first] * 3
    assert floats(first) == pytest.approx(expected["probed"][STEPS // 2 :], rel=1e-6)


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_checkpoint_of_many_ranks_is_resumed_by_one_process(runs, ranks):
    optimizer = make_optimizer(make_net().parameters(), lr=0.7)
    scheduler = Zenith(optimizer, window=WINDOW)
    state = {"zenith": scheduler}
    dcp.load(state, checkpoint_id=runs.folder / str(ranks) / f"dcp-{ranks}", no_dist=True)
    lr = runs.of(ranks, "save_fsdp2")[0]["lrs"][-1]
    assert scheduler.get_last_lr() == [float.fromhex(lr)]
    assert optimizer.param_groups[0]["lr"] == float.fromhex(lr)


def test_the_private_store_of_torch_is_where_it_was(tmp_path):
    torch.distributed.init_process_group(
        "gloo", rank=0, world_size=1, store=torch.distributed.FileStore(str(tmp_path / "store"), 1)
    )
    try:
        store = _ranks._store()
        assert not store.check(["zenith"])
        store.set("zenith", "1.5")
        assert store.check(["zenith"])
        assert float(store.get("zenith")) == 1.5
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("group", ["world", 3, object()])
def test_what_is_no_process_group_is_refused(group):
    optimizer = make_optimizer(make_net().parameters())
    with pytest.raises(TypeError, match=r"process_group must be a torch\.distributed"):
        Zenith(optimizer, process_group=group)

"""One rank of two is killed, and torchrun starts both again."""

import random

import torch

from tests.torch_distributed.conftest import torchrun
from tests.torch_distributed.problem import STEPS


def test_a_run_with_a_rank_killed_twice_ends_with_the_bits_of_the_undisturbed_one(tmp_path):
    kills = sorted(random.Random(0).sample(range(6, STEPS - 2), 2))
    ends = []
    for name, moments in (("undisturbed", []), ("killed", kills)):
        folder = tmp_path / name
        folder.mkdir()
        variables = {"KILLS": ",".join(map(str, moments))}
        # torch 2.13 hands gloo the addresses of the dead processes again without this.
        variables["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
        torchrun(2, "restarted.py", str(folder), restarts=2, **variables)
        starts = [int(step) for step in (folder / "starts-1").read_text().split()]
        # Rank 0 may have gone one step further, and saved that.
        assert starts[0] == 0
        for first, step in zip(starts[1:], moments, strict=True):
            assert first in (step // 5 * 5, (step + 1) // 5 * 5)
        ends += [torch.load(folder / f"done-{rank}", weights_only=True) for rank in (0, 1)]
    first, *others = ends
    assert first[2]["history"]["peak"] > 0
    for other in others:
        assert all(torch.equal(first[0][key], other[0][key]) for key in first[0])
        assert other[2] == first[2]

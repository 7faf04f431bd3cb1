"""The PyTorch on the pages runs, line for line."""

import re

import pytest
import torch
from torch import nn
from torch.optim import SGD

import zenith.torch
from tests.pages import ROOT, before_and_after, pages_to_run, run
from tests.torch.problem import batches, make_net
from zenith.torch import Zenith

PAGES = sorted((ROOT / "docs" / "torch").glob("*.md"))


@pytest.mark.filterwarnings("ignore")  # torch's own, about checkpoints without ranks
@pytest.mark.parametrize("page", pages_to_run("torch"))
def test_the_lines_to_copy_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = batches()
    model = make_net()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    scope = {
        "torch": torch,
        "model": model,
        "optimizer": optimizer,
        "scheduler": Zenith(optimizer, window=500),
        "loader": [next(data) for _ in range(8)],
        "loss_fn": nn.functional.cross_entropy,
        "device": "cpu",
        "file": tmp_path / "file.pt",
        "folder": tmp_path / "folder",
        "weights": model.state_dict(),
        "moments": optimizer.state_dict(),
        "generator": make_net(1),
        "discriminator": make_net(2),
    }
    run(page, "torch", scope)


@pytest.mark.parametrize(
    "pair", before_and_after("torch"), ids=["cosine", "step", "warm", "plateau"]
)
def test_the_old_lines_and_the_new_ones_of_a_migration_run(pair):
    for lines in pair:
        scope = {"torch": torch, "zenith": zenith, "model": make_net()}
        exec(lines, scope)  # noqa: S102
        assert scope["optimizer"].param_groups[0]["lr"] <= 0.1
    assert isinstance(scope["scheduler"], Zenith)


def test_every_page_is_linked():
    index = (ROOT / "docs" / "torch" / "index.md").read_text()
    linked = re.findall(r"\((\w+\.md)\)", index)
    assert sorted(linked) == sorted(page.name for page in PAGES if page.stem != "index")

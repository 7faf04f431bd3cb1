"""The pages of docs/torch: their lines run, and the tests that they name exist."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import SGD

from tests.torch.problem import batches, make_net
from zenith.torch import Zenith

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "torch").glob("*.md"))
# The others need ranks or a framework; the tests of those do what the pages show.
RUN_HERE = [
    *("index", "plain_loop", "amp", "clipping", "accumulation", "gan", "resume", "compile"),
]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_python(page):
    for block in blocks(page):
        compile(block, page.name, "exec")


@pytest.mark.filterwarnings("ignore")  # torch's own, about checkpoints without ranks
@pytest.mark.parametrize("name", RUN_HERE)
def test_the_lines_to_copy_run(name, tmp_path):
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
    for block in blocks(ROOT / "docs" / "torch" / f"{name}.md"):
        exec(block, scope)  # noqa: S102


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_test_that_a_page_names_exists(page):
    for path, test in re.findall(r"`(tests/[\w/.]+)::(\w+)`", page.read_text()):
        assert re.search(rf"^def {test}\(", (ROOT / path).read_text(), re.MULTILINE), (path, test)


def test_every_page_is_linked():
    index = (ROOT / "docs" / "torch" / "index.md").read_text()
    linked = re.findall(r"\((\w+\.md)\)", index)
    assert sorted(linked) == sorted(page.name for page in PAGES if page.stem != "index")

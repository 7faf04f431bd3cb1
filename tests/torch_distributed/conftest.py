import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="these tests need PyTorch")

ROOT = Path(__file__).parents[2]


def torchrun(ranks: int, script: str, *args: str, restarts: int = 0, **variables: str) -> str:
    """Run a script of this folder on so many processes, and return what they printed."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *(f"--nproc-per-node={ranks}", f"--max-restarts={restarts}", "--monitor-interval=0.1"),
        *(str(Path(__file__).with_name(script)), *args),
    ]
    variables |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(  # noqa: S603
        command, env=os.environ | variables, capture_output=True, text=True, timeout=300
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


class Runs:
    """What every rank of a case has written; the cases of one size share one start of torchrun."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, ranks: int, cases: list[str]) -> None:
        torchrun(ranks, "worker.py", str(self.folder / str(ranks)), *cases)

    def of(self, ranks: int, case: str) -> list[dict]:
        folder = self.folder / str(ranks)
        results = [json.loads((folder / f"{case}-{r}.json").read_text()) for r in range(ranks)]
        for result in results:
            assert "crash" not in result, result["crash"]
        return results


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Runs:
    from tests.torch_distributed.test_ranks import CASES

    runs = Runs(tmp_path_factory.mktemp("runs"))
    for ranks, cases in CASES.items():
        (runs.folder / str(ranks)).mkdir()
        runs.start(ranks, cases)
    return runs

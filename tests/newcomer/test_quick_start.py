"""A new user's first minutes: an empty environment, and nothing but the lines of the page."""

import csv
import os
import re
import struct
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.pages import RUN_AS_PROGRAMS, blocks

ROOT = Path(__file__).parents[2]
PAGE = "docs/quick-start.md"
STEPS = {"torch": 40 * 45, "keras": 40 * 45, "optax": 40 * 44}  # epochs, batches of 32 in 1,437


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel of this checkout."""
    pytest.importorskip(
        "build", reason="the package build is not installed; tox -e newcomer has it"
    )
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    (path,) = folder.glob("*.whl")
    return path


def test_this_page_is_known_to_be_tested_here():
    assert (ROOT / RUN_AS_PROGRAMS[PAGE]).samefile(__file__)


@pytest.mark.parametrize("framework", STEPS)
def test_from_an_empty_environment_to_a_trained_net_and_its_plot(framework, wheel, tmp_path):
    # A pip of today: 23.2 takes no constraint by address for a package with extras.
    venv.create(tmp_path / "env", with_pip=True, upgrade_deps=True)
    bin_ = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    # The name `zenith-lr` means this wheel, and torch the version of every other test.
    constraints = tmp_path / "constraints.txt"
    pinned = (ROOT / "constraints.txt").read_text()
    constraints.write_text(f"{pinned}\nzenith-lr @ {wheel.as_uri()}\n")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "PATH": os.pathsep.join([str(bin_), os.environ["PATH"]]),
        "PIP_CONSTRAINT": str(constraints),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "KERAS_HOME": str(tmp_path / "keras"),
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
    }

    def execute(command, **options):
        done = subprocess.run(  # noqa: S603
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, **options
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (install,) = blocks(PAGE, framework, "sh")
    execute(install.code, shell=True)  # noqa: S604
    assert "zenith-lr @ file:" in execute([bin_ / "python", "-m", "pip", "freeze"])

    program = tmp_path / "program.py"
    lines = [block.code for block in blocks(PAGE) if block.framework in (framework, "core")]
    assert len(lines) == 2  # one that trains, one that draws
    program.write_text("\n".join(lines))
    printed = execute([bin_ / "python", program])

    found = re.search(r"test accuracy ([\d.]+)%, learning rate ([\d.]+)", printed)
    assert found, printed
    assert float(found[1]) > 95
    assert 0 < float(found[2]) < 0.05  # from 0.1: it has fallen by itself
    with (tmp_path / "zenith.csv").open() as log:
        rows = list(csv.DictReader(log))
    assert [int(row["step"]) for row in rows] == list(range(1, STEPS[framework] + 1))
    assert all(float(row["grad_norm"]) > 0 for row in rows)
    picture = (tmp_path / "zenith.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    assert min(width, height) > 300
    assert len(picture) > 20_000  # an empty pair of axes has less

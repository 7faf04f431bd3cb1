"""What `import zenith` costs a user: NumPy, and no framework."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import zenith

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "optax", "flax"}


def run_python(*arguments: str) -> str:
    return subprocess.run(  # noqa: S603
        [sys.executable, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("module", ["zenith", "zenith.core"])
def test_importing_it_imports_no_framework(module):
    loaded = run_python("-c", f"import sys, {module}; print(*sys.modules)").split()
    assert module in loaded
    assert FRAMEWORKS.isdisjoint(loaded)


def test_python_m_zenith_prints_the_version():
    assert run_python("-m", "zenith") == f"zenith {zenith.__version__}"


def test_the_citation_names_the_version():
    citation = Path(__file__).parents[2] / "CITATION.cff"
    assert re.search(r"^version: (.+)$", citation.read_text(), re.M)[1] == zenith.__version__


def test_the_distribution_has_the_version_of_the_module():
    try:
        installed = metadata.version("zenith-lr")
    except metadata.PackageNotFoundError:
        pytest.skip("zenith-lr is not installed here; tox installs it")
    assert installed == zenith.__version__

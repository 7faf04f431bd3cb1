"""What a user of `pip install zenith-lr` gets: the library, NumPy, and nothing else."""

import subprocess
import sys
import tarfile
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import zenith

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "optax", "matplotlib"}


def names_in(wheel):
    return set(zipfile.ZipFile(wheel).namelist())


def metadata_of(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return HeaderParser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_the_library_and_nothing_else(wheel):
    modules = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "zenith").rglob("*")
        if path.suffix in (".py", ".typed")
    }
    assert "zenith/py.typed" in modules
    info = f"zenith_lr-{zenith.__version__}.dist-info"
    expected = modules | {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD")}
    assert names_in(wheel) == expected | {f"{info}/licenses/LICENSE"}


def test_the_sdist_can_be_tested(dist):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"pyproject.toml", "tox.ini", "constraints.txt", "mkdocs.yml", "conda/recipe.yaml"}
    wanted |= {"tests/oracle.py", "docs/index.md", ".github/check_tag.py", "LICENSE", "README.md"}
    assert wanted <= names
    assert not [name for name in names if name.startswith(("results/", ".tox/", "site/", "dist/"))]


def test_the_metadata_say_what_pip_needs(wheel):
    metadata = metadata_of(wheel)
    assert metadata["Name"] == "zenith-lr"
    assert metadata["Version"] == zenith.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    required = [name for name in metadata.get_all("Requires-Dist") if "extra ==" not in name]
    assert required == ["numpy<3,>=2.0"]
    assert {"torch", "keras", "optax"} <= set(metadata.get_all("Provides-Extra"))


def test_the_package_index_will_show_the_readme(dist):
    pytest.importorskip("twine", reason="twine is not installed; tox -e package has it")
    checked = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "twine", "check", "--strict", *dist.glob("zenith_lr-*")],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.count("PASSED") == 2


@pytest.fixture(scope="module")
def python(tmp_path_factory, wheel):
    """The Python of an environment that has the wheel and what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    executable = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    return executable


def run(python, *arguments):
    done = subprocess.run(  # noqa: S603
        [python, "-I", *arguments], cwd=Path(python).parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_empty_environment_gains_numpy_alone(python):
    listed = run(python, "-m", "pip", "list", "--format=freeze").splitlines()
    installed = {line.partition("==")[0].lower() for line in listed}
    assert installed - {"pip", "setuptools"} == {"zenith-lr", "numpy"}


@pytest.mark.parametrize(
    "module", ["zenith", "zenith.core", "zenith.log", "zenith.plot", "zenith.diagnose"]
)
def test_it_imports_there_without_any_framework(python, module):
    loaded = run(python, "-c", f"import sys, {module}; print(*sys.modules)").split()
    assert module in loaded
    assert FRAMEWORKS.isdisjoint(loaded)


def test_it_says_its_version_there(python):
    assert run(python, "-m", "zenith").splitlines()[0] == f"zenith {zenith.__version__}"


def test_the_rule_works_there(python):
    code = (
        "from zenith.core import init, update\n"
        "state = init(2)\n"
        "for norm in (4.0, 2.0, 1.0): state = update(state, norm)\n"
        "print(float(state.scale))"
    )
    assert run(python, "-c", code) == "0.5"


@pytest.mark.parametrize("framework", ["torch", "keras", "optax"])
def test_a_front_end_without_its_framework_names_what_is_missing(python, framework):
    code = (
        "try:\n"
        f"    import zenith.{framework}\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error.name)"
    )
    assert run(python, "-c", code) in {framework, "jax"}

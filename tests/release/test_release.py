"""What stands between a tag and the package index."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import zenith

ROOT = Path(__file__).parents[2]
FILES = ("zenith/__init__.py", "CITATION.cff", "CHANGELOG.md", "conda/recipe.yaml")
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / ".github" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path):
    """The files that carry a version, as they are on the day of version 9.8.7."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.replace(zenith.__version__, "9.8.7"))
    log = "# Changelog\n\n## [Unreleased]\n\n## [9.8.7] - 2026-01-02\n\n### Added\n\n- This.\n\n"
    (tmp_path / "CHANGELOG.md").write_text(f"{log}## [9.8.6] - 2026-01-01\n\n- That.\n")
    return tmp_path


def test_a_tag_that_agrees_gives_the_notes(tree):
    assert script("check_tag").release_notes("v9.8.7", tree) == "### Added\n\n- This."


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("zenith/__init__.py", "9.8.7", "9.8.8", r"must be v9\.8\.8.*Received: v9\.8\.7"),
        ("CITATION.cff", "9.8.7", "9.8.6", r"CITATION\.cff must have .*Received: 9\.8\.6"),
        ("conda/recipe.yaml", "9.8.7", "9.8.6", r"recipe\.yaml must have .*Received: 9\.8\.6"),
        ("CHANGELOG.md", "- 2026-01-02", "", r"must have a section '## \[9\.8\.7\]"),
        ("CHANGELOG.md", "### Added\n\n- This.", "", r"must have a section '## \[9\.8\.7\]"),
    ],
)
def test_a_tag_that_something_disagrees_with_is_refused(tree, file, old, new, message):
    text = (tree / file).read_text()
    assert old in text
    (tree / file).write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        script("check_tag").release_notes("v9.8.7", tree)


def test_the_script_ends_with_an_error_for_a_foreign_tag():
    ended = subprocess.run(  # noqa: S603
        [sys.executable, ROOT / ".github" / "check_tag.py", "v0.0.0"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "the tag must be v" in ended.stderr


def test_every_copy_of_the_version_is_the_version():
    for name, pattern in script("check_tag").COPIES.items():
        found = re.search(pattern, (ROOT / name).read_text(), re.MULTILINE)
        assert found, name
        assert found[1] == zenith.__version__, name


def test_the_readme_on_the_package_index_has_no_relative_link():
    absolute = script("absolute_links").absolute
    text = (
        "![a picture](docs/a.png) and [![a badge](docs/b.svg)](LICENSE), [a page](docs/c.md#d), "
        "[an anchor](#here), [a site](https://example.org/x), `f(x)`"
    )
    at = "https://host/owner/name"
    assert absolute(text, at, "v1") == (
        f"![a picture]({at}/raw/v1/docs/a.png) and "
        f"[![a badge]({at}/raw/v1/docs/b.svg)]({at}/blob/v1/LICENSE), "
        f"[a page]({at}/blob/v1/docs/c.md#d), "
        "[an anchor](#here), [a site](https://example.org/x), `f(x)`"
    )
    readme = absolute((ROOT / "README.md").read_text(), at, "v1")
    assert re.findall(r"\]\((?!https?:|#)[^)]*\)", readme) == []
    code = re.compile(r"```.*?```", re.DOTALL)
    assert code.findall(readme) == code.findall((ROOT / "README.md").read_text())


def test_every_relative_link_of_the_front_pages_leads_to_a_file():
    for page in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"):
        prose = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", prose):
            assert (ROOT / target).exists(), (page, target)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", sorted((ROOT / ".github" / "workflows").glob("*.yml"))),
        ("vendor.github-issue-forms", FORMS),
        ("vendor.github-issue-config", [ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"]),
    ],
)
def test_github_will_understand_the_files_of_dot_github(schema, files):
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    assert files
    checked = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_the_workflow_runs_every_environment_of_tox():
    listed = set((ROOT / "tox.ini").read_text().partition("env_list =")[2].split("\n\n")[0].split())
    listed = {name for name in listed if "=" not in name}
    by_python = {name for name in listed if re.match(r"(core|optax)-py\{311,312,313\}$", name)}
    assert len(by_python) == 2  # the two that the workflow names; `list` finds the others
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    assert 'python: ["3.11", "3.12", "3.13"]' in workflow
    assert "grep -vE '^(core|optax)-py'" in workflow


def test_the_conda_recipe_requires_what_the_package_requires():
    rattler = pytest.importorskip("rattler_build", reason="py-rattler-build is not installed")
    recipe = rattler.Stage0Recipe.from_yaml((ROOT / "conda" / "recipe.yaml").read_text())
    (variant,) = recipe.render()
    rendered = variant.recipe.to_dict()
    assert rendered["package"]["version"] == zenith.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    frameworks = {*extras["torch"], *extras["keras"], *extras["optax"]}
    assert set(rendered["requirements"]["run"]) == {
        spaced(name) for name in (*project["dependencies"], f"python{project['requires-python']}")
    }
    assert set(rendered["requirements"]["run_constraints"]) == {
        spaced(name).replace("torch ", "pytorch ") for name in frameworks
    }


def spaced(requirement):
    """`torch>=2,<3` as conda writes it: `torch >=2,<3`."""
    return re.sub(r"(?<=\w)(?=[<>=])", " ", requirement, count=1)

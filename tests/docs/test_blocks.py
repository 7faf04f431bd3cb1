"""Every block of Python on every page is run by a test, or says why not."""

import re

import pytest

from tests.pages import FRAMEWORKS, ROOT, RUN_AS_PROGRAMS, all_pages, before_and_after, blocks

PYTHON = [block for page in all_pages() for block in blocks(page)]


def test_no_block_escapes_the_search():
    for page in all_pages():
        fences = re.findall(r"^ *```(?:python|py)\b", (ROOT / page).read_text(), re.MULTILINE)
        assert len(fences) == len(blocks(page)), page
    assert len(PYTHON) > 40


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"{block.page}:{block.line}")
def test_it_is_python_of_a_framework_whose_tests_run_it(block):
    compile(block.code, block.page, "exec")
    assert block.framework in FRAMEWORKS
    if block.page in RUN_AS_PROGRAMS:
        assert (ROOT / RUN_AS_PROGRAMS[block.page]).exists()
    elif not block.not_run:
        test = (ROOT / "tests" / block.framework / "test_docs.py").read_text()
        assert f'pages_to_run("{block.framework}")' in test


@pytest.mark.parametrize(
    "block", [b for b in PYTHON if b.not_run], ids=lambda block: f"{block.page}:{block.line}"
)
def test_the_tests_that_a_reason_names_exist(block):
    assert len(block.not_run.split()) >= 3
    for path in re.findall(r"tests/[\w/.]+", block.not_run):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("framework", ["torch", "keras", "optax"])
def test_every_migration_takes_something_away_and_ends_in_zenith(framework):
    pairs = before_and_after(framework)
    assert len(pairs) == 4
    for before, after in pairs:
        compile(before, "before", "exec")
        compile(after, "after", "exec")
        assert "zenith." not in before
        assert f"zenith.{framework}." in after


@pytest.mark.parametrize("page", all_pages())
def test_every_test_that_a_page_names_exists(page):
    text = (ROOT / page).read_text()
    for path, test in re.findall(r"\b(tests/[\w/]+\.py)(?:::(\w+))?", text):
        assert (ROOT / path).exists(), path
        if test:
            assert re.search(rf"^def {test}\(", (ROOT / path).read_text(), re.MULTILINE), test

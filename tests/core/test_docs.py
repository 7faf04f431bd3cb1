"""The Python on the pages that needs no framework runs, and is the rule."""

import numpy as np
import pytest

from tests.pages import pages_to_run, run
from zenith.core import init, update

RULE = "docs/how-it-works.md"


@pytest.mark.parametrize("page", pages_to_run("core"))
def test_the_lines_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(page, "core", {})


@pytest.mark.parametrize("window", [1, 2, 7, 50])
def test_the_five_lines_on_the_page_are_the_rule(window):
    scope = {}
    run(RULE, "core", scope)
    norms = np.random.default_rng(window).lognormal(size=200).astype(np.float32)
    state, expected = init(window), []
    for norm in norms:
        state = update(state, norm)
        expected.append(0.1 * float(state.scale))
    np.testing.assert_allclose(scope["eta"](norms, window), expected, rtol=1e-6)

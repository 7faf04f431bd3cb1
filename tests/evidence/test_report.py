"""The report, as a reader opens it: in a real browser, without a network."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("plotly", reason="the report needs plotly: zenith-lr[experiments]")
pytest.importorskip("matplotlib", reason="the pictures need matplotlib: zenith-lr[experiments]")

from experiments.__main__ import main
from experiments.evidence.page import html_page, markdown_page
from experiments.evidence.table import Table
from experiments.results import write
from tests.evidence.browser import Tab, tab
from tests.evidence.made_up import curve


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two tasks, five methods, and a window that was varied on one of them."""
    folder = tmp_path_factory.mktemp("report")
    for number, task in enumerate(("mnist", "cifar100")):
        for method in ("zenith", "constant", "cosine", "step", "sps"):
            for seed in (0, 1):
                write(curve(number, task, method, seed, {}), folder / "results")
    for window in (20, 400):
        write(curve(0, "mnist", "zenith", 0, {"window": window}), folder / "results")
    out = folder / "out" / "report.html"
    assert main(["report", f"--results={folder / 'results'}", f"--out={out}"]) == 0
    return out


@pytest.fixture(scope="module")
def page(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with tab(tmp_path_factory.mktemp("profile")) as opened:
        opened.resize(1100, 800)
        opened.open(report)
        yield opened


DRAWN = "[...document.querySelectorAll('.chart')].filter(e => e.querySelector('.main-svg')).length"
ALL = "document.querySelectorAll('.chart').length"


def show_all(page: Tab) -> None:
    page.value("dispatchEvent(new Event('beforeprint'))")
    page.wait(f"{DRAWN} == {ALL}")


def test_the_page_asks_nothing_of_the_network_and_complains_about_nothing(
    page: Tab, report: Path
) -> None:
    show_all(page)
    asked = [url for url in page.requests if not url.startswith(("data:", "blob:", "about:"))]
    assert asked == [report.as_uri()]
    assert page.complaints == []


def test_every_chart_is_drawn_with_its_lines(page: Tab) -> None:
    show_all(page)
    # Figures 1, 2 and 5 of two tasks, figure 6 of one, and the profile.
    assert page.value(ALL) == 8
    lines = page.value(
        "[...document.querySelectorAll('.chart')].map(e => "
        "[e.dataset.chart, e.querySelectorAll('.scatterlayer .trace').length])"
    )
    counts = dict(lines)
    assert all(count > 0 for count in counts.values())
    assert counts["figure1-mnist"] >= 2 * 5
    assert counts["profile"] == 2 * 5


def test_a_chart_out_of_sight_is_drawn_when_it_is_scrolled_to(report: Path, tmp_path: Path) -> None:
    with tab(tmp_path) as opened:
        opened.resize(1100, 300)
        opened.open(report)
        assert opened.value(DRAWN) < opened.value(ALL)
        opened.value("[...document.querySelectorAll('.chart')].at(-1).scrollIntoView()")
        opened.wait(
            "[...document.querySelectorAll('.chart')].at(-1).querySelector('.main-svg') != null"
        )


def test_it_fits_a_telephone(page: Tab, tmp_path: Path) -> None:
    show_all(page)
    try:
        page.resize(390, 844)
        page.wait("innerWidth == 390")
        page.wait("[...document.querySelectorAll('.main-svg')].every(e => e.clientWidth <= 390)")
        assert page.value("document.documentElement.scrollWidth") <= 390
        # Panels lie below each other.
        tops = page.value(
            "[...document.querySelector('[data-chart=\"figure1-mnist\"]')"
            ".querySelectorAll('.annotation-text')].map(e => e.getBoundingClientRect().top)"
        )
        assert len(tops) == 2
        assert tops[1] > tops[0] + 100
        page.picture(tmp_path / "phone.png")
        assert (tmp_path / "phone.png").stat().st_size > 5_000
    finally:
        page.resize(1100, 800)
    assert page.complaints == []


def test_a_click_in_the_legend_hides_a_method_in_every_panel(page: Tab) -> None:
    show_all(page)
    chart = "document.querySelector('[data-chart=\"figure1-mnist\"]')"
    hidden = page.value(
        f"Plotly.restyle({chart}, {{visible: 'legendonly'}}, "
        f"{chart}.data.flatMap((t, i) => t.legendgroup == 'constant' ? [i] : []))"
        f".then(e => {chart}.querySelectorAll('.scatterlayer .trace').length)"
    )
    shown = page.value(
        f"Plotly.restyle({chart}, {{visible: true}})"
        f".then(e => {chart}.querySelectorAll('.scatterlayer .trace').length)"
    )
    assert shown - hidden == 2
    groups = page.value(f"{chart}.data.filter(t => t.showlegend !== false).map(t => t.legendgroup)")
    assert len(groups) == len(set(groups)) == 5


def test_the_markdown_shows_every_picture_that_was_written(report: Path) -> None:
    text = report.with_suffix(".md").read_text("utf-8")
    named = set(re.findall(r"\]\((report/[\w.+-]+\.png)\)", text))
    written = {f"report/{path.name}" for path in (report.parent / "report").glob("*.png")}
    assert named == written
    assert len(named) == 8
    for path in (report.parent / "report").iterdir():
        assert path.stat().st_size > 2_000


def test_text_of_a_result_file_cannot_become_part_of_the_page() -> None:
    table = Table("t", "<b>title</b>", ["a|b", "n"], [["<script>alert(1)</script>|", "**1** (x)"]])
    page = html_page("</title><script>", [table])
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;|" in page
    assert "<strong>1</strong> (x)" in page
    assert "<title>&lt;/title&gt;" in page
    assert "\\|" in markdown_page([table], "images")

"""A page of text, tables and charts: as Markdown with pictures, or as one HTML file."""

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from plotly.offline import get_plotlyjs

from experiments.evidence.browser import to_plotly
from experiments.evidence.chart import Chart
from experiments.evidence.table import Table

Item = str | Table | Chart  # a text is Markdown

_HERE = Path(__file__).parent


def markdown_page(items: Sequence[Item], pictures: str) -> str:
    """The page in Markdown.

    Args:
      items: from the top down.
      pictures: the folder of the charts' PNG files, relative to the page.
    """
    return "\n".join(f"{_markdown(item, pictures).strip()}\n" for item in items)


def html_page(title: str, items: Sequence[Item]) -> str:
    """The page as one HTML file that needs nothing else, its charts drawn by plotly.

    Charts have one column on a narrow screen. Each is drawn when it is scrolled to.
    """
    charts = [item for item in items if isinstance(item, Chart)]
    body = "\n".join(_html(item) for item in items)
    data = json.dumps({chart.name: _drawing(chart) for chart in charts}, separators=(",", ":"))
    return (
        (_HERE / "page.html")
        .read_text("utf-8")
        .format(
            title=html.escape(title),
            body=body,
            plotly=get_plotlyjs(),
            # "</script>" within a script would end it.
            charts=data.replace("</", "<\\/"),
        )
    )


def _markdown(item: Item, pictures: str) -> str:
    if isinstance(item, Table):
        return item.markdown()
    if isinstance(item, Chart):
        return f"![{item.title}]({pictures}/{item.name}.png)\n\n*{item.caption.strip()}*"
    return item


def _html(item: Item) -> str:
    if isinstance(item, Chart):
        return (
            f'<figure><h3>{html.escape(item.title)}</h3><div class="chart" '
            f'data-chart="{html.escape(item.name)}"></div>'
            f"<figcaption>{html.escape(item.caption)}</figcaption></figure>"
        )
    text = item.markdown() if isinstance(item, Table) else item
    rendered: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return rendered.replace("<table>", '<div class="table"><table>').replace(
        "</table>", "</table></div>"
    )


def _drawing(chart: Chart) -> dict[str, Any]:
    wide, narrow = (json.loads(to_plotly(chart, narrow=n).to_json()) for n in (False, True))
    return {"data": wide["data"], "wide": wide["layout"], "narrow": narrow["layout"]}

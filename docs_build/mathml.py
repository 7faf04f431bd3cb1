"""Formulas as MathML, which every browser draws by itself: no script, no font, no request."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

# What pymdownx.arithmatex leaves, with `generic: true`, of $...$ and $$...$$.
_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_page_content(page_html: str, **_: Any) -> str:
    """Called by MkDocs with the HTML of each page, before the theme is put around it."""
    return _FORMULA.sub(_mathml, page_html)


def _mathml(formula: re.Match[str]) -> str:
    display = "block" if formula["tag"] == "div" else "inline"
    latex = html.unescape(formula["latex"]).strip()
    wrapped = convert(latex, display=display)
    return f'<{formula["tag"]} class="formula">{wrapped}</{formula["tag"]}>'

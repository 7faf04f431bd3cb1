"""Doctests as code: griffe knows a section `Examples:`, and our docstrings say `Example:`."""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^Example:(?=\n[ ]+>>> )", re.MULTILINE)


class Doctests(griffe.Extension):
    """Has the doctests of every docstring shown as highlighted code, not as nested quotations."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = _EXAMPLE.sub("Examples:", obj.docstring.value)

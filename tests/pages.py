"""The code on the pages: whose it is, and why it is not run where it is not.

A block of Python belongs to the framework of its tab, else of its page, else to the front end that
it imports. The `test_docs.py` of that framework runs every such block of every page, from top to
bottom of the page, in one scope. A comment just above a block takes it out:

    <!-- not run: the reason -->
"""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# These are complete programs: each has a test of its own that runs it as a user would.
RUN_AS_PROGRAMS = {"docs/quick-start.md": "tests/newcomer/test_quick_start.py"}

_TABS = {"PyTorch": "torch", "Keras": "keras", "JAX": "optax"}
FRAMEWORKS = (*_TABS.values(), "core")

_BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>.+?) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>\w+).*\n(?P<code>(?:.*\n)*?)(?P=indent)```$",
    re.MULTILINE,
)
_TAB = re.compile(r'^=== "(?P<title>.+)"$|^(?=\S)', re.MULTILINE)


class Block(NamedTuple):
    """One block of code on a page."""

    page: str  # from the root of the repository
    line: int
    framework: str
    code: str
    not_run: str | None  # the reason


def all_pages() -> list[str]:
    """Every page that is written by hand, from the root of the repository."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    return sorted(page.relative_to(ROOT).as_posix() for page in pages)


def blocks(page: str, framework: str | None = None, language: str = "python") -> list[Block]:
    """The blocks of a page in a language, those of one framework or all."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        if match["language"] == language:
            code = textwrap.dedent(match["code"])
            owner = _tab(text[: match.start("code")]) or _of_page(page) or _imported(code)
            line = text.count("\n", 0, match.start("code")) + 1
            found.append(Block(page, line, owner, code, match["reason"]))
    return [block for block in found if framework in (None, block.framework)]


def pages_to_run(framework: str) -> list[str]:
    """The pages with Python of this framework that its `test_docs.py` is to run."""
    return [
        page
        for page in all_pages()
        if page not in RUN_AS_PROGRAMS
        and any(not block.not_run for block in blocks(page, framework))
    ]


def run(page: str, framework: str, scope: dict[str, object]) -> None:
    """Run the blocks of a framework on a page in one scope; an error names page and line."""
    for block in blocks(page, framework):
        if not block.not_run:
            code = "\n" * (block.line - 1) + block.code
            exec(compile(code, ROOT / page, "exec"), scope)  # noqa: S102


def before_and_after(framework: str) -> list[tuple[str, str]]:
    """The old lines and the new ones of every pair on the page of migrations."""
    return [
        tuple("\n".join(line[1:] for line in block.code.splitlines() if line[:1] != other)
              for other in "+-")
        for block in blocks("docs/migrate.md", framework, "diff")
    ]  # fmt: skip


def _tab(before: str) -> str | None:
    """The framework of the tab that is open at the end of this text."""
    title = None
    for match in _TAB.finditer(before):
        title = match["title"]
    return _TABS.get(title or "")


def _of_page(page: str) -> str | None:
    path = Path(page)
    name = path.parent.name if path.parent.name in FRAMEWORKS else path.stem
    return name if name in FRAMEWORKS else None


def _imported(code: str) -> str:
    found = re.search(r"\bzenith\.(torch|keras|optax)\b", code)
    return found[1] if found else "core"

"""Point the README's relative links at a tag of a repository, for the package index.

    python .github/absolute_links.py https://github.com/OWNER/NAME v0.1.0

The address is known where the release is made, and nowhere in this repository.
"""

import re
import sys
from pathlib import Path

# The end of [text](target), where the target has no scheme and is no anchor.
_RELATIVE = re.compile(r"\]\((?!\w+:|#)(?P<target>[^)\s]+)\)")
_PICTURES = (".png", ".svg")


def absolute(markdown: str, repository: str, tag: str) -> str:
    """The same text, its links absolute; those to pictures lead to the file itself."""

    def replace(link: re.Match[str]) -> str:
        kind = "raw" if link["target"].endswith(_PICTURES) else "blob"
        return f"]({repository}/{kind}/{tag}/{link['target']})"

    return _RELATIVE.sub(replace, markdown)


if __name__ == "__main__":
    readme = Path(__file__).parents[1] / "README.md"
    text = absolute(readme.read_text(encoding="utf-8"), *sys.argv[1:])
    readme.write_text(text, encoding="utf-8")

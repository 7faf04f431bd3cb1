"""Refuse a tag that the version, the citation, the recipe or the changelog does not agree with.

    python .github/check_tag.py v0.1.0

Prints the changelog's section of this version, which becomes the notes of the release.
"""

import re
import sys
from pathlib import Path

# Where the version is written besides zenith/__init__.py, from which the package takes it.
COPIES = {
    "CITATION.cff": r"^version: (\S+)$",
    "conda/recipe.yaml": r'^  version: "(\S+)"$',
}


def release_notes(tag: str, root: Path) -> str:
    """The changelog's section of the version that `tag` names.

    Raises:
      ValueError: a file has another version, or the changelog has no dated section of this one.
    """
    version = _find(r'^__version__ = "(\S+)"$', root / "zenith" / "__init__.py")
    if tag != f"v{version}":
        raise ValueError(f"the tag must be v{version}, as zenith/__init__.py says. Received: {tag}")
    for name, pattern in COPIES.items():
        if (copy := _find(pattern, root / name)) != version:
            raise ValueError(f"{name} must have the version {version}. Received: {copy}")
    section = re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}\n(.*?)(?=^## |\Z)",
        (root / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    if section is None or not section[1].strip():
        raise ValueError(f"CHANGELOG.md must have a section '## [{version}] - YYYY-MM-DD'")
    return section[1].strip()


def _find(pattern: str, file: Path) -> str:
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{file.name} must have a line like {pattern}")
    return found[1]


if __name__ == "__main__":
    try:
        print(release_notes(sys.argv[1], Path(__file__).parents[1]))
    except ValueError as error:
        sys.exit(f"error: {error}")

"""Notebooks as pages of the site, with what they print and draw.

Each notebook becomes Markdown, so that it looks as the other pages do. With ZENITH_NOTEBOOKS=run it
is executed first, in an empty folder, and one that raises stops the build. Without, as under
`mkdocs serve`, the pages have the code alone, and no framework is needed.
"""

import os
import tempfile
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

_SECONDS = 600  # for one cell: a busy machine may be slow, a hanging one must not go on for ever


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by MkDocs with all files: puts a page in the place of each notebook."""
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            files.remove(file)
            for made in _page(file, config):
                files.append(made)
    return files


def _page(file: File, config: MkDocsConfig) -> list[File]:
    notebook = nbformat.read(Path(config.docs_dir) / file.src_uri, as_version=4)
    if os.environ.get("ZENITH_NOTEBOOKS") == "run":
        with tempfile.TemporaryDirectory() as folder:
            NotebookClient(
                notebook, timeout=_SECONDS, resources={"metadata": {"path": folder}}
            ).execute()
    name = Path(file.src_uri).stem
    markdown, resources = MarkdownExporter().from_notebook_node(
        notebook, {"unique_key": name, "output_files_dir": name}
    )
    folder = Path(file.src_uri).parent
    pictures = [
        File.generated(config, (folder / path).as_posix(), content=content)
        for path, content in resources["outputs"].items()
    ]
    page = (folder / name).with_suffix(".md").as_posix()
    return [File.generated(config, page, content=markdown), *pictures]

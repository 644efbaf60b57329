"""Alternative texts reach the ``<img>`` of a page, on the site and in our HTML export."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from mednb.cli.html import to_html

ROOT = Path(__file__).parents[1]
PNG = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class _Images(HTMLParser):
    def __init__(self):
        super().__init__()
        self.alts = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.alts.append(dict(attrs).get("alt"))


def alts(page):
    """Return the alternative text of every image of a page, in order."""
    parser = _Images()
    parser.feed(page)
    return parser.alts


def build(source, target, *options):
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", "-c", ROOT / "docs"]
    command += [*options, "-d", target / "doctrees", source, target]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.fixture
def tiny():
    """A notebook with two figures in one cell, and a folded cell."""
    said = ['a "quoted" <line> & more', "a heart that beats"]
    outputs = [
        new_output("display_data", {"image/png": PNG}, metadata={"image/png": {"alt": alt}})
        for alt in said
    ]
    folded = {"jupyter": {"source_hidden": True}, "tags": ["hide-input"]}
    cells = [
        new_markdown_cell("# Tiny"),
        new_code_cell("draw()", outputs=outputs),
        new_code_cell("secret = 1", metadata=folded),
    ]
    return new_notebook(cells=cells, metadata={"language_info": {"name": "python"}}), said


def test_the_site_says_what_each_of_two_figures_shows_and_folds_a_solution(tiny, tmp_path):
    notebook, said = tiny
    source = tmp_path / "source"
    source.mkdir()
    nbformat.write(notebook, source / "tiny.ipynb")
    build(source, tmp_path / "site", "-D", "root_doc=tiny", "-D", "include_patterns=*.ipynb")
    page = (tmp_path / "site" / "tiny.html").read_text(encoding="utf-8")
    assert alts(page) == said
    body = page[page.index("<article") :]
    assert body.index("<details") < body.index("Show the code") < body.index("secret")


def test_our_html_export_says_it_too(tiny):
    notebook, said = tiny
    page = to_html(notebook)
    assert alts(page) == said
    assert page.index("draw") < page.index("<details>") < page.index("secret")


def test_the_readme_opens_with_a_film_that_stops():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    alt, path = re.search(r"!\[([^]]+)\]\(([^)]+)\)", text).groups()
    with Image.open(ROOT / path) as film:
        assert film.n_frames > 20
        assert (film.default_image, film.info["loop"]) == (True, 3)
    assert (ROOT / path).stat().st_size <= 600_000
    assert len(alt) > 50


@pytest.mark.slow
def test_the_whole_site_builds_without_a_warning_and_no_figure_is_left_unsaid(tmp_path):
    build(ROOT, tmp_path)
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        stored = []
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                stored += alts(output.get("data", {}).get("text/html", ""))  # of an explorer
                stored += [said["alt"] for said in output.get("metadata", {}).values()]
        page = (tmp_path / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert alts(page) == [alt.strip() for alt in stored], path.stem
    first = (tmp_path / "docs" / "index.html").read_text(encoding="utf-8")
    assert all(len(alt) > 20 for alt in alts(first))
    assert "url=docs/index.html" in (tmp_path / "index.html").read_text(encoding="utf-8")

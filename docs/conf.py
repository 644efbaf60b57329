"""The site: ``python -m sphinx -W -b html -c docs . _build/site``.

The pages are made from ``notebooks/`` as they are, outputs included; nothing is copied or executed.
"""

from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx

project = "mednb"
html_title = "Deep learning for medical images"
root_doc = "docs/index"
include_patterns = ["docs/*.md", "notebooks/*.ipynb"]
exclude_patterns = ["_build", ".*", "workspace", "mednb", "tests", "benchmarks"]
extensions = ["myst_nb"]
html_theme = "sphinx_book_theme"
html_theme_options = {"navbar_persistent": []}
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"

_plain = NbElementRenderer.render_image


def _render_image(self: NbElementRenderer, data: MimeData) -> list[nodes.Element]:
    """Give a figure the alternative text of its output, which MyST-NB leaves where it is."""
    found = _plain(self, data)
    alt = data.output_metadata.get(data.mime_type, {}).get("alt")
    for image in found if alt else []:
        image["alt"] = alt
    return found


def _lead_to_first_page(app: Sphinx, exception: Exception | None) -> None:
    """Make the folder's own index.html lead to the first page, which lies in docs/."""
    if exception is None and app.builder.format == "html":
        page = (
            f'<meta http-equiv="refresh" content="0; url={root_doc}.html"><title>{project}</title>'
        )
        (Path(app.outdir) / "index.html").write_text(f"<!doctype html>{page}\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Join the two to the build."""
    NbElementRenderer.render_image = _render_image
    app.connect("build-finished", _lead_to_first_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

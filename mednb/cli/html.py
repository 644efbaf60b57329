"""A notebook as a web page of its own, with the alternative text of every figure."""

from typing import Any

from jinja2 import DictLoader
from nbconvert import HTMLExporter

__all__ = ["to_html"]

# Jupyter's page leaves the alternative text in the file and shows folded cells in full.
_TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block data_png -%}
{%- set alt = (output | get_metadata('alt', 'image/png')) or '' -%}
{{ super() | replace('<img', '<img alt="' ~ (alt | escape_html) ~ '"', 1) }}
{%- endblock -%}
{%- block input_group -%}
{%- if cell.metadata.get('jupyter', {}).get('source_hidden') -%}
<details><summary>Show the code</summary>{{ super() }}</details>
{%- else -%}
{{ super() }}
{%- endif -%}
{%- endblock -%}
"""


def to_html(notebook: Any) -> str:
    """Return the page of a notebook, outputs included; folded cells open at a click."""
    loader = DictLoader({"mednb.html.j2": _TEMPLATE})
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        extra_loaders=[loader], template_file="mednb.html.j2"
    )
    return str(exporter.from_notebook_node(notebook)[0])

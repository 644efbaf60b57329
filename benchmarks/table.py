"""One table of measurements: every benchmark replaces its own section of RESULTS.md."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def record(name: str, rows: Sequence[Mapping[str, object]], *, note: str = "") -> None:
    """Print ``rows`` as a Markdown table and put it into RESULTS.md under the heading ``name``.

    Parameters
    ----------
    name
        The script without ``bench_`` and ``.py``; also the heading.
    rows
        One mapping a row, all with the same keys, which become the columns.
    note
        A sentence below the table: what was held equal, what the figures are medians of.
    """
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row[c]) for c in columns) + " |" for row in rows]
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    command = f"`python benchmarks/bench_{name}.py` ({machine})"
    section = "\n".join([f"## {name}", "", command, "", *lines, *(["", note] if note else []), ""])
    print(section)
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Measurements\n"
    sections = [s for s in re.split(r"(?m)^(?=## )", text) if not s.startswith(f"## {name}\n")]
    head, rest = sections[0].rstrip() + "\n\n", [s.rstrip() + "\n" for s in sections[1:]]
    RESULTS.write_text(head + "\n".join(sorted([*rest, section])), encoding="utf-8")

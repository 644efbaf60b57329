"""``python course.py lock``: write the lock files and environment.yml from pyproject.toml."""

import argparse
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

RUN_LOCK = "requirements.lock"
TEST_LOCK = "requirements-test.lock"
ENVIRONMENT = "environment.yml"

#: Groups of pyproject.toml that a learner's environment has, and what the tests add.
RUN_GROUPS = ("course", "build")
TEST_GROUPS = (*RUN_GROUPS, "test")

HEAD = """\
# {what}: exact versions and hashes, from any index.
# Written by `python course.py lock`; installed by course.py with
# pip install --no-deps --require-hashes --requirement {name}
"""

ENVIRONMENT_HEAD = """\
# For conda, mamba and Binder: the versions of requirements.lock, by `python course.py lock`.
#   conda env create --file environment.yml && conda activate mednb && ./postBuild
# postBuild adds medmnist and mednb: medmnist declares torch, which only --no-deps keeps out, and
# that cannot be said here.
name: mednb
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.12
  - pip
  - pip:
"""


def main() -> None:
    """Resolve pyproject.toml for every supported system and write the three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="newest versions, not those locked")
    upgrade = parser.parse_args().upgrade
    root = ROOT
    run_lock, test_lock = root / RUN_LOCK, root / TEST_LOCK
    before = "" if upgrade else "".join(_text(path) for path in (run_lock, test_lock))
    everything = requirements(_resolve(root, TEST_GROUPS, before))
    # The learner's part takes its versions from the whole, so that the two files agree.
    base = requirements(_resolve(root, RUN_GROUPS, "".join(everything.values())))
    extra = only_in(everything, base)
    _write(run_lock, HEAD.format(what="The course", name=RUN_LOCK) + "".join(base.values()))
    head = HEAD.format(what="What the tests need besides requirements.lock", name=TEST_LOCK)
    _write(test_lock, head + "".join(extra.values()))
    _write(root / ENVIRONMENT, environment_yml(base))
    print(f"{len(base)} requirements for the course, {len(extra)} more for the tests.")


def requirements(text: str) -> dict[str, str]:
    """Return the requirements of a lock file.

    Parameters
    ----------
    text
        A requirements file with hashes.

    Returns
    -------
    dict
        ``name==version ; marker`` -> the lines it stands on, hashes included.
    """
    blocks = re.findall(r"(?m)^[A-Za-z0-9][^\n]*\n(?:[ \t]+--hash=[^\n]*\n)*", text)
    return {block.splitlines()[0].rstrip("\\ "): block for block in blocks}


def only_in(everything: dict[str, str], base: dict[str, str]) -> dict[str, str]:
    """Return the requirements that ``base`` does not have, or has on fewer systems."""
    return {line: block for line, block in everything.items() if line not in base}


def environment_yml(base: dict[str, str]) -> str:
    """Return environment.yml with the pins of a lock, medmnist left out (see its head)."""
    return ENVIRONMENT_HEAD + "".join(_yaml_items(base))


def _yaml_items(base: dict[str, str]) -> Iterator[str]:
    for line in base:
        if not line.startswith("medmnist=="):
            yield f'      - "{line}"\n'


def _resolve(root: Path, groups: tuple[str, ...], preferred: str) -> str:
    uv = str(Path(sysconfig.get_path("scripts"), "uv"))  # it stands in the lock itself
    # uv keeps the versions that stand in its output file.
    output = root / "_build" / "lock.txt"
    output.parent.mkdir(exist_ok=True)
    _write(output, preferred)
    command = [
        *(uv, "pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11"),
        *("--extra", "cpu", *(word for group in groups for word in ("--group", group))),
        *("--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header", "--quiet"),
        *("--output-file", str(output)),
    ]
    if subprocess.call(command, cwd=root) != 0:
        sys.exit("Expected a solution for pyproject.toml. Received: uv's message above.")
    return output.read_text("utf-8")


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    main()

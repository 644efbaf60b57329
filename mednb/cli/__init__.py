"""The command line: ``mednb run | lab | doctor | data``.

Each command is one module, imported when it is asked for, so that ``mednb --help`` stays quick.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from mednb import __version__
from mednb.errors import MednbError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        What follows ``mednb`` on the command line; ``sys.argv[1:]`` when None.

    Returns
    -------
    int
        The exit code: 0 all right, 1 something failed, 2 the command cannot be done as given,
        130 it was stopped.
    """
    options = _parser().parse_args(arguments)
    try:
        module = importlib.import_module(f"mednb.cli.{options.module}")
        return int(getattr(module, options.command)(options))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except MednbError as error:
        said = str(error)
    except OSError as error:
        said = f"Expected files and folders that can be read and written. Received: {error}."
    except ImportError as error:
        if (error.name or "").startswith("mednb"):  # our own mistake, which needs its traceback
            raise
        said = (
            f"Expected the package {error.name!r} in {sys.prefix}. Received: {error}. In the "
            f"course's folder, `python course.py run` installs everything in .venv: use its Python."
        )
    print(f"mednb: {said}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mednb", description="Run the course and look after it.")
    parser.add_argument("--version", action="version", version=f"mednb {__version__}")
    parser.set_defaults(command="main")
    commands = parser.add_subparsers(dest="module", required=True, metavar="COMMAND")

    commands.add_parser("doctor", help="what this machine has, and what is wrong with it")

    data = commands.add_parser("data", help="list the data sets, or fetch some")
    data.set_defaults(module="doctor", command="data")
    data.add_argument("names", nargs="*", help="data sets to fetch; none lists all")
    data.add_argument("--size", type=int, help="image size in pixels, where there are several")

    run = commands.add_parser("run", help="execute the notebooks")
    run.add_argument("names", nargs="*", help="notebooks, such as 01 (default: all)")
    run.add_argument("--out", type=Path, help="folder of the executed copies (default: _build)")
    run.add_argument("--in-place", action="store_true", help="write back to notebooks/ what passed")
    run.add_argument("--html", action="store_true", help="write each copy as a web page too")
    run.add_argument("--timeout", type=int, default=600, help="seconds a cell may take")
    run.add_argument("-j", "--jobs", type=int, choices=range(1, 9), help="default: 2 if they fit")
    run.add_argument("--online", action="store_true", help="let notebooks download data")

    lab = commands.add_parser("lab", help="open JupyterLab on your own copies in workspace/")
    lab.add_argument("--build-only", action="store_true", help="make the copies, open nothing")
    lab.add_argument("--no-open", action="store_true", help="start JupyterLab without a browser")
    return parser

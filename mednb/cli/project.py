"""Where the course lies, and the environment its notebooks run in."""

import os
from collections.abc import Mapping
from pathlib import Path

from mednb.errors import MednbError, nearest

__all__ = ["course_root", "find_notebooks", "kernel_environment"]


def course_root() -> Path:
    """Return the folder that holds ``notebooks/`` and ``requirements.lock``.

    Searched upwards from the current folder, then where this package was installed from.

    Raises
    ------
    MednbError
        When ``mednb`` was installed by itself and the course is not around.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        if (folder / "notebooks").is_dir() and (folder / "course.py").is_file():
            return folder
    raise MednbError(
        f"Expected to be inside the course's folder, which holds notebooks/ and course.py. "
        f"Received: {here}. Change to that folder first; `mednb doctor` and `mednb data` work "
        f"anywhere."
    )


def find_notebooks(folder: Path, names: list[str]) -> list[Path]:
    """Return the notebooks in reading order, which is the order of their numbers.

    Parameters
    ----------
    folder
        Where the notebooks are.
    names
        What to keep: each a file name or the beginning of one (``01``); empty keeps all.

    Raises
    ------
    MednbError
        When there are no notebooks, or a name fits none.
    """
    found = sorted(folder.glob("*.ipynb"))
    if not found:
        raise MednbError(f"Expected notebooks in {folder}. Received: none.")
    wanted = set()
    for name in names:
        stem = Path(name).name.removesuffix(".ipynb")
        fitting = [path for path in found if path.stem.startswith(stem)]
        if not fitting:
            known = [path.stem for path in found]
            close = nearest(stem, known)
            hint = f" Did you mean {close!r}?" if close else ""
            raise MednbError(
                f"Expected a notebook among {', '.join(known)}. Received: {name!r}.{hint}"
            )
        wanted.update(fitting)
    return [path for path in found if not names or path in wanted]


def kernel_environment(ipython_folder: Path, *, online: bool = False) -> Mapping[str, str]:
    """Return the environment for kernels whose outputs must not depend on who runs them.

    Parameters
    ----------
    ipython_folder
        An empty folder, in place of the reader's own IPython profile and start-up files.
    online
        Whether notebooks may download data.
    """
    environment = dict(os.environ)
    # Someone's MPLBACKEND=Agg would leave every figure out of the notebook.
    environment.pop("MPLBACKEND", None)
    environment["IPYTHONDIR"] = str(ipython_folder)
    # Nobody moves a slider here: mednb.plots.interactive draws one figure instead.
    environment["MEDNB_STATIC"] = "1"
    if online:
        environment.pop("MEDNB_OFFLINE", None)
    else:
        environment["MEDNB_OFFLINE"] = "1"
    return environment

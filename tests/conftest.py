"""What every test gets: no network, no home folder, a fixed number of threads, a seed."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

#: The reader's own data folder, before it is hidden from the tests.
_DATA = os.environ.get("MEDNB_DATA")
_ROOT = Path(__file__).parents[1]

# Repeatable by default; `--hypothesis-profile=explore` looks for new examples.
settings.register_profile("mednb", database=None, deadline=None, derandomize=True)
settings.register_profile("explore", database=None, deadline=None, max_examples=1000)
settings.load_profile("mednb")


def _isolate(home: Path) -> None:
    """Point everything that reads or writes a user's folders at an empty one."""
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA"):
        os.environ[name] = str(home)
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        os.environ[f"XDG_{kind}_HOME"] = str(home / kind.lower())
    for name in ("KERAS_HOME", "MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR"):
        folder = home / name.lower()
        folder.mkdir()
        os.environ[name] = str(folder)
    os.environ["MEDNB_DATA"] = str(home / "mednb-data")
    for name in (
        "MEDNB_OFFLINE",
        "MEDNB_STRICT",
        "JUPYTER_PATH",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
    ):
        os.environ.pop(name, None)
    os.environ["MPLBACKEND"] = "Agg"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Trained numbers depend on the number of threads (see mednb.setup).
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "2"


def pytest_configure(config: pytest.Config) -> None:
    home = Path(tempfile.mkdtemp(prefix="mednb-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    _isolate(home)


@pytest.fixture
def seed() -> int:
    """The seed of every test that draws at random."""
    return 0


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """A generator that starts the same in every test, whatever the order."""
    return np.random.default_rng(seed)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data sets, where there is one; it is never written to."""
    folder = Path(_DATA).expanduser() if _DATA else _ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data here: set MEDNB_DATA to the folder that holds it")
    return folder

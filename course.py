"""Set up the course and run it, with nothing but Python itself: ``python course.py run``.

Creates ``.venv`` from ``requirements.lock`` the first time, then hands over to ``mednb``::

    python course.py run      execute every notebook, print a table
    python course.py lab      open JupyterLab on your own copies in workspace/
    python course.py test     lint, types, unit tests, notebooks
    python course.py doctor   what this machine has, and what is wrong with it
    python course.py data     data sets: what is known, what is here
    python course.py lock     for developers: write the lock files anew
    python course.py clean    remove .venv and everything that was built (never workspace/)
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
#: Written first and completed last: a .venv without it is not ours, one not "ready" is half done.
STAMP = VENV / "mednb-setup.json"
RUN_LOCK = "requirements.lock"
TEST_LOCK = "requirements-test.lock"
COMMANDS = ("run", "lab", "test", "doctor", "data", "lock", "clean")
#: What only a developer needs is no part of the package.
SCRIPTS = {"test": "checks.py", "lock": "lock.py"}
BUILT = (".venv", "_build", ".ruff_cache", ".mypy_cache", ".import_linter_cache", ".pytest_cache")


class SetupError(Exception):
    """Something the reader has to mend; the message says how."""


def main(arguments):
    """Run one command and return its exit code."""
    command = arguments[0] if arguments else "run"
    if command not in COMMANDS:
        print(__doc__)
        return 0 if command in ("-h", "--help", "help") else 2
    if command == "clean":
        return clean()
    try:
        check_python()
        set_up([RUN_LOCK, TEST_LOCK] if command == "test" else [RUN_LOCK])
    except SetupError as error:
        print("\n{}".format(error), file=sys.stderr)
        return 1
    script = SCRIPTS.get(command)
    what = ["-m", "mednb.cli", command] if script is None else [str(ROOT / ".ci" / script)]
    return subprocess.call([str(python()), *what, *arguments[1:]], cwd=ROOT)


def check_python():
    """Refuse a Python that TensorFlow has no build for."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise SetupError(
            "Expected Python {}.{} to {}.{}. Received: {} ({}).\n"
            "Install one of those and name it: `make run PYTHON=python3.12`, "
            "or `python3.12 course.py run`.".format(
                *OLDEST, *NEWEST, sys.version.split()[0], sys.executable
            )
        )


def set_up(locks):
    """Bring ``.venv`` to what ``locks`` say; do nothing when it is there already."""
    state = read_stamp()
    wanted = {name: digest(ROOT / name) for name in [*locks, "pyproject.toml"]}
    ready = state.get("ready", {})
    if all(ready.get(name) == value for name, value in wanted.items()) and runs(python()):
        return
    if not ready or not runs(python()):
        create()
        ready = {}
    started = time.perf_counter()
    if uv() is None:
        fetch_uv()
    for name in locks:
        if ready.get(name) != wanted[name]:
            count = sum("==" in line for line in (ROOT / name).read_text("utf-8").splitlines())
            print("Installing {} packages from {} ...".format(count, name), flush=True)
            write_stamp({})
            install(["--require-hashes", "--requirement", str(ROOT / name)])
    install(["--no-build-isolation", "--no-index", "--editable", str(ROOT)])
    write_stamp({**ready, **wanted})
    print("Ready in {:.0f} s.\n".format(time.perf_counter() - started), flush=True)


def create():
    """Make an empty ``.venv``, replacing one that was left half done."""
    if VENV.exists() and not STAMP.exists():
        raise SetupError(
            "Expected no .venv, or one made by this command. Received: another one.\n"
            "Rename or delete {} and start again.".format(VENV)
        )
    if uv() is None and importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            "Expected Python's venv module with pip. Received: a Python without it.\n"
            "On Debian and Ubuntu: sudo apt-get install python3-venv"
        )
    print("Creating .venv with Python {} ...".format(sys.version.split()[0]), flush=True)
    if VENV.exists():
        shutil.rmtree(VENV)
    VENV.mkdir()
    write_stamp({})
    call([sys.executable, "-m", "venv", "--without-pip", str(VENV)])


def install(arguments):
    """Install into ``.venv`` with uv where there is one, otherwise (or if uv fails) with pip."""
    fast = uv()
    if fast is not None:
        # uv would read [tool.uv] of pyproject.toml, whose constraints carry no hashes.
        command = [fast, "--no-config", "pip", "install", "--quiet", "--python", str(python())]
        try:
            return call([*command, "--no-deps", *arguments])
        except SetupError:
            print("uv did not manage; trying pip.", file=sys.stderr, flush=True)
    return pip(arguments)


def pip(arguments):
    """Install into ``.venv`` with pip."""
    if not has_pip():
        call([str(python()), "-m", "ensurepip", "--default-pip"], quiet=True)
    command = [str(python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return call([*command, "--no-deps", *arguments])


def fetch_uv():
    """Install the uv of the lock into ``.venv``: it does the rest in a third of pip's time."""
    if os.environ.get("MEDNB_INSTALLER") == "pip":
        return
    text = (ROOT / RUN_LOCK).read_text("utf-8")
    block = re.search(r"(?m)^uv==.*\n(?:[ \t]+--hash=.*\n)*", text)
    if block is None:
        return
    wanted = VENV / "uv.lock.txt"
    wanted.write_text(block.group(), "utf-8")
    try:
        pip(["--require-hashes", "--requirement", str(wanted)])
    except SetupError:
        print("No uv for this system: pip will do.", file=sys.stderr, flush=True)


def call(command, quiet=False):
    """Run a command; what it says on stderr stays visible."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH")}
    # uv, which has certificates of its own, shall trust whom this machine trusts, as pip does;
    # the variable has an old and a new name.
    environment.update(UV_SYSTEM_CERTS="1", UV_NATIVE_TLS="1")
    output = subprocess.DEVNULL if quiet else None
    if subprocess.call(command, cwd=ROOT, env=environment, stdout=output) != 0:
        raise SetupError(
            "This did not work: {}\nIts own message stands above. Start the same command again: "
            "what was downloaded is kept.".format(" ".join(command))
        )


def uv():
    """Return the path of uv, this machine's or ours, or None; ``MEDNB_INSTALLER=pip`` hides it."""
    if os.environ.get("MEDNB_INSTALLER") == "pip":
        return None
    return shutil.which("uv") or shutil.which("uv", path=str(python().parent))


def python():
    """Return the interpreter of ``.venv``, wherever this system puts it."""
    scripts = sysconfig.get_path("scripts", "venv", vars={"base": str(VENV)})
    return Path(scripts) / ("python.exe" if os.name == "nt" else "python")


def runs(interpreter):
    """Return whether the interpreter still starts (it may have been upgraded or moved away)."""
    code = "import sys; sys.exit(sys.prefix == sys.base_prefix)"
    try:
        return subprocess.call([str(interpreter), "-c", code], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def has_pip():
    """Return whether ``.venv`` has pip."""
    code = "import importlib.util as u, sys; sys.exit(u.find_spec('pip') is None)"
    return subprocess.call([str(python()), "-c", code]) == 0


def digest(path):
    """Return the SHA-256 of a file, the same whatever line ends the checkout has."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def read_stamp():
    """Return what is installed; empty when nothing, or not all of it, is."""
    try:
        state = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    # A virtual environment holds absolute paths: in a folder that was moved it is another's.
    return state if state.get("venv") == str(VENV) else {}


def write_stamp(ready):
    """Note what is installed: nothing while an installation runs."""
    STAMP.write_text(json.dumps({"venv": str(VENV), "ready": ready}, indent=1), "utf-8")


def clean():
    """Remove what was built; ``workspace/`` holds a learner's own work and stays."""
    for name in BUILT:
        if (ROOT / name).exists():
            shutil.rmtree(ROOT / name)
            print("removed {}".format(name))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        sys.exit(130)

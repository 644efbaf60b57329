"""One quiet, repeatable start for every notebook: devices, precision, threads, seeds."""

import contextlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mednb.errors import MednbError, UnknownNameError

__all__ = ["Runtime", "quiet_stderr", "setup", "version"]

#: Precision a reader names -> Keras dtype policy. Variables and the last softmax stay float32.
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

#: Backend -> its name, our extra, and the distributions whose version we report.
BACKENDS = {
    "tensorflow": ("TensorFlow", "cpu", ("tensorflow-cpu", "tensorflow", "tensorflow-intel")),
    "jax": ("JAX", "jax", ("jax",)),
    "torch": ("PyTorch", "torch", ("torch",)),
}


@dataclass(frozen=True)
class Runtime:
    """What the numbers of a notebook were computed with; prints as one line.

    ``devices`` such as ``("CPU",)`` or ``("GPU:0",)``; ``threads`` None leaves their number to the
    backend. Another number sums in another order, and changes the fourth to seventh digit.
    """

    backend: str
    backend_version: str
    keras: str
    python: str
    devices: tuple[str, ...]
    precision: str
    threads: int | None
    seed: int
    deterministic: bool

    def __repr__(self) -> str:
        from mednb import __version__

        backend = f"{BACKENDS[self.backend][0]} {self.backend_version}"
        how = f"{self.precision} | {self.threads or 'default'} threads | seed {self.seed} | "
        how += "deterministic" if self.deterministic else "not deterministic"
        return (
            f"mednb {__version__} | Python {self.python} | {backend} | Keras {self.keras} | "
            f"{' '.join(self.devices)} | {how}"
        )


def setup(
    seed: int = 0,
    precision: str = "float32",
    deterministic: bool | None = None,
    threads: int | None = None,
) -> Runtime:
    """Start Keras and its backend quietly and repeatably, and return what was chosen.

    Call it in the first code cell, before anything else imports TensorFlow; again, it resets the
    seeds. The backend is TensorFlow, or what the environment variable ``KERAS_BACKEND`` names.

    Parameters
    ----------
    seed
        Of Python, NumPy, Keras and the backend.
    precision
        ``"float32"``, or ``"bfloat16"``: computes in 16 bits and keeps weights in 32.
    deterministic
        Whether only kernels that repeat their bits are used. None: on a CPU, where it costs
        nothing, but not on a GPU, where it is slow and some operations do not have one.
    threads
        CPU threads. None: 2 on a CPU, with which the course's numbers were made; on a GPU the
        backend's own default.

    Raises
    ------
    UnknownNameError
        When ``precision`` or ``KERAS_BACKEND`` is not one of the names that exist.
    MednbError
        When the backend is not installed, or was started before with other threads.
    """
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    chosen = "KERAS_BACKEND" in os.environ
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend not in BACKENDS:
        raise UnknownNameError("Keras backend in KERAS_BACKEND", backend, BACKENDS)
    if threads is not None and threads < 1:
        raise MednbError(f"Expected at least 1 thread. Received: {threads}.")

    with quiet_stderr():
        start = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]
        module = _import(backend, chosen=chosen)
        devices, deterministic, threads = start(module, deterministic, threads)
        os.environ["KERAS_BACKEND"] = backend
        import keras

        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy(PRECISIONS[precision])

    versions = version(*BACKENDS[backend][2]), keras.__version__, platform.python_version()
    return Runtime(backend, *versions, devices, precision, threads, seed, deterministic)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Silence stderr at the level of the file descriptor.

    TensorFlow's C++ code writes to descriptor 2 directly, past ``sys.stderr``, and its own log
    level does not stop all of it. Python exceptions still come through.
    """
    try:
        saved = os.dup(2)
    except OSError:  # a service without any stderr: nothing to silence
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


Choice = tuple[tuple[str, ...], bool, int | None]


def _defaults(gpus: bool, deterministic: bool | None, threads: int | None) -> tuple[bool, Any]:
    """Return what was asked for, or else determinism and two threads where there is no GPU."""
    own = None if gpus else 2
    return not gpus if deterministic is None else deterministic, threads or own


def _tensorflow(tf: Any, deterministic: bool | None, threads: int | None) -> Choice:
    gpus = tf.config.list_physical_devices("GPU")
    deterministic, threads = _defaults(bool(gpus), deterministic, threads)
    try:
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:  # TensorFlow has started already
        if threads not in (None, tf.config.threading.get_intra_op_parallelism_threads()):
            raise MednbError(
                f"Expected setup() to come before anything else uses TensorFlow. Received: "
                f"TensorFlow already running, not with {threads} threads. Restart the kernel and "
                f"run the first code cell first."
            ) from error
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    tf.get_logger().setLevel("ERROR")  # it warns when many models predict, as in every course
    tf.constant(1.0) + 1.0  # starts the devices while stderr is still silent
    names = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    return tuple(n for n in names if n.startswith("GPU")) or ("CPU",), deterministic, threads


def _jax(jax: Any, deterministic: bool | None, threads: int | None) -> Choice:
    # XLA sizes its thread pool by the cores the process may use, and has no switch at run time.
    kinds = tuple(f"{d.platform.upper()}:{d.id}" for d in jax.devices() if d.platform != "cpu")
    return kinds or ("CPU",), not kinds, None


def _torch(torch: Any, deterministic: bool | None, threads: int | None) -> Choice:
    gpus = tuple(f"GPU:{i}" for i in range(torch.cuda.device_count()))
    deterministic, threads = _defaults(bool(gpus), deterministic, threads)
    if threads is not None:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    return gpus or ("CPU",), deterministic, threads


def _import(backend: str, *, chosen: bool) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        return importlib.import_module(backend)
    except ModuleNotFoundError as error:
        name, extra, _ = BACKENDS[backend]
        why = f", because KERAS_BACKEND is {backend!r}" if chosen else ""
        other = " or unset KERAS_BACKEND to use TensorFlow," if chosen else ""
        raise MednbError(
            f"Expected {name} to be installed{why}. Received: no module {error.name!r} in "
            f"{sys.executable}. In the folder of the course type `make lab`, which brings it,"
            f'{other} or install it here with `pip install ".[{extra}]"`.'
        ) from error


def version(*distributions: str) -> str:
    """Return the version of the first of these packages that is installed, or ``"not found"``."""
    for name in distributions:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return "not found"

"""One quiet, deterministic start for every notebook: devices, precision, threads, seeds."""

import contextlib
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from mednb.errors import MednbError, UnknownNameError

__all__ = ["Runtime", "quiet_stderr", "setup"]

#: Precision a reader names -> Keras dtype policy. Variables and the last softmax stay float32.
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

#: Backend -> the distribution whose version we report.
BACKENDS = {
    "tensorflow": ("tensorflow-cpu", "tensorflow", "tensorflow-intel"),
    "jax": ("jax",),
    "torch": ("torch",),
}

_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


@dataclass(frozen=True)
class Runtime:
    """What the numbers of a notebook were computed with. Prints as one line.

    Parameters
    ----------
    backend, backend_version, keras
        The Keras backend in use and the two versions.
    devices
        Names of the compute devices, such as ``("CPU",)`` or ``("GPU:0",)``.
    precision
        ``"float32"`` or ``"bfloat16"``.
    threads
        CPU threads of TensorFlow and PyTorch. Part of the reproducibility promise: another number
        of threads sums in another order, and changes the fourth to seventh digit.
    seed
        The seed that was set.
    deterministic
        Whether the backend was told to use deterministic kernels only.
    """

    backend: str
    backend_version: str
    keras: str
    python: str
    devices: tuple[str, ...]
    precision: str
    threads: int
    seed: int
    deterministic: bool

    def __repr__(self) -> str:
        from mednb import __version__

        return " | ".join(
            [
                f"mednb {__version__}",
                f"Python {self.python}",
                f"{_NAMES[self.backend]} {self.backend_version}",
                f"Keras {self.keras}",
                " ".join(self.devices),
                self.precision,
                f"{self.threads} threads",
                f"seed {self.seed}",
                "deterministic" if self.deterministic else "not deterministic",
            ]
        )


def setup(seed: int = 0, precision: str = "float32", *, threads: int = 2) -> Runtime:
    """Start Keras and its backend quietly, and make what follows repeatable.

    Call it once, in the first code cell, before anything else imports TensorFlow. Calling it
    again resets the seeds. The backend is TensorFlow unless the environment variable
    ``KERAS_BACKEND`` names another.

    Parameters
    ----------
    seed
        Seeds Python, NumPy, Keras and the backend.
    precision
        ``"float32"``, or ``"bfloat16"``: computes in 16 bits where the hardware is fast at it and
        keeps weights in 32.
    threads
        CPU threads, 1 or more. The course's printed numbers were made with 2.

    Returns
    -------
    Runtime
        What was set up; the last expression of a cell shows it as one line.

    Raises
    ------
    UnknownNameError
        When ``precision`` or ``KERAS_BACKEND`` is not one of the names that exist.
    MednbError
        When the backend is not installed, or was started before with other threads.

    Notes
    -----
    On one machine, the same number of threads gives bit-identical results; elsewhere they agree
    within a tolerance. Notebook 00 shows how the course checks this.
    """
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend not in BACKENDS:
        raise UnknownNameError("Keras backend in KERAS_BACKEND", backend, BACKENDS)
    if threads < 1:
        raise MednbError(f"Expected at least 1 thread. Received: {threads}.")

    with quiet_stderr():
        start = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]
        devices, deterministic = start(threads)
        import keras

        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy(PRECISIONS[precision])

    return Runtime(
        backend=backend,
        backend_version=_version(*BACKENDS[backend]),
        keras=keras.__version__,
        python=platform.python_version(),
        devices=devices,
        precision=precision,
        threads=threads,
        seed=seed,
        deterministic=deterministic,
    )


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


def _tensorflow(threads: int) -> tuple[tuple[str, ...], bool]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tf = _import("tensorflow", "cpu")
    try:
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:  # TensorFlow has started already
        if tf.config.threading.get_intra_op_parallelism_threads() != threads:
            raise MednbError(
                f"Expected setup() to come before anything else uses TensorFlow. Received: "
                f"TensorFlow already running, not with {threads} threads. Restart the kernel and "
                f"run the first code cell first."
            ) from error
    tf.config.experimental.enable_op_determinism()
    tf.get_logger().setLevel("ERROR")  # it warns when many models predict, as in every course
    tf.constant(1.0) + 1.0  # starts the devices while stderr is still silent
    names = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    gpus = tuple(name for name in names if name.startswith("GPU"))
    return gpus or ("CPU",), True


def _jax(threads: int) -> tuple[tuple[str, ...], bool]:
    # XLA's CPU client sizes its thread pool by the cores the process may use; JAX has no switch.
    jax = _import("jax", "jax")
    kinds = tuple(f"{d.platform.upper()}:{d.id}" for d in jax.devices() if d.platform != "cpu")
    return kinds or ("CPU",), not kinds


def _torch(threads: int) -> tuple[tuple[str, ...], bool]:
    torch = _import("torch", "torch")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    cuda = tuple(f"GPU:{i}" for i in range(torch.cuda.device_count()))
    return cuda or ("CPU",), True


def _import(backend: str, extra: str) -> Any:
    try:
        module: ModuleType = importlib.import_module(backend)
    except ModuleNotFoundError as error:
        raise MednbError(
            f"Expected the backend {_NAMES[backend]} to be installed, because KERAS_BACKEND is "
            f"{backend!r}. Received: no module {backend!r}. Install it with "
            f"`pip install mednb[{extra}]`, or unset KERAS_BACKEND to use TensorFlow."
        ) from error
    return module


def _version(*distributions: str) -> str:
    for name in distributions:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return "?"

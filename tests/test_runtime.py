"""setup(): quiet, repeatable, and clear about what is missing. Each check needs a fresh process."""

import os
import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from mednb import runtime
from mednb.errors import MednbError, UnknownNameError
from mednb.runtime import setup


def fresh(code, **env):
    """Run ``code`` in a new Python and return what it printed, and what reached stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow", **env},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_import_is_light():
    code = (
        "import sys, mednb; heavy = {'tensorflow', 'keras', 'cv2', 'numpy', 'matplotlib', 'jax'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert fresh(code) == (0, "[]\n", "")


def test_setup_is_silent_and_prints_one_line():
    # Descriptor 2 is a pipe here, so what C++ code writes past sys.stderr would be caught too.
    code, out, err = fresh("import mednb; print(mednb.setup(seed=3))")
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    for part in (
        "mednb ",
        "TensorFlow 2.",
        "CPU",
        "float32",
        "2 threads",
        "seed 3",
        "| deterministic",
    ):
        assert part in out


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    code = (
        "import mednb; mednb.setup({}, threads=2); import keras, numpy, random;"
        "print(keras.random.normal((2,)).numpy(), numpy.random.rand(), random.random());"
        "print(keras.layers.Dense(1).compute_dtype)"
    )
    first = fresh(code.format(0))
    assert first[0] == 0
    assert first == fresh(code.format(0))
    assert first[1] != fresh(code.format(1))[1]
    assert first[1].endswith("float32\n")


def test_bfloat16_computes_in_16_bits_and_keeps_weights_in_32():
    code = (
        "import mednb; mednb.setup(precision='bfloat16'); import keras;"
        "d = keras.layers.Dense(1); d.build((1, 1)); print(d.compute_dtype, d.kernel.dtype)"
    )
    assert fresh(code) == (0, "bfloat16 float32\n", "")


def test_too_late_is_said():
    code = (
        "import mednb, tensorflow as tf; tf.config.threading.set_intra_op_parallelism_threads(1);"
        "tf.constant(1.0) + 1\n"
        "try: mednb.setup(threads=2)\n"
        "except mednb.runtime.MednbError as e: print(e)"
    )
    _, out, _ = fresh(code)
    assert "Restart the kernel" in out


def test_setup_twice_is_fine():
    code, out, _ = fresh("import mednb; mednb.setup(); print(mednb.setup(seed=5))")
    assert code == 0
    assert "seed 5" in out


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        ({"precision": "bfloat"}, UnknownNameError, "Did you mean 'bfloat16'"),
        ({"threads": 0}, MednbError, "at least 1 thread"),
    ],
)
def test_refuses(call, error, says):
    with pytest.raises(error, match=says):
        setup(**call)


@pytest.mark.parametrize(
    ("gpus", "asked", "chosen"),
    [
        (0, {}, (True, 2)),
        (2, {}, (False, None)),
        (0, {"deterministic": False, "threads": 4}, (False, 4)),
        (1, {"deterministic": True, "threads": 1}, (True, 1)),
    ],
)
def test_a_gpu_keeps_its_own_defaults_unless_asked(gpus, asked, chosen):
    tf = MagicMock()
    tf.config.list_physical_devices.return_value = ["gpu"] * gpus
    names = [SimpleNamespace(name=f"/device:GPU:{i}") for i in range(gpus)]
    tf.config.list_logical_devices.return_value = [SimpleNamespace(name="/device:CPU:0"), *names]
    asked = {"deterministic": None, "threads": None} | asked
    devices, *rest = runtime._tensorflow(tf, **asked)
    assert devices == (tuple(f"GPU:{i}" for i in range(gpus)) or ("CPU",))
    assert tuple(rest) == chosen
    assert tf.config.experimental.enable_op_determinism.called == chosen[0]
    assert tf.config.threading.set_intra_op_parallelism_threads.called == (chosen[1] is not None)


def test_unknown_and_missing_backends(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflw")
    with pytest.raises(UnknownNameError, match="Did you mean 'tensorflow'"):
        setup()
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MednbError, match=r"KERAS_BACKEND is 'torch'.*make lab.*\.\[torch\]"):
        setup()
    # Nobody is told to unset what they never set.
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MednbError, match=r"Expected TensorFlow to be.*\.\[cpu\]") as raised:
        setup()
    assert "KERAS_BACKEND" not in str(raised.value)

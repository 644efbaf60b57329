"""The same bytes as ever, on every machine."""

import os
import subprocess
import sys

import numpy as np
import pytest

#: Images (or clips) and masks. A change means that every number in the course moves: raise the
#: versions in mednb.data.simulated.SETS, and make the stored figures anew.
GOLDEN = [
    ("lesions(6, seed=7)", "images", "d409b09ddfbf4370"),
    ("hearts(2, seed=7, frames=9, workers=1)", "clips", "e4b3e5dc812025df"),
]


@pytest.mark.parametrize(("call", "what", "digest"), GOLDEN)
@pytest.mark.parametrize("bare", [False, True], ids=["as it is", "no vector units, one thread"])
def test_same_bytes_as_ever(call: str, what: str, digest: str, bare: bool) -> None:
    """What differs between machines is the last bit of a sum; it must not reach a pixel."""
    core = np._core._multiarray_umath  # type: ignore[attr-defined]
    features = [f for f in core.__cpu_dispatch__ if core.__cpu_features__.get(f)]
    code = (
        f"import cv2, hashlib; cv2.setNumThreads({1 if bare else 2})\n"
        "from mednb import simulate\n"
        f"s = simulate.{call}\n"
        f"pixels = s.{what}.tobytes() + s.masks.tobytes()\n"
        "print(hashlib.blake2b(pixels, digest_size=8).hexdigest())"
    )
    off = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(features),
        "OPENCV_CPU_DISABLE": "SSE4_1,SSE4_2,AVX,FP16,AVX2,FMA3,AVX512_SKX,NEON_DOTPROD",
        "OPENCV_IPP": "disabled",
        "OMP_NUM_THREADS": "1",
    }
    env = {**os.environ, **(off if bare else {})}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert out.stdout.split()[-1] == digest

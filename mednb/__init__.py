"""mednb: the helper package of a notebook course on deep learning for medical images.

Nothing heavy is imported here: ``import mednb`` stays under 0.2 s, and TensorFlow, OpenCV and
the rest are loaded by the first thing that needs them (PEP 562).
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_SUBMODULES = (
    "augment",
    "data",
    "exercises",
    "metrics",
    "models",
    "plots",
    "simulate",
    "train",
    "types",
)

__all__ = ["__version__", "setup", *_SUBMODULES]

if TYPE_CHECKING:
    from mednb import augment as augment
    from mednb import data as data
    from mednb import exercises as exercises
    from mednb import metrics as metrics
    from mednb import models as models
    from mednb import plots as plots
    from mednb import simulate as simulate
    from mednb import train as train
    from mednb import types as types
    from mednb.runtime import setup as setup


def __getattr__(name: str) -> Any:
    if name == "setup":
        return importlib.import_module("mednb.runtime").setup
    if name in _SUBMODULES:
        return importlib.import_module(f"mednb.{name}")
    raise AttributeError(f"module 'mednb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

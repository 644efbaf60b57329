"""mednb: the helper package of a notebook course on deep learning for medical images.

Nothing heavy is imported here: ``import mednb`` stays under 0.2 s, and TensorFlow, OpenCV and
the rest are loaded by the first thing that needs them (PEP 562).
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "augment",
    "data",
    "exercises",
    "metrics",
    "models",
    "plots",
    "setup",
    "simulate",
    "train",
    "types",
]

if TYPE_CHECKING:
    from mednb import augment, data, exercises, metrics, models, plots, simulate, train, types
    from mednb.runtime import setup


def __getattr__(name: str) -> Any:
    if name == "setup":
        return importlib.import_module("mednb.runtime").setup
    if name in __all__:
        return importlib.import_module(f"mednb.{name}")
    raise AttributeError(f"module 'mednb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

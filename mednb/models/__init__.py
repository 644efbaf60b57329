"""Networks and what they are measured against, one file a topic.

Loaded when first asked for: ``features`` needs no Keras.
"""

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["cnn", "features", "gan", "rnn", "unet"]

if TYPE_CHECKING:
    from mednb.models import cnn, features, gan, rnn, unet


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"mednb.models.{name}")
    raise AttributeError(f"module 'mednb.models' has no attribute {name!r}")

"""Exercises of notebook 02."""

from collections.abc import Sequence
from typing import Any

from mednb.exercises.core import Exercise, Function, Value

__all__ = ["EXERCISES"]


def _parameters(
    network: Sequence[Any], side: int, channels: int, *, bias: int = 1, reach: bool = True,
    shrinks: bool = True, pools: bool = True, flat: bool = True,
) -> int:  # fmt: skip
    """Parameters of a stack of layers; every flag turned off is a typical mistake."""
    total = 0
    for kind, *numbers in network:
        if kind == "conv":
            kernel, filters = numbers
            total += filters * (kernel * kernel * (channels if reach else 1) + bias)
            side, channels = side - kernel + 1 if shrinks else side, filters
        elif kind == "pool":
            side = side // numbers[0] if pools else side
        else:
            total += numbers[0] * ((side * side * channels if flat else channels) + bias)
    return total


# fmt: off
EXERCISES: dict[str, Exercise] = {
    "02-1": Function(
        lambda network, side, channels: _parameters(network, side, channels),
        [
            ([("conv", 3, 32), ("pool", 2), ("conv", 3, 64), ("pool", 2), ("dense", 10)], 28, 1),
            ([("conv", 5, 16), ("pool", 2), ("dense", 3)], 29, 3),
        ],
        {
            "The biases are missing: each kernel and each class adds one number.":
                lambda n, s, c: _parameters(n, s, c, bias=0),
            "A kernel reaches through all channels of the layer before it.":
                lambda n, s, c: _parameters(n, s, c, reach=False),
            "Without padding the side shrinks: a window of 3 fits 26 times into 28 pixels.":
                lambda n, s, c: _parameters(n, s, c, shrinks=False),
            "Pooling learns nothing, but it divides the side, rounded down.":
                lambda n, s, c: _parameters(n, s, c, pools=False),
            "Flatten keeps every pixel of every channel: side x side x channels numbers.":
                lambda n, s, c: _parameters(n, s, c, flat=False),
        },
        "Go through the layers one by one, and write down side, channels and parameters of each.",
    ),
    "02-2": Value(
        lambda auc: auc >= 0.88,
        {
            "This is near guessing. Has the network been trained, and do its first three outputs "
            "mean normal, benign and malignant?": lambda auc: auc < 0.65,
            "This is what the network as written reaches. Which remedy gained most in Figure 9, "
            "and which network was better?": lambda auc: auc < 0.84,
            "This is better than the network as written. Combine remedies, and train longer: "
            "with augmentation the validation loss turns late.": lambda auc: auc < 0.88,
        },
        "Give the AUC, a number from 0 to 1.",
    ),
}

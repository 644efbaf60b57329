"""Exercises of notebook 02."""

from typing import Any

import numpy as np

from mednb.exercises.core import Exercise, Function

__all__ = ["EXERCISES"]


def _stop(losses: Any, patience: int, ties: bool = False) -> tuple[int, int]:
    """Epochs (stops after, keeps) from 1; ``ties`` takes an equal loss for a new best."""
    best, epoch = 1, 0
    for epoch in range(1, len(losses) + 1):
        now, before = losses[epoch - 1], losses[best - 1]
        if now < before or (ties and now == before):
            best = epoch
        if epoch - best == patience:
            break
    return epoch, best


# fmt: off
EXERCISES: dict[str, Exercise] = {
    "02-1": Function(
        lambda k, c_in, c_out: (k * k * c_in + 1) * c_out,
        [(3, 1, 32), (3, 32, 64), (5, 3, 7)],
        {
            "The biases are missing: every output channel adds one.": lambda k, i, o: k * k * i * o,
            "A kernel reaches through all input channels.": lambda k, i, o: (k * k + 1) * o,
            "There is one bias for each output channel.": lambda k, i, o: k * k * i * o + 1,
            "A kernel is k wide and k high.": lambda k, i, o: (k * i + 1) * o,
        },
        "Count the numbers in one kernel first.",
    ),
    "02-2": Function(
        lambda logits, label: np.logaddexp.reduce(logits) - logits[label],
        [([2.0, 0.5, -1.0], 1), ([1000.0, 0.0], 0)],
        {
            "The sign: the loss is minus the logarithm of the probability.":
                lambda z, y: z[y] - np.logaddexp.reduce(z),
            "That is the probability of the label. The loss is minus its logarithm.":
                lambda z, y: np.exp(z[y] - np.logaddexp.reduce(z)),
            "Use the natural logarithm: this one has base 10.":
                lambda z, y: (np.logaddexp.reduce(z) - z[y]) / np.log(10),
            "Subtract from the logarithm of the sum: softmax divides.": lambda z, y: -z[y],
            "It overflows for the logit 1000: subtract the largest logit from all of them first.":
                lambda z, y: -np.log((np.exp(z) / np.exp(z).sum())[y]),
        },
        "Do it by hand: exponentials, their sum, a logarithm.",
    ),
    "02-3": Function(
        lambda losses, patience: _stop(losses, patience),
        [
            ([0.9, 0.7, 0.75, 0.8, 0.1, 0.2], 2),
            ([0.5, 0.5, 0.5, 0.4, 0.6, 0.7, 0.8], 2),
            ([0.9, 0.8, 0.7], 2),
        ],
        {
            "Epochs are counted from 1.": lambda v, p: tuple(e - 1 for e in _stop(v, p)),
            "It trained to the end: stop once patience epochs brought nothing new.":
                lambda v, p: (len(v), 1 + int(np.argmin(v))),
            "It keeps an epoch that comes after the stop: nobody has seen it.":
                lambda v, p: (_stop(v, p)[0], 1 + int(np.argmin(v))),
            "An equal loss is no new best.": lambda v, p: _stop(v, p, ties=True),
            "It keeps the last epoch: keep the first of the lowest losses seen.":
                lambda v, p: (_stop(v, p)[0], _stop(v, p)[0]),
        },
        "Follow the losses with a pencil: the best so far, and how long ago it was.",
    ),
}

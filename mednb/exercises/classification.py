"""Checkers of the exercises in notebook 02."""

import math
from typing import Any

from mednb.exercises.core import Checker, attempt, guarded

__all__ = ["CHECKERS"]


def conv_parameters(answer: Any) -> str | None:
    """Parameters of a convolution layer: (k k C_in + 1) C_out."""
    for k, c_in, c_out in ((3, 1, 32), (3, 32, 64), (5, 3, 7)):
        got, right = attempt(answer, k, c_in, c_out), (k * k * c_in + 1) * c_out
        call = f"k = {k}, {c_in} channels in, {c_out} out"
        if got == right:
            continue
        if got == k * k * c_in * c_out:
            return f"The biases are missing: every output channel adds one number. ({call})"
        if got == (k * k + 1) * c_out:
            return f"A kernel reaches through all input channels, not through one. ({call})"
        if got == k * k * c_in * c_out + 1:
            return f"There is one bias for each output channel, not one for the layer. ({call})"
        if got == (k * c_in + 1) * c_out:
            return f"A kernel is k wide and k high. ({call})"
        return f"For {call}, {got} is not it. Count the numbers in one kernel first."
    return None


def cross_entropy(answer: Any) -> str | None:
    """Cross-entropy of one case from its logits, without overflow."""
    logits, label = [2.0, 0.5, -1.0], 1
    total = math.log(sum(math.exp(z) for z in logits))
    right = total - logits[label]
    got = float(attempt(answer, logits, label))
    if math.isclose(got, -right, rel_tol=1e-6):
        return "The sign: the loss is minus the logarithm of the probability."
    if math.isclose(got, math.exp(-right), rel_tol=1e-6):
        return "That is the probability of the label. The loss is minus its logarithm."
    if math.isclose(got, right / math.log(10), rel_tol=1e-6):
        return "Use the natural logarithm: this one has base 10."
    if math.isclose(got, -logits[label], rel_tol=1e-6):
        return "Subtract from the logarithm of the sum: the softmax has a denominator."
    if not math.isclose(got, right, rel_tol=1e-6):
        return f"For the logits {logits} and label {label}, {got:.4f} is not it."
    large = attempt(answer, [1000.0, 0.0], 0)
    if not math.isfinite(large) or not math.isclose(large, 0.0, abs_tol=1e-6):
        return "It overflows for the logit 1000: subtract the largest logit from all of them first."
    return None


def stop(answer: Any) -> str | None:
    """Early stopping: (epoch the training stops after, epoch whose weights are kept), from 1."""
    cases = (
        ([0.9, 0.7, 0.6, 0.65, 0.7, 0.8], 3, (6, 3)),
        ([0.9, 0.7, 0.75, 0.8, 0.1, 0.2], 2, (4, 2)),
        ([0.5, 0.5, 0.5, 0.4, 0.6, 0.7, 0.8], 2, (3, 1)),
        ([0.9, 0.8, 0.7], 2, (3, 3)),
    )
    for losses, patience, right in cases:
        got = attempt(answer, losses, patience)
        call = f"losses {losses}, patience {patience}"
        if not isinstance(got, tuple) or len(got) != 2:
            return f"Return two numbers, (stops after, keeps). Received: {got!r}."
        if tuple(got) == (right[0] - 1, right[1] - 1):
            return f"Epochs are counted from 1. ({call})"
        lowest = len(losses) - losses[::-1].index(min(losses))
        if got[0] == len(losses) != right[0]:
            return f"It trained to the end: stop once patience epochs brought nothing new. ({call})"
        if got[1] == lowest != right[1] and got[1] > got[0]:
            return f"It keeps an epoch that comes after the stop: nobody has seen it. ({call})"
        if got[0] != right[0]:
            return f"An equal loss is not a new best, and patience counts from the best. ({call})"
        if got[1] != right[1]:
            return f"It keeps epoch {got[1]}: keep the first of the lowest losses seen. ({call})"
    return None


CHECKERS: dict[str, Checker] = {
    "02-1": guarded(conv_parameters),
    "02-2": guarded(cross_entropy),
    "02-3": guarded(stop),
}

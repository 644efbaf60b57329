"""Accuracy and AUC of a validation set, exact (Keras' AUC metric bins its thresholds)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

__all__ = ["validation_scores"]


def validation_scores(labels: NDArray[np.int64], y_score: NDArray[Any]) -> dict[str, float]:
    """Return ``val_accuracy`` and ``val_auc`` as MedMNIST defines them.

    Parameters
    ----------
    labels
        ``(N,)`` class numbers, or ``(N, L)`` of 0 and 1.
    y_score
        ``(N, K)`` probabilities; ``(N, 1)`` is the probability of class 1.

    Returns
    -------
    dict
        Accuracy in 0..1 (of the most probable class; of every yes-or-no answer for several
        labels) and the area under the ROC curve in 0..1, averaged over the classes or labels that
        have both a case and a non-case: a network may have more outputs than the data classes.
        NaN when there is none.
    """
    if labels.ndim == 2:
        truth, answer = labels, y_score > 0.5
        columns = [(labels[:, k], y_score[:, k]) for k in range(labels.shape[1])]
    elif y_score.shape[1] <= 2:
        positive = y_score[:, -1]
        truth, answer = labels, positive > 0.5
        columns = [(labels, positive)]
    else:
        truth, answer = labels, y_score.argmax(axis=1)
        columns = [(labels == k, y_score[:, k]) for k in range(y_score.shape[1])]
    aucs = [roc_auc_score(t, s) for t, s in columns if 0 < np.mean(t) < 1]
    auc = float(np.mean(aucs)) if aucs else np.nan
    return {"val_accuracy": float(np.mean(truth == answer)), "val_auc": auc}

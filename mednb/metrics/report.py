"""What :func:`mednb.metrics.classification.evaluate` returns: every figure with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mednb.metrics.figures import BINS, PER_CLASS
from mednb.metrics.intervals import Estimate
from mednb.metrics.table import Table, shown

__all__ = ["Report"]

_LABELS = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity (recall)",
    "specificity": "specificity",
    "precision": "precision (PPV)",
    "f1": "F1",
    "f1_macro": "F1, mean of classes",
    "average_precision": "average precision",
    "mcc": "Matthews correlation",
    "kappa": "kappa, quadratic weights",
    "brier": "Brier score",
    "log_loss": "log loss, nats",
    "ece": "calibration error (ECE)",
}

_BINNED = {
    "binary": "the probability of the positive class",
    "multi-class": "the highest probability",
    "ordinal": "the highest probability",
    "multi-label": "the probability of each label, mean over labels",
}


@dataclass(frozen=True)
class Report:
    """How good a classifier is on one split, every figure with its confidence interval.

    ``print(report)`` shows the two figures of MedMNIST; :meth:`table` and :meth:`class_table` all.
    Of a binary task, sensitivity, specificity, precision, F1 and average precision are those of the
    positive class; of the others, the mean over classes, each against the rest, or over labels.

    Parameters
    ----------
    auc, accuracy
        Figures of merit as MedMNIST defines them; see :func:`mednb.metrics.classification.auc`.
    balanced_accuracy
        Mean over classes of the share found; over labels, of (sensitivity + specificity) / 2.
    sensitivity, specificity, precision, f1, f1_macro
        In 0..1, of the class with the highest score (binary and labels: score above 0.5). A class
        that is never said has precision 0.
    average_precision
        Area under the precision-recall steps, 0..1; guessing gives the prevalence.
    mcc
        Matthews correlation of what is said and what is, -1..1.
    kappa
        Cohen's kappa with quadratic weights, at most 1; None where the classes have no order.
    brier
        Mean squared error of the probability, 0..1; several classes: summed over them, 0..2.
    log_loss
        Mean of -log(probability of the truth), in nats.
    ece
        Expected calibration error over ten equally wide bins, 0..1; its interval is mirrored at the
        value ("basic" bootstrap), because resampling makes this figure larger.
    n, n_groups
        Cases and patients (or phantoms) they rest on.
    task
        One of :data:`mednb.metrics.checks.TASKS`.
    prevalence
        Share of the cases that are of each class, or have each label, by name.
    per_class
        Class name -> figure -> estimate: sensitivity, specificity, precision, f1, auc and
        average_precision of the class against the rest.
    positive
        Name of the class a binary score speaks for, where it was given.
    """

    auc: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate
    precision: Estimate
    f1: Estimate
    f1_macro: Estimate
    average_precision: Estimate
    mcc: Estimate
    kappa: Estimate | None
    brier: Estimate
    log_loss: Estimate
    ece: Estimate
    n: int
    n_groups: int
    task: str
    prevalence: Mapping[str, float]
    per_class: Mapping[str, Mapping[str, Estimate]]
    positive: str | None = None

    def __repr__(self) -> str:
        beside = f"  {self._beside()}" if self.task == "multi-label" else ""
        return "\n".join(
            [
                self._title(),
                f"  AUC       {self.auc}",
                f"  accuracy  {self.accuracy}{beside}",
            ]
        )

    def table(self) -> Table:
        """Return every figure of the split as a table."""
        skip = {"f1_macro"} if self.task != "binary" else set()
        if self.kappa is None:
            skip.add("kappa")
        rows = [
            (label, shown(getattr(self, name)))
            for name, label in _LABELS.items()
            if name not in skip
        ]
        notes = [
            f"Calibration error: {BINS} equally wide bins of {_BINNED[self.task]}. Chance alone "
            f"makes it larger than 0, which its interval corrects: it may lie below the value."
        ]
        if self.task == "binary":
            *_, share = self.prevalence.values()
            notes.insert(0, f"Positive class: {self._positive()}, {share:.1%} of the cases.")
        elif self.task == "multi-label":
            notes.insert(0, f"Accuracy: {self._beside()}.")
        every = [getattr(self, name) for name in _LABELS if name not in skip]
        if any(e.low == e.high for e in every):
            notes.append(
                "An interval of no width does not mean certainty: no replicate differs, because "
                "there are too few errors to draw from."
            )
        return Table(self._title(), ("Figure", "Value (95 % interval)"), tuple(rows), tuple(notes))

    def class_table(self) -> Table:
        """Return the figures of each class against the rest, with its prevalence, as a table."""
        rows = [
            (name, f"{self.prevalence[name]:.1%}", *(shown(figures[f], 2) for f in PER_CLASS))
            for name, figures in self.per_class.items()
        ]
        columns = ("Class", "Prevalence", *(_LABELS[f] for f in PER_CLASS))
        return Table(self._title(), columns, tuple(rows))

    def _title(self) -> str:
        whom = f", positive class {self.positive}" if self.positive else ""
        level = f"{100 * self.auc.level:g} % intervals"
        return f"n = {self.n} in {self.n_groups} groups ({self.task}{whom}), {level}"

    def _positive(self) -> str:
        return self.positive or "number 1 (name it with classes=...)"

    def _beside(self) -> str:
        shares = np.array(list(self.prevalence.values()))
        never = np.mean(1 - shares)
        return f"mean prevalence {shares.mean():.3f}; saying no to every label: {never:.3f}"

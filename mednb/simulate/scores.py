"""Scores of a model that does not exist, with a true AUC: phantoms for statistics.

An interval can only be checked against a truth, and no patient study knows its true AUC. Here it is
chosen, and thousands of studies of it are drawn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scores", "scores"]


@dataclass(frozen=True, eq=False)
class Scores:
    """One simulated study.

    Parameters
    ----------
    labels
        ``(N,)`` int64, 0 or 1; all images of a patient share it.
    probability
        ``(N,)`` in 0..1, of class 1, calibrated.
    groups
        ``(N,)`` str, the patient.
    auc
        The AUC of the population the study was drawn from.
    """

    labels: NDArray[np.int64]
    probability: NDArray[np.float64]
    groups: NDArray[np.str_]
    auc: float


def scores(
    patients: int,
    *,
    seed: int,
    images: int = 1,
    auc: float = 0.8,
    alike: float = 0.6,
    prevalence: float = 0.4,
) -> Scores:
    """Draw a study of ``patients`` with ``images`` each from a population with a known AUC.

    z = d y + sqrt(alike) (patient) + sqrt(1 - alike) (image), both standard normal, so that
    AUC = Phi(d / sqrt 2): the difference of two independent scores is normal with mean d and
    variance 2. The probability is that of Bayes, p = prior odds * exp(d z - d^2 / 2) as odds.

    Parameters
    ----------
    patients, images
        Number of patients, and of images of each.
    seed
        Of the draw.
    auc
        Of the population, above 0.5 and below 1.
    alike
        Correlation of two images of one patient, 0..1.
    prevalence
        Share of positive patients, between 0 and 1.

    References
    ----------
    Green and Swets, Signal Detection Theory and Psychophysics (1966). Notebook 05.
    """
    from scipy.special import expit
    from scipy.stats import norm

    d = float(np.sqrt(2) * norm.ppf(auc))
    rng = np.random.default_rng(seed)
    positive = np.repeat(rng.random(patients) < prevalence, images)
    own = np.repeat(rng.standard_normal(patients), images)
    z = d * positive + np.sqrt(alike) * own
    z += np.sqrt(1 - alike) * rng.standard_normal(patients * images)
    odds = np.log(prevalence / (1 - prevalence)) + d * z - d**2 / 2
    return Scores(
        labels=positive.astype(np.int64),
        probability=np.asarray(expit(odds), dtype=np.float64),
        groups=np.repeat([f"patient-{seed}-{i:05d}" for i in range(patients)], images),
        auc=auc,
    )

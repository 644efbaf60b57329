"""How often a 95 % interval holds the truth, over 1,000 simulated studies of clustered patients.

Patients have one to eight images. An image's score is a class effect, plus what all images of the
patient share, plus what is its own: z = mu y + sqrt(rho) b_patient + sqrt(1 - rho) e_image, of
which half the variance is the patient's (rho = 0.5). The true figures are known in closed form:
AUC = Phi(mu / sqrt(2)), and accuracy = sensitivity = specificity = Phi(mu / 2) at the threshold
mu / 2. Drawing images instead of patients is the mistake; it is in the table to be seen failing.
"""

import numpy as np
from delong import delong_interval
from numpy.typing import NDArray
from scipy.stats import norm
from table import record

from mednb.metrics.classification import auc_of_weights
from mednb.metrics.intervals import Estimate, Weighted, bootstrap_all, wilson

MU, RHO, PREVALENCE, MOST = 1.2, 0.5, 0.4, 8
STUDIES, REPLICATES, SIZES = 1_000, 1_000, (40, 100, 200)
FIGURES = ("AUC", "accuracy", "sensitivity", "specificity")
TRUTH = (norm.cdf(MU / 2**0.5), *[norm.cdf(MU / 2)] * 3)


def study(
    rng: np.random.Generator, patients: int, most: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64]]:
    """Return labels, probabilities and patient of the images of one study."""
    y = rng.random(patients) < PREVALENCE
    g = np.repeat(np.arange(patients), rng.integers(1, most + 1, size=patients))
    shared, own = rng.normal(size=patients)[g], rng.normal(size=len(g))
    z = MU * y[g] - MU / 2 + np.sqrt(RHO) * shared + np.sqrt(1 - RHO) * own
    return y[g], norm.cdf(z), g


def figures(y: NDArray[np.bool_], p: NDArray[np.float64]) -> Weighted:
    """Return the function that gives the four figures for rows of weights."""
    area, right = auc_of_weights(y, p), (p > 0.5) == y
    table = np.stack([np.ones(len(y)), right, y, right & y, ~y, right & ~y], axis=1)

    def of_weights(weights: NDArray[np.int64]) -> NDArray[np.float64]:
        s = weights.astype(np.float64) @ table
        with np.errstate(invalid="ignore"):  # a draw without positives has no sensitivity
            return np.stack([area(weights), *(s[:, 1::2] / s[:, ::2]).T], axis=1)

    return of_weights


def intervals(
    y: NDArray[np.bool_], p: NDArray[np.float64], g: NDArray[np.int64], seed: int
) -> dict[str, list[Estimate]]:
    """Return the intervals of each way; of the AUC alone where a way is for the AUC."""
    statistic, right = figures(y, p), (p > 0.5) == y
    found = {}
    for name, groups in (("bootstrap by patient", g), ("bootstrap by image (naive)", None)):
        found[name] = bootstrap_all(
            statistic, len(y), groups=groups, replicates=REPLICATES, seed=seed
        )
    found["DeLong by patient (Obuchowski)"] = [delong_interval(y, p, groups=g)]
    found["DeLong by image (naive)"] = [delong_interval(y, p)]
    sides = (np.ones(len(y), dtype=bool), y, ~y)
    shares = [wilson(int(np.sum(right & side)), int(np.sum(side))) for side in sides]
    found["Wilson by image (naive)"] = [Estimate(np.nan, np.nan, np.nan), *shares]
    return found


def coverage(patients: int, most: int) -> dict[str, NDArray[np.float64]]:
    """Return the share of studies whose interval holds the truth, by way and figure."""
    rng = np.random.default_rng(patients + most)
    hits: dict[str, list[list[bool]]] = {}
    for seed in range(STUDIES):
        for name, found in intervals(*study(rng, patients, most), seed).items():
            inside = [e.low <= truth <= e.high for e, truth in zip(found, TRUTH, strict=False)]
            hits.setdefault(name, []).append(inside)
    return {name: np.mean(rows, axis=0) for name, rows in hits.items()}


def main() -> None:
    """Simulate, count, record."""
    rows = []
    for patients, most in [*((n, MOST) for n in SIZES), (200, 1)]:
        images = f"1 to {most} images each" if most > 1 else "1 image each"
        for name, shares in coverage(patients, most).items():
            shown = name if most > 1 else _ALONE.get(name)
            if shown is None:
                continue
            cells = [f"{100 * share:.1f}" for share in shares] + [""] * (4 - len(shares))
            if name.startswith("Wilson"):
                cells[0] = ""
            row = {"study": f"{patients} patients, {images}", "interval": shown}
            rows.append(row | dict(zip(FIGURES, cells, strict=True)))
    record(
        "coverage",
        rows,
        note=f"Share (%) of {STUDIES} simulated studies whose 95 % interval holds the true figure; "
        f"its own standard error is 0.7. {REPLICATES} replicates; half the variance of a score is "
        f"shared by the images of a patient; true AUC {TRUTH[0]:.3f}, true accuracy, sensitivity "
        f"and specificity {TRUTH[1]:.3f}; {PREVALENCE:.0%} of the patients are positive.",
    )


#: With one image a patient, "by image" and "by patient" are the same thing.
_ALONE = {
    "bootstrap by patient": "bootstrap",
    "DeLong by patient (Obuchowski)": "DeLong",
    "Wilson by image (naive)": "Wilson",
}


if __name__ == "__main__":
    main()

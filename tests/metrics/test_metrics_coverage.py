"""Do 95 % intervals hold the truth in 95 % of studies of clustered patients?

``benchmarks/bench_coverage.py`` has the whole table, with other sizes and figures.
"""

import numpy as np
import pytest
from scipy.stats import norm

from mednb.metrics.classification import auc_of_weights
from mednb.metrics.intervals import bootstrap_all

#: Distance of the classes, share of the variance that a patient's images have in common, sizes.
MU, RHO, PATIENTS, MOST = 1.2, 0.5, 120, 5
#: AUC and accuracy of that simulation, exactly.
TRUTH = np.array([norm.cdf(MU / 2**0.5), norm.cdf(MU / 2)])


def study(rng):
    y = rng.random(PATIENTS) < 0.4
    g = np.repeat(np.arange(PATIENTS), rng.integers(1, MOST + 1, size=PATIENTS))
    shared, own = rng.normal(size=PATIENTS)[g], rng.normal(size=len(g))
    return y[g], norm.cdf(MU * (y[g] - 0.5) + RHO**0.5 * shared + (1 - RHO) ** 0.5 * own), g


def coverage(find, studies):
    """Return the share of studies whose interval of each figure holds the truth."""
    rng = np.random.default_rng(0)
    ends = np.array([[(e.low, e.high) for e in find(*study(rng), i)] for i in range(studies)])
    truth = np.resize(TRUTH, ends.shape[1])
    return np.mean((ends[..., 0] <= truth) & (truth <= ends[..., 1]), axis=0)


def drawn(y, p, groups, seed):
    area, right = auc_of_weights(y, p), ((p > 0.5) == y).astype(float)
    return bootstrap_all(
        lambda w: np.stack([area(w), w @ right / w.sum(axis=1)], axis=1),
        len(y),
        groups=groups,
        replicates=400,
        seed=seed,
    )


@pytest.mark.slow
def test_the_bootstrap_by_patient_covers():
    # 95 +- 2 %: the standard error of a share of 1,000 studies is 0.7 %.
    assert np.all(np.abs(coverage(drawn, 1000) - 0.95) <= 0.02)


def test_the_bootstrap_by_image_does_not():
    assert np.all(coverage(lambda y, p, g, i: drawn(y, p, None, i), 200) < 0.88)

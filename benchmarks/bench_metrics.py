"""Time of 2,000 bootstrap replicates of the AUC on 10,000 cases, against the usual loop and SciPy.

Everything runs in one process, on the same cases. The usual loop draws indices and calls
scikit-learn's ``roc_auc_score`` on them; it is timed whole, not scaled up from a few replicates.
"""

from collections.abc import Callable
from statistics import median
from time import process_time

import numpy as np
from delong import delong_interval
from numpy.typing import NDArray
from scipy.stats import bootstrap as scipy_bootstrap
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score
from table import record

from mednb.metrics.classification import auc_interval, evaluate

N, REPLICATES, PREVALENCE = 10_000, 2_000, 0.2
#: Patients of the run that draws by patient: five images each.
PATIENTS = N // 5


def cases() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels and probabilities of a binormal classifier of AUC 0.80."""
    rng = np.random.default_rng(0)
    y = (rng.random(N) < PREVALENCE).astype(np.int64)
    return y, norm.cdf(rng.normal(size=N) + 1.2 * y - 1)


def loop(y: NDArray[np.int64], p: NDArray[np.float64]) -> tuple[float, float]:
    """Return the interval as most papers compute it."""
    rng = np.random.default_rng(1)
    values = []
    for _ in range(REPLICATES):
        index = rng.integers(N, size=N)
        values.append(roc_auc_score(y[index], p[index]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def ranked(y: NDArray[np.int64], p: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Return the AUC along an axis from ranks: the vectorised statistic SciPy asks for."""
    m, r = y.sum(axis=axis), rankdata(p, axis=axis)
    return (np.sum(r * y, axis=axis) - m * (m + 1) / 2) / (m * (y.shape[axis] - m))


def scipy_interval(
    y: NDArray[np.int64], p: NDArray[np.float64], **options: object
) -> tuple[float, float]:
    """Return the percentile interval of scipy.stats.bootstrap."""
    found = scipy_bootstrap(
        (y, p),
        paired=True,
        n_resamples=REPLICATES,
        method="percentile",
        rng=np.random.default_rng(2),
        **options,
    ).confidence_interval
    return float(found.low), float(found.high)


def timed(f: Callable[[], object], times: int) -> tuple[float, tuple[float, float]]:
    """Return the median CPU time of a call in seconds, and the ends of the interval."""
    laps = []
    for _ in range(times):
        start = process_time()
        found = f()
        laps.append(process_time() - start)
    low, high = list(found)[-2:]  # type: ignore[call-overload]
    return median(laps), (low, high)


def main() -> None:
    """Measure, compare, record."""
    y, p = cases()
    groups = np.repeat(np.arange(PATIENTS), N // PATIENTS)
    contenders = [
        ("loop over sklearn roc_auc_score", lambda: loop(y, p), 1),
        (
            "scipy.stats.bootstrap of roc_auc_score",
            lambda: scipy_interval(y, p, statistic=roc_auc_score, vectorized=False),
            1,
        ),
        (
            "scipy.stats.bootstrap, vectorised ranks",
            lambda: scipy_interval(y, p, statistic=ranked, vectorized=True, batch=20),
            1,
        ),
        ("mednb auc_interval", lambda: auc_interval(y, p, task="binary"), 7),
        (
            f"mednb auc_interval, {PATIENTS} patients of 5",
            lambda: auc_interval(y, p, task="binary", groups=groups),
            7,
        ),
        ("mednb evaluate, six figures", lambda: _auc_of_all(y, p), 3),
        ("DeLong, benchmarks/delong.py (no resampling)", lambda: delong_interval(y, p), 7),
    ]
    measured = [(what, *timed(f, times)) for what, f, times in contenders]
    base, (low, high) = measured[0][1:]
    # Monte-Carlo error of a quantile q of B normal replicates: sqrt(q (1 - q) / B) / density.
    sd = (high - low) / (2 * norm.ppf(0.975))
    error = sd * np.sqrt(0.025 * 0.975 / REPLICATES) / norm.pdf(norm.ppf(0.975))
    rows = [
        {
            "what": what,
            "CPU s": f"{took:.3f}",
            "times as fast as the loop": f"{base / took:.0f}",
            "95 % interval": f"{ends[0]:.4f} to {ends[1]:.4f}",
            "ends off by (Monte-Carlo errors)": f"{(ends[0] - low) / (error * 2**0.5):+.1f}, "
            f"{(ends[1] - high) / (error * 2**0.5):+.1f}",
        }
        for what, took, ends in measured
    ]
    record(
        "metrics",
        rows,
        note=f"{REPLICATES} replicates, {N} cases, prevalence {PREVALENCE:.0%}, one process; CPU "
        f"time, the loop and SciPy once (all replicates, nothing extrapolated), ours the median of "
        f"several calls, checks of the input included. The Monte-Carlo error of one end is "
        f"{error:.5f}; two independent bootstraps differ by {error * 2**0.5:.5f} (one standard "
        f"deviation). DeLong's is another interval, not the same one by other draws.",
    )


def _auc_of_all(y: NDArray[np.int64], p: NDArray[np.float64]) -> tuple[float, float]:
    found = evaluate(y, p, task="binary").auc
    return found.low, found.high


if __name__ == "__main__":
    main()

"""The augmentation trial of ``bench_gan.py``: its arms, and its stored result as a table."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import permutation_test

from mednb.metrics.classification import holm
from mednb.metrics.intervals import mean_interval

CONTROL = "real only"
#: What an arm shows beside the real images: nothing, copies of them, generated or extra real ones;
#: and whether every image is also mirrored, shifted, turned and changed in gain.
ARMS = {
    "real only": ("nothing", False),
    "real duplicated": ("copies", False),
    "classic": ("nothing", True),
    "GAN": ("generated", False),
    "GAN + classic": ("generated", True),
    "extra real": ("extra", False),
    "GAN only": ("generated", False),  # and no real image
}
#: Arms whose gain over the control is tested.
TESTED = tuple(arm for arm in ARMS if arm not in (CONTROL, "GAN only"))


def test_auc(stored: dict[str, Any]) -> pd.DataFrame:
    """Return the test AUC: a row for (real images, run), a column an arm; complete runs only."""
    runs = pd.DataFrame(stored["runs"])
    table = runs.pivot_table(index=["n", "run"], columns="arm", values="test")[list(ARMS)].dropna()
    sizes = table.groupby("run").size()
    whole = sizes[sizes == len(stored["sizes"])].index
    return table[table.index.get_level_values("run").isin(whole)]


def gains(auc: pd.DataFrame) -> pd.DataFrame:
    """Return what every tested arm gained over the control at one number of real images.

    If an arm did nothing, each run's difference would be as likely negative as positive: p is the
    share of all 2^S ways of signs whose mean is at least as far from 0, adjusted by Holm.
    """
    paired = auc[list(TESTED)].sub(auc[CONTROL], axis=0)
    p = [
        permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
        for d in paired.to_numpy().T
    ]
    rows = [tuple(mean_interval(d))[:3] for d in paired.to_numpy().T]
    found = pd.DataFrame(rows, index=TESTED, columns=["gain", "low", "high"])
    return found.assign(p=holm(p))


def table(stored: dict[str, Any]) -> list[dict[str, str]]:
    """Return rows for RESULTS.md: an arm each, a column for each number of real images."""
    auc = test_auc(stored)
    rows: dict[str, dict[str, str]] = {arm: {"arm": arm} for arm in ARMS}
    for n in stored["sizes"]:
        found, column = gains(auc.loc[n]), f"{n} real images"
        for arm in (CONTROL, "GAN only"):
            rows[arm][column] = f"AUC {auc.loc[n, arm].mean():.3f}"
        for arm, r in found.iterrows():
            text = f"{r['gain']:+.3f} ({r['low']:+.3f} to {r['high']:+.3f}), p {r['p']:.3f}"
            rows[str(arm)][column] = text
    return list(rows.values())

"""The stored scores and the stored table of BreastMNIST come from one run, whole and in range."""

import json
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def stored(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))["seeds"]


def test_scores_are_those_of_the_table():
    scores, table = stored("breastmnist_scores.json"), stored("breastmnist.json")
    assert [s["seed"] for s in scores] == [t["seed"] for t in table] == list(range(5))
    for s, t in zip(scores, table, strict=True):
        assert (s["auc"], s["acc"]) == pytest.approx((t["auc"], t["acc"]), abs=1e-12)
        assert (len(s["val"]), len(s["test"])) == (78, 156)
        assert all(0 <= p <= 1 for p in s["val"] + s["test"])
        # 156 numbers that differ: scores, not labels.
        assert len(np.unique(s["test"])) > 100

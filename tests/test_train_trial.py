"""The stored trial is read as it was written, and says no more than its figures."""

import json

import numpy as np
import pytest

from mednb.errors import DataError, UnknownNameError
from mednb.train.arms import ARMS, compare
from mednb.train.trial import read_trial

SIZES = (7, 8, 9)
GAINS = {"GAN": -0.02, "extra real": 0.05}


def stored(runs=8):
    rng = np.random.default_rng(0)
    rows = []
    for run in range(runs):
        for n in SIZES:
            base = 0.7 + rng.normal(0, 0.01)
            for arm in ARMS:
                gain = GAINS.get(arm, 0) + rng.normal(0, 0.002)
                rows.append({"n": n, "run": run, "arm": arm, "test": base + gain})
    return {
        "sizes": SIZES,
        "choice": {str(n): {"share": 0.5, "strength": 1.0} for n in SIZES},
        "runs": rows,
        "generators": [{"n": n, "run": r, "texture_frechet": 3.0} for n in SIZES for r in range(8)],
    }


def write(folder, content):
    path = folder / "trial.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_gains_are_those_of_the_stored_runs(tmp_path):
    content = stored()
    trial = read_trial(write(tmp_path, content))
    for n in SIZES:
        scores = {
            arm: [r["test"] for r in content["runs"] if (r["n"], r["arm"]) == (n, arm)]
            for arm in ARMS
        }
        assert trial.scores(n, "GAN only") == scores.pop("GAN only")
        assert trial.gains(n) == compare(scores)
        assert trial.settings[n] == {"share": 0.5, "strength": 1.0}
    assert len(trial.generators) == 24


def test_verdicts_need_holm(tmp_path):
    trial = read_trial(write(tmp_path, stored()))
    assert trial.verdict(7) == "harms"
    assert trial.verdict(7, "extra real") == "helps"
    assert trial.verdict(7, "real duplicated") == "no benefit shown"
    # Six runs: the smallest p is 2 / 64, five times that is above 0.05, whatever the gain.
    few = read_trial(write(tmp_path, stored(6)))
    assert few.verdict(7, "extra real") == "no benefit shown"


def test_the_table_has_a_row_for_each_arm_and_a_column_for_each_number(tmp_path):
    trial = read_trial(write(tmp_path, stored()))
    table = trial.table()
    assert [row[0] for row in table.rows] == [name for name, arm in ARMS.items() if arm.real]
    assert all(len(row) == len(table.columns) == 4 for row in table.rows)
    mean = np.mean(trial.scores(8, "real only"))
    assert table.rows[0][2] == f"AUC {mean:.3f}"
    gain = trial.gains(9)["GAN"].difference.value
    assert {row[0]: row[3] for row in table.rows}["GAN"].startswith(f"{gain:+.3f} (")
    assert repr(trial) == repr(table)


def test_an_incomplete_run_is_left_out(tmp_path):
    content = stored()
    content["runs"] = content["runs"][:-1]
    trial = read_trial(write(tmp_path, content))
    assert len(trial.scores(7, "GAN")) == 7
    assert {g["run"] for g in trial.generators} == set(range(7))
    content["runs"] = content["runs"][:5]
    with pytest.raises(DataError, match="one complete run"):
        read_trial(write(tmp_path, content))


def test_refuses_what_was_not_run(tmp_path):
    trial = read_trial(write(tmp_path, stored()))
    with pytest.raises(UnknownNameError, match="GAN"):
        trial.scores(7, "GAM")
    with pytest.raises(DataError, match="real images"):
        trial.scores(50, "GAN")

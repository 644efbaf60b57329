"""The command of benchmarks/ that runs EchoNet's protocol, on a miniature of the set."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mednb.data import films
from mednb.errors import DownloadError


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "echonet_protocol.py"
    sys.path.insert(0, str(path.parent))  # as Python does for a script
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.pop(0)
    return module


@pytest.fixture(autouse=True)
def already_set_up(monkeypatch):
    """Setup has to come before TensorFlow starts, which other tests have started long ago."""
    monkeypatch.setattr("mednb.setup", lambda **_: "the tests' own set-up")


def test_the_miniature_is_read_as_the_set_is(script, tmp_path):
    data = films.load_echonet(root=script.make_films(tmp_path / "echonet"), size=32, frames=8)
    assert [len(s) for s in (data.train, data.val, data.test)] == list(script.DRY.values())
    for split in (data.train, data.val, data.test):
        t = split.targets
        ef = 100 * (t["edv"] - t["esv"]) / t["edv"]
        np.testing.assert_allclose(t["ef"], ef, atol=0.1)
        assert (t["ed_frame"] != t["es_frame"]).all()
        np.testing.assert_array_equal(split.labels, t["ef"] < 50)


@pytest.mark.parametrize("kind", ["r2plus1d", "gru"])
def test_a_dry_run_trains_judges_and_prints_the_target(script, tmp_path, capsys, kind):
    out = tmp_path / "result.json"
    result = script.main(["--dry-run", "--model", kind, "--out", str(out)])
    assert json.loads(out.read_text()) == result
    assert result["films"] == [8, 4, 4]
    for name in ("mae", "rmse", "r2"):
        value, low, high = result[name]
        assert np.isfinite([value, low, high]).all()
        assert low <= value <= high
    assert result["mae"][0] <= result["rmse"][0]
    printed = capsys.readouterr().out
    for text in ("DRY RUN", "MAE", "training mean", "4.05", "5.33", "0.81"):
        assert text in printed


def test_without_the_set_it_says_where_to_get_it(script, tmp_path):
    with pytest.raises(DownloadError, match="Register"):
        script.main(["--root", str(tmp_path)])

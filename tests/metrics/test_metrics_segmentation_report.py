"""The table of a segmentation: cases as the metrics give them, intervals by patient."""

import numpy as np
import pytest

from mednb.errors import DataError, ShapeError
from mednb.metrics.intervals import bootstrap
from mednb.metrics.segmentation import dice, iou
from mednb.metrics.segmentation_report import evaluate
from mednb.metrics.surface import assd, hd95

CLASSES = ("background", "cavity", "wall")
MM = (0.8, 1.5)


def pictures():
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 3, (12, 2, 3)), np.ones((1, 4, 3), int))
    said = np.where(rng.random(truth.shape) < 0.2, rng.integers(0, 3, truth.shape), truth)
    truth[0], said[0] = 0, 0  # both empty
    truth[1], said[1, truth[1] == 2] = np.minimum(truth[1], 1), 2
    said[2] = np.where(said[2] == 2, 0, said[2])
    return truth, said, np.repeat(np.arange(4).astype(str), 3)


def test_cases_are_those_of_the_metrics_and_means_have_intervals_by_patient():
    truth, said, groups = pictures()
    found = evaluate(truth, said, classes=CLASSES, spacing_mm=MM, groups=groups, replicates=300)
    assert list(found.means) == ["cavity", "wall"]
    for k, name in ((1, "cavity"), (2, "wall")):
        a, b = truth == k, said == k
        for figure, f in (("dice", dice), ("iou", iou)):
            np.testing.assert_array_equal(found.cases[name][figure], f(a, b))
        for figure, f in (("hd95", hd95), ("assd", assd)):
            np.testing.assert_array_equal(found.cases[name][figure], f(a, b, spacing_mm=MM))
        for figure, values in found.cases[name].items():
            mean = found.means[name][figure]
            expected = bootstrap(
                lambda w, v=values: w @ v / w.sum(axis=1), 12, groups=groups, replicates=300
            )
            assert tuple(mean) == pytest.approx(tuple(expected))
            assert mean.value == pytest.approx(values.mean())
    assert (found.n, found.n_groups) == (12, 4)


def test_empty_masks_are_counted():
    truth, said = np.zeros((2, 4, 5, 6), int)
    truth[1], said[1] = 1, 1
    truth[2], said[3] = 1, 1
    found = evaluate(truth, said, classes=CLASSES[:2], spacing_mm=1, replicates=50)
    assert found.empty["cavity"] == (1, 1, 1)
    assert found.cases["cavity"]["dice"].tolist() == [1, 1, 0, 0]
    assert "1 / 1 / 1" in repr(found)
    assert "| cavity |" in found._repr_markdown_()
    assert "n = 4 cases of 4" in repr(found)


def test_errors_teach():
    truth, said, _ = pictures()
    with pytest.raises(DataError, match=r"0\.\.1, for 2 names.*\[2\]"):
        evaluate(truth, said, classes=CLASSES[:2], spacing_mm=1)
    with pytest.raises(ShapeError, match="argmax first"):
        evaluate(truth, np.zeros((*truth.shape, 3)), classes=CLASSES, spacing_mm=1)

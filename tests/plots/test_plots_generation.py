"""The figures of notebook 04 carry what they were given, and refuse what they cannot show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mednb import plots
from mednb.errors import ShapeError


@pytest.fixture
def drawn(monkeypatch):
    """Collect (figure, alternative text) in place of display."""
    shown = []
    monkeypatch.setattr(
        "mednb.plots.generation.show", lambda figure, *, alt: shown.append((figure, alt))
    )
    yield shown
    plt.close("all")


def test_every_cloud_has_its_panel_over_the_same_real_points(drawn):
    real, few, many = (np.random.default_rng(n).normal(size=(n, 2)) for n in (7, 8, 9))
    plots.points({"few": few, "many": many}, real=real, alt="clouds", limit=3)
    figure, alt = drawn[0]
    assert alt == "clouds"
    assert [ax.get_title() for ax in figure.axes] == ["few", "many"]
    for ax, cloud in zip(figure.axes, (few, many), strict=True):
        behind, front = (c.get_offsets() for c in ax.collections)
        np.testing.assert_allclose(behind, real)
        np.testing.assert_allclose(front, cloud)
        assert ax.get_xlim() == ax.get_ylim() == (-3, 3)


def test_gains_stand_at_their_value_with_their_interval(drawn):
    table = {
        "50": {"classic": (0.03, 0.01, 0.05), "GAN": (-0.02, -0.04, 0.0)},
        "100": {"classic": (0.02, 0.0, 0.04), "GAN": (-0.03, -0.05, -0.01)},
    }
    plots.gains(table, xlabel="images", ylabel="gain", alt="gains")
    (ax,) = drawn[0][0].axes
    assert [t.get_text() for t in ax.get_xticklabels()] == ["50", "100"]
    for i, arm in enumerate(("classic", "GAN")):
        points, _, (bars,) = ax.containers[i].lines
        assert ax.containers[i].get_label() == arm
        assert list(points.get_ydata()) == [table[n][arm][0] for n in table]
        ends = [[y for _, y in segment] for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, [table[n][arm][1:] for n in table])
    # No two arms on top of each other.
    assert len({float(c.lines[0].get_xdata()[0]) for c in ax.containers}) == 2


def test_refuses():
    with pytest.raises(ShapeError, match="points"):
        plots.points({"a": np.zeros((7, 3))}, real=np.zeros((8, 2)), alt="x")
    with pytest.raises(ShapeError, match="same arms"):
        plots.gains({"a": {"x": (0, 0, 0)}, "b": {"y": (0, 0, 0)}}, xlabel="", ylabel="", alt="x")


def test_a_montage_has_a_named_row_of_pictures_in_one_window(drawn):
    rows = {"real": np.full((3, 7, 8, 1), 9, np.uint8), "made": np.full((3, 7, 8), 200, np.uint8)}
    masks = np.zeros((3, 7, 8), np.uint8)
    masks[1, 2:5, 2:5] = 1
    plots.montage(rows, alt="rows", outlines={"real": masks})
    figure, alt = drawn[0]
    assert alt == "rows"
    assert len(figure.axes) == 6
    assert [ax.get_ylabel() for ax in figure.axes] == ["real", "", "", "made", "", ""]
    for ax, value in zip(figure.axes, [9] * 3 + [200] * 3, strict=True):
        (image,) = ax.images
        assert image.get_clim() == (0, 255)
        assert (image.get_array() == value).all()
    assert [len(ax.collections) for ax in figure.axes] == [0, 1, 0, 0, 0, 0]


def test_a_montage_refuses_unequal_rows():
    with pytest.raises(ShapeError, match="equally many"):
        plots.montage({"a": np.zeros((2, 7, 8)), "b": np.zeros((3, 7, 8))}, alt="x")
    with pytest.raises(ShapeError, match="equally many"):
        plots.montage({}, alt="x")

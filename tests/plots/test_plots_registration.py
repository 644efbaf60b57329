"""The figures of notebook 07 show the field they were given, fold for fold."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from mednb import plots
from mednb.errors import ShapeError

H, W = 8, 9


@pytest.fixture
def drawn(monkeypatch):
    """Collect (figure, alternative text) in place of display."""
    shown = []
    monkeypatch.setattr(
        "mednb.plots.registration.show", lambda figure, *, alt: shown.append((figure, alt))
    )
    yield shown
    plt.close("all")


def fields():
    """Return one field that only shifts, and one that folds in its first columns."""
    u = np.zeros((2, H, W, 2))
    u[0, ..., 0], u[0, ..., 1] = 1.5, -0.5
    u[1, :, :3, 0] = -2 * np.arange(3)
    return u


def test_a_grid_lies_where_the_field_sends_it(drawn):
    images = np.full((2, H, W), 9, np.uint8)
    plots.grids(images, fields(), titles=["shifted", "folded"], every=3, alt="grids")
    figure, alt = drawn[0]
    assert alt == "grids"
    assert [ax.get_title() for ax in figure.axes] == ["shifted", "folded"]
    left, right = figure.axes
    rows, columns = range(0, H, 3), range(0, W, 3)
    assert len(left.lines) == len(rows) + len(columns)
    for line, y in zip(left.lines, rows, strict=False):
        np.testing.assert_allclose(line.get_xdata(), np.arange(W) + 1.5)
        np.testing.assert_allclose(line.get_ydata(), y - 0.5)
    for line, x in zip(left.lines[len(rows) :], columns, strict=True):
        np.testing.assert_allclose(line.get_xdata(), x + 1.5)
        np.testing.assert_allclose(line.get_ydata(), np.arange(H) - 0.5)
    assert (np.diff(right.lines[0].get_xdata()) < 0).any()  # a row that runs back: a fold
    assert left.get_ylim() == (H - 0.5, -0.5)


def test_a_map_of_areas_has_folds_in_a_colour_of_their_own(drawn):
    masks = np.zeros((2, H, W), np.uint8)
    masks[1, 2:5, 2:6] = 1
    plots.jacobians(fields(), outlines=masks, alt="areas")
    figure, _ = drawn[0]
    kept, folded = (ax.images[0] for ax in figure.axes[:2])
    np.testing.assert_allclose(kept.get_array(), 1)
    assert (np.asarray(folded.get_array())[:, :2] == -1).all()
    assert np.allclose(folded.to_rgba(np.array([-1.0, 0.0])), to_rgba(plots.OKABE_ITO[1]))
    assert not np.allclose(folded.to_rgba(0.01), to_rgba(plots.OKABE_ITO[1]))
    assert [len(ax.collections) for ax in figure.axes[:2]] == [0, 1]  # the empty mask has none


def test_a_checkerboard_takes_every_square_from_one_of_two(drawn):
    one, other = np.full((1, H, W), 10, np.uint8), np.full((1, H, W), 20, np.uint8)
    plots.checkerboard(one, other, tiles=3, titles=["both"], alt="board")
    (ax,) = drawn[0][0].axes
    shown = np.asarray(ax.images[0].get_array())
    assert (shown[:3, :3] == 10).all()
    assert (shown[:3, 3:6] == 20).all()
    assert (shown[3:6, :3] == 20).all()
    assert (shown[6:, 6:] == 10).all()
    assert ax.images[0].get_clim() == (0, 255)


def test_losses_of_different_units_share_a_scale_and_keep_their_lowest_point(drawn):
    shifts = np.arange(-3, 4)
    one = {"mse": 7.0 + shifts**2, "mi": -0.01 * (shifts == 1)}
    plots.landscapes(shifts, {"a": one, "b": {"mse": 0 * shifts}}, xlabel="px", truth=1, alt="x")
    left, right = drawn[0][0].axes
    mse, mi, truth = left.lines
    assert list(truth.get_xdata()) == [1, 1]
    np.testing.assert_allclose(mse.get_ydata(), shifts**2 / 9)
    assert shifts[np.argmin(mi.get_ydata())] == 1
    assert (mi.get_ydata().min(), mi.get_ydata().max()) == (0, 1)
    np.testing.assert_array_equal(right.lines[0].get_ydata(), 0)  # a flat loss: no division by 0


def test_one_pair_has_a_column_for_every_method(drawn):
    u = fields()
    moving = np.arange(H * W, dtype=np.uint8).reshape(H, W)
    fixed = np.full((H, W), 200, np.uint8)
    mask = np.zeros((H, W))
    mask[2:5, 2:6] = 1
    plots.registered(fixed, moving, {"a": 0 * u[0], "b": u[1]}, mask=mask, tiles=3, alt="all")
    figure, _ = drawn[0]
    boards, grids, areas = figure.axes[:2], figure.axes[2:4], figure.axes[4:6]
    assert [ax.get_title() for ax in boards] == ["a", "b"]
    board = np.asarray(boards[0].images[0].get_array())
    assert (board[:3, :3] == 200).all()
    np.testing.assert_array_equal(board[:3, 3:6], moving[:3, 3:6])
    assert (np.diff(grids[1].lines[0].get_xdata()) < 0).any()
    assert (np.asarray(areas[1].images[0].get_array())[:, :2] == -1).all()
    assert [len(ax.collections) for ax in areas] == [1, 1]


def test_refuses():
    with pytest.raises(ShapeError, match="fields"):
        plots.registered(np.zeros((H, W)), np.zeros((H, W)), {"a": np.zeros((W, H, 2))}, alt="x")
    with pytest.raises(ShapeError, match="7 values"):
        plots.landscapes(np.arange(7), {"a": {"mse": np.arange(8)}}, xlabel="px", alt="x")
    u = fields()
    with pytest.raises(ShapeError, match="as the fields"):
        plots.grids(np.zeros((2, W, H)), u, alt="x")
    with pytest.raises(ShapeError, match="as the fields"):
        plots.jacobians(u, outlines=np.zeros((1, H, W)), alt="x")
    with pytest.raises(ShapeError, match="axis of cases"):
        plots.checkerboard(np.zeros((H, W)), np.zeros((H, W)), alt="x")
    with pytest.raises(ShapeError, match="2 titles"):
        plots.jacobians(u, titles=["one"], alt="x")

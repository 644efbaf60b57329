"""Outlines lie where the masks end, each class in its own colour; clouds hold their points."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from mednb import plots
from mednb.errors import ShapeError

H, W = 12, 16


@pytest.fixture
def drawn(monkeypatch):
    """Collect (figure, alternative text) in place of display."""
    shown = []
    monkeypatch.setattr(
        "mednb.plots.segmentation.show", lambda figure, *, alt: shown.append((figure, alt))
    )
    yield shown
    plt.close("all")


def cases(n=3):
    images = np.stack([np.full((H, W), 40 * i, np.uint8) for i in range(n)])
    masks = np.zeros((n, H, W), np.uint8)
    masks[0, 2:6, 3:9] = 1
    masks[0, 7:10, 3:13] = 2
    masks[1, 1:4, 2:5] = 2
    return images, masks


def test_every_class_is_outlined_where_it_ends(drawn):
    images, masks = cases()
    plots.overlay(images, masks, classes=["nothing", "cavity", "wall"], alt="hearts", columns=2)
    figure, alt = drawn[0]
    assert alt == "hearts"
    assert len(figure.axes) == 4  # two rows of two, the last one empty
    assert not any(ax.axison for ax in figure.axes)
    for ax, image in zip(figure.axes, images, strict=False):
        assert ax.images[0].get_clim() == (0, 255)
        np.testing.assert_array_equal(ax.images[0].get_array(), image)
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 0]
    assert [len(ax.collections) for ax in figure.axes] == [2, 1, 0, 0]
    boxes = [c.get_paths()[0].get_extents().extents for c in figure.axes[0].collections]
    # Halfway between the last pixel inside and the first outside: left, top, right, bottom.
    np.testing.assert_allclose(boxes, [[2.5, 1.5, 8.5, 5.5], [2.5, 6.5, 12.5, 9.5]])


def test_the_legend_has_the_colours_and_lines_of_the_outlines(drawn):
    images, masks = cases()
    plots.overlay(images[..., None], masks, classes=["nothing", "cavity", "wall"], alt="hearts")
    figure = drawn[0][0]
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["cavity", "wall"]
    of_legend = [to_hex(line.get_color()) for line in legend.get_lines()]
    first, second = figure.axes[0].collections, figure.axes[1].collections
    assert [to_hex(c.get_edgecolor()[0]) for c in first] == of_legend
    assert to_hex(second[0].get_edgecolor()[0]) == of_legend[1]  # the wall's, though it is alone
    assert len(set(of_legend)) == 2
    dashes = [c.get_linestyle()[0][1] for c in first]
    assert dashes[0] is None  # told apart without colour: one runs through, the other is dashed
    assert dashes[1] is not None
    assert [line.get_linestyle() for line in legend.get_lines()] == ["-", "--"]


def test_titles_and_a_mask_that_fills_the_picture(drawn):
    images, masks = cases(2)
    masks[1] = 1  # has no outline inside the picture
    plots.overlay(images, masks, classes=["-", "lesion"], alt="x", titles=["one", "two"], columns=9)
    figure = drawn[0][0]
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]
    assert [len(ax.collections) for ax in figure.axes] == [1, 0]


def test_overlay_refuses():
    images, masks = cases()
    about = {"alt": "x", "classes": ["a", "b"]}
    for wrong in (masks[:2], masks[:, :-1], masks[0]):
        with pytest.raises(ShapeError, match=r"Expected images and masks \(N, H, W\)"):
            plots.overlay(images, wrong, **about)
    with pytest.raises(ShapeError, match=r"Expected images and masks"):
        plots.overlay(images[:0], masks[:0], **about)
    for classes in (["a"], list("abcdef")):
        with pytest.raises(ShapeError, match=f"2 to 5 classes. Received: {len(classes)}"):
            plots.overlay(images, masks, alt="x", classes=classes)
    with pytest.raises(ShapeError, match="3 titles"):
        plots.overlay(images, masks, titles=["one"], **about)


def test_every_pair_has_its_cloud_and_its_labels(drawn):
    rng = np.random.default_rng(0)
    (x, y), (v, w) = rng.normal(size=(2, 7)), rng.normal(size=(2, 9))
    plots.scatter([(x, y, "area, mm", "error"), (v, list(w), "v", "w")], alt="clouds")
    figure, alt = drawn[0]
    assert alt == "clouds"
    assert [(a.get_xlabel(), a.get_ylabel()) for a in figure.axes] == [
        ("area, mm", "error"),
        ("v", "w"),
    ]
    for ax, points in zip(figure.axes, ((x, y), (v, w)), strict=True):
        np.testing.assert_allclose(ax.collections[0].get_offsets(), np.transpose(points))


def test_scatter_refuses():
    for x, y in (([1, 2], [1, 2, 3]), ([[1, 2]], [[1, 2]])):
        with pytest.raises(ShapeError, match=r"Expected two arrays \(N,\)"):
            plots.scatter([(x, y, "x", "y")], alt="x")
    with pytest.raises(ShapeError, match="at least one panel"):
        plots.scatter([], alt="x")

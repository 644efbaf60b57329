"""The figures of notebook 08 carry what they were given, and refuse what they cannot show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mednb.errors import ShapeError
from mednb.plots import reconstruction as plots
from mednb.simulate.kspace import fft2c


@pytest.fixture
def drawn(monkeypatch):
    """Collect (figure, alternative text) in place of display."""
    shown = []
    monkeypatch.setattr(
        "mednb.plots.reconstruction.show", lambda figure, *, alt: shown.append((figure, alt))
    )
    yield shown
    plt.close("all")


def test_k_space_stands_above_its_image_in_decibels(drawn):
    images = np.random.default_rng(0).random((3, 7, 9))
    k = fft2c(images)
    k[1, :, ::2] = 0
    plots.kspace_and_images(k, images, titles=("all", "some", "more"), alt="k-space")
    figure, alt = drawn[0]
    assert alt == "k-space"
    pictures = [ax for ax in figure.axes if ax.get_title() or (ax.images and not ax.get_ylabel())]
    above, below = pictures[:3], pictures[3:6]
    assert [ax.get_title() for ax in above] == ["all", "some", "more"]
    for i in range(3):
        shown = np.asarray(above[i].images[0].get_array())
        on = np.abs(k[i]) > 0
        want = 20 * np.log10(np.abs(k[i][on]) / np.abs(k).max())
        np.testing.assert_allclose(shown[on], want, atol=1e-9)
        assert (shown[~on] < -70).all()  # below the window: black
        assert above[i].images[0].get_clim() == (-70, 0)
        np.testing.assert_array_equal(below[i].images[0].get_array(), images[i])
        assert below[i].images[0].get_clim() == (0, 1)
    assert any("dB" in ax.get_ylabel() for ax in figure.axes)


def test_errors_stand_below_their_image_in_one_window(drawn):
    rng = np.random.default_rng(0)
    truth = rng.random((7, 9))
    made = {"zero-filled": rng.random((7, 9)), "TV": rng.random((7, 9))}
    mask = np.zeros((7, 9))
    mask[2:5, 3:6] = 1
    plots.reconstructions(truth, made, alt="cases", notes={"TV": "30.1 dB"}, outline=mask)
    figure, alt = drawn[0]
    assert alt == "cases"
    above, below = figure.axes[:3], figure.axes[3:6]
    assert [ax.get_title() for ax in above] == ["truth", "zero-filled", "TV\n30.1 dB"]
    for ax, image in zip(above, (truth, *made.values()), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image)
        assert ax.images[0].get_clim() == (0, 1)
        assert len(ax.collections) == 1  # the outline
    assert not below[0].images
    for ax, image in zip(below[1:], made.values(), strict=True):
        np.testing.assert_allclose(ax.images[0].get_array(), np.abs(image - truth))
        assert ax.images[0].get_clim() == (0, 0.3)
    plots.reconstructions(truth, {}, alt="the truth alone", outline=0 * mask)
    assert not drawn[1][0].axes[0].collections


def test_values_stand_in_their_interval(drawn):
    lines = {
        "TV": [(0.7, 0.6, 0.8), (0.6, 0.5, 0.75)],
        "unrolled": [(0.9, 0.8, 0.95), (0.8, 0.6, 0.9)],
    }
    plots.detection(lines, x=(4, 8), xlabel="acceleration", ylabel="AUC", alt="a", reference=0.5)
    (ax,) = drawn[0][0].axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("acceleration", "AUC")
    assert list(ax.get_xticks()) == [4, 8]
    for container, (name, values) in zip(ax.containers, lines.items(), strict=True):
        points, _, (bars,) = container.lines
        assert container.get_label() == name
        np.testing.assert_allclose(points.get_ydata(), [v for v, _, _ in values])
        np.testing.assert_allclose(points.get_xdata(), (4, 8), atol=0.1)
        ends = [[y for _, y in segment] for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, [v[1:] for v in values])
    one, two = (c.lines[0].get_xdata() for c in ax.containers)
    assert (one != two).all()  # beside each other
    assert any(list(line.get_ydata()) == [0.5, 0.5] for line in ax.lines)


def test_refuses():
    k = np.zeros((3, 7, 9), complex)
    for spectra, pictures, titles in (
        (k, np.zeros((3, 7, 8)), "abc"),
        (k, np.zeros((3, 7, 9)), "ab"),
        (k[0], np.zeros((7, 9)), "abcdefg"),
    ):
        with pytest.raises(ShapeError, match=r"N titles. Received"):
            plots.kspace_and_images(spectra, pictures, titles=titles, alt="x")
    with pytest.raises(ShapeError, match=r"images \(7, 9\), as the truth.*'TV': \(7, 8\)"):
        plots.reconstructions(np.zeros((7, 9)), {"TV": np.zeros((7, 8))}, alt="x")
    with pytest.raises(ShapeError, match=r"2 times \(value, low, high\) for 'TV'"):
        plots.detection({"TV": [(0, 0, 0)]}, x=(4, 8), xlabel="", ylabel="", alt="x")

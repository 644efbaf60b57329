"""Figures and films say what they are given, carry their alternative text, and are closed."""

import base64
import io
import re

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from mednb import plots
from mednb.errors import DataError, ShapeError
from mednb.metrics.agreement import agreement
from mednb.models.unet import unet


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    left = plt.get_fignums()
    plt.close("all")
    assert left == []


@pytest.fixture
def drawn(monkeypatch):
    """Collect figures and alternative texts in place of showing them."""
    calls = []
    monkeypatch.setattr("mednb.plots.show", lambda figure, *, alt: calls.append((figure, alt)))
    yield calls
    for figure, _ in calls:
        plt.close(figure)


@pytest.fixture
def shown(monkeypatch):
    """Collect what would be displayed."""
    calls = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, *, raw, metadata: calls.append((data, metadata))
    )
    return calls


def picture(output, kind="image/png"):
    return Image.open(io.BytesIO(base64.b64decode(output[0][kind])))


def test_every_figure_has_its_alternative_text_and_is_closed(shown):
    x = np.arange(5)
    plots.images(np.zeros((3, 7, 8)), alt="three", titles=["a", "b", "c"], window=None)
    plots.curves(x, {"one": x, "two": x**2}, xlabel="t", ylabel="y", alt="lines", marks={"m": 2})
    plots.intervals({"a": (0.5, 0.4, 0.6)}, xlabel="AUC", alt="dots", references={"chance": 0.5})
    found = agreement(x, x + np.array([1, 0, 1, 0, 1]), unit="mL", replicates=50)
    plots.scatter([(x, x, "x", "y")], levels=[found.lower, found.bias], alt="cloud")
    alts = ["three", "lines", "dots", "cloud"]
    assert [m["image/png"]["alt"] for _, m in shown] == alts
    assert all("alt" not in d and d["text/plain"].startswith("<Figure: ") for d, _ in shown)


def test_the_same_figure_is_the_same_bytes(shown):
    for _ in range(2):
        plots.images(np.arange(72).reshape(1, 8, 9), alt="ramp", window=(0, 71))
    assert shown[0][0]["image/png"] == shown[1][0]["image/png"]


def test_all_pictures_share_one_window(shown):
    dark, bright = np.full((8, 9), 10), np.full((8, 9), 200)
    plots.images([dark, bright], alt="two", window=(0, 255))
    pixels = np.asarray(picture(shown[0]).convert("L"))
    row = pixels[pixels.shape[0] // 2]
    levels = [int(v) for v in np.unique(row) if v < 255]
    assert levels[0] == pytest.approx(10, abs=1)
    assert levels[-1] == pytest.approx(200, abs=1)


def test_an_empty_mask_draws_no_outline(shown):
    grey = np.full((2, 8, 9), 128, np.uint8)
    masks = np.zeros((2, 8, 9), np.uint8)
    masks[1, 2:6, 2:6] = 1
    plots.images(grey, outlines=masks, alt="outlined", columns=2)
    rgb = np.asarray(picture(shown[0]).convert("RGB")).astype(int)
    orange = (rgb[..., 0] - rgb[..., 2]) > 60
    half = rgb.shape[1] // 2
    assert not orange[:, :half].any()
    assert orange[:, half:].any()


def test_small_images_are_enlarged_a_whole_number_of_times_to_at_least_150_pixels(shown):
    grey = np.random.default_rng(0).integers(0, 256, (4, 28, 28))
    plots.images(grey, alt="four", titles=["a", "b"], rows=["one", "two"], columns=2)
    pixels = np.asarray(picture(shown[0]).convert("L"))
    first = pixels[23 : 23 + 168, 28 : 28 + 168]  # below the title, right of the row label
    assert np.abs(first - grey[0].repeat(6, 0).repeat(6, 1)).max() <= 1


def test_outlines_of_two_names_are_drawn(shown):
    grey, mask = np.full((1, 64, 64), 90, np.uint8), np.zeros((1, 64, 64), int)
    mask[0, 5:9, 5:9] = 1
    plots.images(grey, outlines={"truth": mask, "prediction": np.roll(mask, 1)}, alt="x")
    pixels = np.asarray(picture(shown[0]).convert("RGB")).astype(int)
    assert np.any(np.ptp(pixels[6 : 6 + 192, 4 : 4 + 192], axis=-1) > 60)


def test_a_film_starts_with_its_poster_plays_three_times_and_keeps_its_frames(shown):
    frames = np.zeros((5, 14, 16), np.uint8)
    frames[np.arange(5), 2 * np.arange(5)] = 51 * np.arange(1, 6)[:, None]
    for _ in range(2):
        plots.film(frames, alt="a bar falls", seconds=0.4, poster=2)
    assert shown[0] == shown[1], "the same frames give the same bytes"
    film = picture(shown[0])
    assert (film.n_frames, film.info["loop"], film.default_image) == (6, 3, True)
    for i, expected in enumerate([2, 0, 1, 2, 3, 4]):
        film.seek(i)
        seen = np.asarray(film.convert("L"))
        assert np.array_equal(seen, frames[expected].repeat(25, 0).repeat(25, 1))
    assert film.info["duration"] == pytest.approx(80)
    assert shown[0][1]["image/png"] == {"alt": "a bar falls", "width": 400}


def test_a_film_of_figures_keeps_white_and_rare_colours(shown):
    def draw(t):
        fig, ax = plt.subplots(figsize=(3, 2))
        ax.imshow(np.random.default_rng(t).normal(size=(60, 60)), cmap="viridis")
        ax.plot([t], [t], "o", color="#D55E00")
        return plots.frame(fig)

    plots.film([draw(t) for t in range(4)], alt="a dot moves", seconds=1)
    film = picture(shown[0])
    film.seek(2)
    colours = np.array([c for _, c in film.convert("RGB").getcolors(1 << 24)])
    for wanted, apart in ((255, 255, 255), 0), ((0xD5, 0x5E, 0x00), 16):
        assert np.abs(colours - wanted).max(axis=1).min() <= apart
    assert not plt.get_fignums()


def test_a_heavy_film_gets_fewer_pixels_and_a_hopeless_one_is_refused(shown, monkeypatch):
    monkeypatch.setattr("mednb.plots._FILM", 100_000)
    snow = np.random.default_rng(0).integers(0, 256, (5, 300, 500), dtype=np.uint8)
    plots.film(snow[:2], alt="snow", seconds=1)
    assert len(base64.b64decode(shown[0][0]["image/png"])) <= 100_000
    assert picture(shown[0]).width in (240, 360)
    with pytest.raises(DataError, match=r"at most 100 kB.*fewer frames"):
        plots.film(snow, alt="snow", seconds=1)


def test_several_curves_of_a_name_are_their_median_and_their_range(drawn):
    several = np.array([[1, 2, 3], [2, 4, 3], [9, 3, 3]])
    plots.curves([0, 1, 2], {"many": several, "one": [5, 5, 5]}, xlabel="x", ylabel="y", alt="a")
    (ax,) = drawn[0][0].axes
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines], [[2, 3, 3], [5, 5, 5]])
    (area,) = ax.collections
    corners = {tuple(c) for c in area.get_paths()[0].vertices}
    assert corners >= {(0, 1), (0, 9), (1, 2), (1, 4), (2, 3)}


def boxes(figure):
    """Return (name, shape) of every box of a drawn network."""
    texts = [" ".join(t.get_text().split()) for t in figure.axes[0].texts if t.get_text()]
    return list(zip(texts[1::2], texts[::2], strict=True))


def test_a_network_is_drawn_as_it_was_built(drawn):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    plots.architecture(model)
    figure, alt = drawn[0]
    expected = [
        ("input", "28 x 28 x 1"),
        ("convolution 3 x 3", "26 x 26 x 32"),
        ("max pooling 2 x 2", "13 x 13 x 32"),
        ("flatten", "5408 numbers"),
        ("dense softmax", "10 numbers"),
    ]
    assert boxes(figure) == expected
    assert all(f"{name} ({shape})" in alt for name, shape in expected)
    assert not figure.axes[0].lines


def test_a_u_net_has_its_levels_and_its_skips(drawn):
    plots.architecture(unet((24, 32, 1), 3, depth=2, width=4))
    ax = drawn[0][0].axes[0]
    maps = ["24 x 32 x 4", "12 x 16 x 8", "6 x 8 x 16", "12 x 16 x 8", "24 x 32 x 4"]
    assert [shape for _, shape in boxes(drawn[0][0])] == ["24 x 32 x 1", *maps, "24 x 32 x 3"]
    centres = sorted({t.get_position()[0] for t in ax.texts if t.get_text()})
    ends = sorted((line.get_xdata()[0], line.get_xdata()[-1]) for line in ax.lines)
    joined = [(centres[1], centres[5]), (centres[2], centres[4])]
    np.testing.assert_allclose(ends, joined, atol=6)


def test_a_shortcut_with_weights_is_a_skip_and_no_box(drawn):
    layers = keras.layers
    image = keras.Input((8, 8, 4))
    x = layers.Conv2D(6, 3, padding="same")(image)
    x = layers.Conv2D(6, 3, padding="same")(x)
    x = layers.Add()([x, layers.Conv2D(6, 1)(image)])
    plots.architecture(keras.Model(image, layers.Conv2D(1, 1)(x)))
    names = [name for name, _ in boxes(drawn[0][0])]
    assert names == ["input", "2 x convolution 3 x 3", "convolution 1 x 1"]
    assert len(drawn[0][0].axes[0].lines) == 1


def test_refuses():
    with pytest.raises(DataError, match="empty alt"):
        plots.show(plt.figure(), alt=" ")
    with pytest.raises(ShapeError, match="Expected images"):
        plots.images(np.zeros(5), alt="nothing")
    with pytest.raises(ShapeError, match="Expected 2 of titles"):
        plots.images(np.zeros((2, 5, 5)), alt="two", titles=["a", "b", "c"])
    with pytest.raises(ShapeError, match="all of one size"):
        plots.film([np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)], alt="x", seconds=1)
    with pytest.raises(DataError, match="uint8"):
        plots.film(np.zeros((2, 4, 4)), alt="x", seconds=1)


def test_choice_shows_one_image_at_a_time_and_needs_no_kernel(monkeypatch):
    calls = []
    monkeypatch.setattr("IPython.display.display", lambda data, *, raw: calls.append(data))
    rng = np.random.default_rng(0)
    pictures = {name: rng.integers(0, 256, (5, 7), dtype=np.uint8) for name in ("a <b>", "c")}
    plots.choose(pictures, alt="noise")
    page = calls[0]["text/html"]
    assert page.count(" checked>") == 1
    assert "<script" not in page
    assert re.findall(r'alt="([^"]*)"', page) == ["noise: a &lt;b&gt;.", "noise: c."]
    for number, picture in enumerate(pictures.values()):
        data = re.findall(rf'class="n{number}"[^>]*base64,([^"]*)"', page)[0]
        np.testing.assert_array_equal(Image.open(io.BytesIO(base64.b64decode(data))), picture)
        assert re.search(rf"#choose-\w+-{number}:checked~div \.n{number}\{{display:block\}}", page)

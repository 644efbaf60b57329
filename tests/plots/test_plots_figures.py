"""Figures carry their alternative text, hide what they must, and refuse what they cannot show."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.display import display  # noqa: F401  (patched below)
from PIL import Image

from mednb import plots
from mednb.errors import DataError, ShapeError
from mednb.metrics.agreement import agreement
from mednb.types import Clip


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
    plots.images(np.zeros((3, 7, 8)), alt="three", titles=["a", "b", "c"])
    plots.curves(x, {"one": x, "two": x**2}, xlabel="t", ylabel="y", alt="lines", marks={"m": 2})
    plots.intervals({"a": (0.5, 0.4, 0.6)}, xlabel="AUC", alt="dots", references={"chance": 0.5})
    plots.confusion([[3, 1], [0, 2]], ["no", "yes"], alt="counts")
    found = agreement(x, x + np.array([1, 0, 1, 0, 1]), unit="mL", replicates=50)
    plots.bland_altman(x, x + 0.5, found, quantity="volume", alt="pairs")
    alts = ["three", "lines", "dots", "counts", "pairs"]
    assert [m["image/png"]["alt"] for _, m in shown] == alts
    assert all("alt" not in d and d["text/plain"].startswith("<Figure: ") for d, _ in shown)


def test_the_same_figure_is_the_same_bytes(shown):
    for _ in range(2):
        plots.images(np.arange(72).reshape(1, 8, 9), alt="ramp", window=(0, 71))
    assert shown[0][0]["image/png"] == shown[1][0]["image/png"]


def test_all_pictures_share_one_window(shown):
    dark, bright = np.full((8, 9), 10), np.full((8, 9), 200)
    plots.images([dark, bright], alt="two", window=(0, 255), width=4)
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


def test_a_clip_plays_as_a_gif_of_all_frames_at_its_own_speed(shown):
    frames = np.zeros((5, 14, 16, 1), np.uint8)
    frames[np.arange(5), 2 * np.arange(5)] = 255
    plots.play(Clip(frames, seconds_per_frame=0.05), alt="a bar falls", width=32)
    gif = picture(shown[0], "image/gif")
    assert (gif.n_frames, gif.size, gif.info["duration"]) == (5, (32, 28), 50)
    assert shown[0][1]["image/gif"]["alt"] == "a bar falls"


def test_without_a_reader_the_first_choice_is_drawn_once(monkeypatch):
    monkeypatch.setenv("MEDNB_STATIC", "1")
    drawn = []
    plots.interactive(lambda **c: drawn.append(c), kernel=["sobel", "mean"], size=(3, 9, 2))
    assert drawn == [{"kernel": "sobel", "size": 3}]


def test_refuses():
    with pytest.raises(DataError, match="empty alt"):
        plots.show(plt.figure(), alt=" ")
    with pytest.raises(ShapeError, match="Expected pictures"):
        plots.images(np.zeros(5), alt="nothing")
    with pytest.raises(ShapeError, match="2 x 2"):
        plots.confusion(np.zeros((3, 3)), ["no", "yes"], alt="counts")

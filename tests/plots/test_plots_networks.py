"""The drawing of a U-Net shows the maps the network has."""

import keras
import matplotlib.pyplot as plt
import pytest
from keras import layers

from mednb import plots
from mednb.errors import ShapeError
from mednb.models.unet import unet


@pytest.fixture
def drawn(monkeypatch):
    """Collect (figure, alternative text) in place of display."""
    shown = []
    monkeypatch.setattr(
        "mednb.plots.networks.show", lambda figure, *, alt: shown.append((figure, alt))
    )
    yield shown
    plt.close("all")


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_every_map_is_named_with_its_size(drawn, norm):
    plots.u_shape(unet((24, 32, 1), 3, depth=2, width=4, norm=norm), alt="two levels")
    [(figure, alt)] = drawn
    assert alt == "two levels"
    texts = [t.get_text().replace("\n", " ") for t in figure.axes[0].texts if t.get_text()]
    blocks = ["24 x 32 x 4", "12 x 16 x 8", "6 x 8 x 16", "12 x 16 x 8", "24 x 32 x 4"]
    assert texts == ["image 24 x 32 x 1", "logits 24 x 32 x 3", *blocks]
    assert len(figure.legends[0].get_texts()) == 3


def test_what_is_no_u_net_is_refused():
    flat = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Activation("relu")]
    )
    with pytest.raises(ShapeError, match="Expected a U-Net"):
        plots.u_shape(flat, alt="none")

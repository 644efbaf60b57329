"""Pictures of motion: what is read off the line, alternative texts, refusals."""

import numpy as np
import pytest

from mednb import plots
from mednb.errors import DataError, ShapeError
from mednb.types import Clip


@pytest.fixture
def shown(monkeypatch):
    """Collect what would be displayed."""
    calls = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, *, raw, metadata: calls.append((data, metadata))
    )
    return calls


def clip(t=7, h=8, w=9):
    """Pixel (row, column) of frame k holds 20 k + row."""
    value = 20 * np.arange(t)[:, None, None] + np.arange(h)[:, None]
    frames = np.broadcast_to(value, (t, h, w)).astype(np.uint8)[..., None]
    return Clip(frames.copy(), seconds_per_frame=0.04, spacing_mm=(0.5, 0.5))


def test_m_mode_reads_the_line_in_every_frame(shown):
    picture = plots.m_mode(clip(), (1, 4), (6, 4), alt="a wall")
    np.testing.assert_allclose(picture, np.arange(1, 7)[:, None] + 20 * np.arange(7))
    slanted = plots.m_mode(clip(), (0, 0), (6, 8), alt="slanted")
    np.testing.assert_allclose(slanted[:, 2], 40 + np.linspace(0, 6, 11), atol=0.1)
    assert [m["image/png"]["alt"] for _, m in shown] == ["a wall", "slanted"]


def test_every_figure_has_its_alternative_text(shown):
    plots.motion(np.zeros((2, 8, 9)), np.ones((2, 8, 9, 2)), alt="arrows", titles=["a", "b"])
    assert [m["image/png"]["alt"] for _, m in shown] == ["arrows"]


def test_short_arrows_are_left_out(shown):
    still, moves = np.zeros((8, 9, 2)), np.zeros((8, 9, 2))
    moves[..., 0] = 2.0
    for field, least in ((still, 0.5), (moves, 0.5), (moves, 3.0)):
        plots.motion([np.zeros((8, 9))], [field], alt="x", least=least)
    pictures = [data["image/png"] for data, _ in shown]
    assert pictures[0] == pictures[2] != pictures[1]


def test_errors_teach(shown):
    with pytest.raises(DataError, match="frame of 8 x 9"):
        plots.m_mode(clip(), (0, 0), (8, 0), alt="x")
    with pytest.raises(DataError, match="two points"):
        plots.m_mode(clip(), (3, 3), (3, 3), alt="x")
    with pytest.raises(ShapeError, match=r"\(H, W, 2\)"):
        plots.motion([np.zeros((8, 9))], [np.zeros((9, 8, 2))], alt="x")
    assert shown == []

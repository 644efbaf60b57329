"""Pictures of motion: alternative texts, refusals."""

import numpy as np
import pytest

from mednb import plots
from mednb.errors import ShapeError


@pytest.fixture
def shown(monkeypatch):
    """Collect what would be displayed."""
    calls = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, *, raw, metadata: calls.append((data, metadata))
    )
    return calls


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
    with pytest.raises(ShapeError, match=r"\(H, W, 2\)"):
        plots.motion([np.zeros((8, 9))], [np.zeros((9, 8, 2))], alt="x")
    assert shown == []

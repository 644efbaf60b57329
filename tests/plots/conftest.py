"""Every figure is closed again: one left open would show up in the reader's next cell."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def no_figure_left_open() -> Iterator[None]:
    yield
    left = plt.get_fignums()
    plt.close("all")
    assert left == []

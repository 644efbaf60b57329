import numpy as np

from mednb import simulate
from mednb.data import scanned

BOTH = ("cardiac-2MHz", "cardiac-2.5MHz")


def test_it_is_what_the_simulator_makes_and_then_kept(monkeypatch):
    made = scanned.load(3, seed=5, scanner=BOTH)
    direct = simulate.hearts(
        3, seed=5, frames=8, seconds_per_step=scanned.SECONDS_PER_STEP, scanner=BOTH
    )
    np.testing.assert_array_equal(made.clips, direct.clips)
    np.testing.assert_array_equal(made.masks, direct.masks)
    monkeypatch.setattr(simulate, "hearts", None)  # a second call reads the file
    np.testing.assert_array_equal(scanned.load(3, seed=5, scanner=BOTH).clips, made.clips)


def test_another_scanner_is_another_file_with_the_same_hearts():
    one, other = (scanned.load(2, seed=5, scanner=name) for name in BOTH)
    np.testing.assert_array_equal(one.targets["volume"], other.targets["volume"])
    assert not np.array_equal(one.clips, other.clips)

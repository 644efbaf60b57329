"""Numbers of a film by hand, the leak that frames make, and verdicts by patient."""

import numpy as np
import pytest

from mednb.errors import ShapeError
from mednb.train.films import border, by_patient, nearest_frame, numbers


def test_numbers_by_hand():
    film = np.zeros((4, 8, 10, 1))
    film[:, 4:] = 40
    film[:, 4:, 3] = 100  # one streak
    film[1::2] += 10
    brightness, contrast, change, streaks, ratio = numbers(film)
    assert brightness == pytest.approx((4 * 40 + 4 * 6) / 8 + 5)
    assert contrast == pytest.approx(film.std())
    assert change == pytest.approx(5)
    assert streaks == pytest.approx(np.percentile([45] * 9 + [105], 90) - 45)
    assert ratio == pytest.approx((46 + 5) / 5)
    assert numbers(film[::-1]) == pytest.approx(numbers(film))
    assert border(np.pad(film + 10, ((0, 0), (0, 0), (0, 10), (0, 0)))) == (0.5,)


def films_of(patients, rng):
    """Each patient's films share a pattern; their own noise is small."""
    looks = {p: rng.integers(40, 200, (24, 24)) for p in np.unique(patients)}
    return [
        (looks[p] + rng.integers(0, 20, (9, 24, 24))).astype(np.uint8)[..., None] for p in patients
    ]


def test_frames_leak_and_patients_do_not(rng):
    """Patterns that have nothing to do with the label: perfect by frames, chance by patient."""
    patients = np.repeat(np.arange(30), 2)
    ill = rng.permutation(np.arange(30) % 2 == 0)[patients]
    mixed, apart, most = nearest_frame(films_of(patients, rng), ill, patients, seed=0)
    assert mixed == 1.0
    assert 0.2 < apart < 0.8
    assert most == pytest.approx(0.5)


def test_by_patient_counts_patients(rng):
    patients = np.repeat(np.arange(20), 3)
    ill = (np.arange(20) % 2 == 0)[patients]
    clear = np.where(ill, 3.0, -3.0)[:, None] + rng.normal(size=(60, 1))
    found = by_patient(clear, ill, patients)
    assert found.value == 1.0
    assert found.low == pytest.approx(20 / (20 + 1.96**2), abs=1e-3)  # Wilson, 20 of 20
    nothing = by_patient(rng.normal(size=(60, 1)), ill, patients)
    assert nothing.low < 0.5


def test_errors_teach():
    with pytest.raises(ShapeError, match=r"\(T, H, W, C\)"):
        numbers(np.zeros((8, 10)))

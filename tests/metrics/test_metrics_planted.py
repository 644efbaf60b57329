"""Whether a planted lesion is found: chance where nothing is, certain where it is plain."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mednb.errors import DataError, ShapeError
from mednb.metrics.planted import contrast, contrast_map, invented, survival

N, H, W, RADIUS = 24, 19, 23, 3.0
ROW, COLUMN = np.full(N, 9.0), np.linspace(8, 14, N)


def disc(row, column, radius=RADIUS):
    y, x = np.mgrid[:H, :W]
    return (np.hypot(y - row, x - column) <= radius).astype(float)


def lesions(strength=1.0):
    return strength * np.stack([disc(r, c) for r, c in zip(ROW, COLUMN, strict=True)])


def noise(rng, sigma=0.1):
    return 0.5 + rng.normal(scale=sigma, size=(N, H, W))


def found(ill, well, true=1.0, groups=None):
    return survival(
        ill,
        well,
        row=ROW,
        column=COLUMN,
        radius=RADIUS,
        true_contrast=np.full(N, true),
        groups=np.arange(N) if groups is None else groups,
    )


def test_contrast_is_the_mean_of_a_disc_minus_that_of_a_ring(rng):
    x = noise(rng)
    got = contrast(x, ROW, COLUMN, radius=RADIUS)
    for i in range(N):
        inside, ring = [], []
        for y in range(H):
            for z in range(W):
                far = ((y - ROW[i]) ** 2 + (z - COLUMN[i]) ** 2) ** 0.5
                if far <= 3:
                    inside.append(x[i, y, z])
                elif 4 < far <= 6:
                    ring.append(x[i, y, z])
        assert got[i] == pytest.approx(np.mean(inside) - np.mean(ring), abs=1e-12)
    np.testing.assert_allclose(contrast(lesions(0.3) + 0.5, ROW, COLUMN, radius=RADIUS), 0.3)
    np.testing.assert_allclose(
        contrast(lesions(0) + 0.5, ROW, COLUMN, radius=RADIUS), 0, atol=1e-12
    )


def test_beyond_the_border_does_not_count():
    corner = np.full((1, H, W), 0.7)
    np.testing.assert_allclose(contrast(corner, [0.0], [0.0], radius=RADIUS), 0, atol=1e-12)


def test_the_map_is_the_contrast_at_every_pixel(rng):
    x = noise(rng)[:2]
    x[:, :, 12:] *= 2  # not symmetric: a kernel upside down would show
    found = contrast_map(x, radius=2.5)
    assert found.shape == x.shape
    for row, column in ((9, 9), (8, 14), (6, 6), (12, 16)):
        want = contrast(x, np.full(2, row), np.full(2, column), radius=2.5)
        np.testing.assert_allclose(found[:, row, column], want, atol=1e-12)


def test_the_auc_is_scikit_learns(rng):
    ill, well = noise(rng, 0.3) + lesions(0.1), noise(rng, 0.3)
    result = found(ill, well, true=0.1)
    values = [contrast(x, ROW, COLUMN, radius=RADIUS) for x in (ill, well)]
    auc = roc_auc_score(np.repeat([1, 0], N), np.concatenate(values))
    assert result.auc.value == pytest.approx(auc)
    assert 0.5 < auc < 1
    assert result.auc.low < auc < result.auc.high
    assert result.kept.value == pytest.approx((values[0] - values[1]).mean() / 0.1)
    # A dark lesion is found as well as a bright one.
    dark = found(1 - ill, 1 - well, true=-0.1)
    assert dark.auc.value == pytest.approx(auc)
    assert dark.kept.value == pytest.approx(result.kept.value)


def test_chance_where_nothing_is_planted():
    aucs, inside = [], 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        result = found(noise(rng), noise(rng))
        aucs.append(result.auc.value)
        inside += result.auc.low <= 0.5 <= result.auc.high
        assert result.kept.low <= result.kept.value <= result.kept.high
        assert abs(result.kept.value) < 0.05
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.05)
    assert inside >= 34
    same = noise(np.random.default_rng(0))
    assert found(same, same).auc.value == 0.5  # ties count half
    assert tuple(found(same, same).kept) == (0, 0, 0)


@pytest.mark.parametrize("left", [1.0, 0.5])
def test_certain_where_it_is_plain(rng, left):
    """The AUC does not ask how much of the contrast is left; ``kept`` does."""
    result = found(noise(rng, 0.01) + lesions(left), noise(rng, 0.01))
    assert tuple(result.auc) == (1, 1, 1)
    assert result.kept.value == pytest.approx(left, abs=0.01)


def test_intervals_are_by_phantom(rng):
    ill, well = noise(rng, 0.3) + lesions(0.1), noise(rng, 0.3)
    alone = found(ill, well, true=0.1)
    few = found(ill, well, true=0.1, groups=np.arange(N) // 6)
    assert few.auc.value == alone.auc.value
    assert (few.kept.low, few.kept.high) != (alone.kept.low, alone.kept.high)
    assert (few.auc.low, few.auc.high) != (alone.auc.low, alone.auc.high)


def test_what_appears_from_nowhere_is_counted(rng):
    truth = np.full((N, H, W), 0.5)
    tissue = np.zeros((N, H, W), np.uint8)
    tissue[:, 3:-3, 3:-3] = 1
    about = {"radius": RADIUS, "least": 0.15}
    assert invented(truth, truth, tissue, **about).value == 0
    some = truth.copy()
    some[:6] += lesions(0.3)[:6]  # brighter
    some[6:8] -= lesions(0.3)[6:8]  # darker
    result = invented(some, truth, tissue, **about)
    assert result.value == 8 / N
    assert result.low < 8 / N < result.high
    # As strong in the truth: nothing is invented. Outside the tissue: nobody looks.
    assert invented(some, some, tissue, **about).value == 0
    assert invented(some, truth, 0 * tissue, **about).value == 0
    assert invented(some, truth, tissue, radius=RADIUS, least=0.35).value == 0
    # The disc has to fit into the tissue.
    small = np.zeros_like(tissue)
    small[:, 8:11] = 1
    assert invented(some, truth, small, **about).value == 0


def test_errors_teach(rng):
    x = noise(rng)
    with pytest.raises(ShapeError, match=r"one row and column for each.*\(23,\)"):
        contrast(x, ROW[:23], COLUMN[:23], radius=RADIUS)
    with pytest.raises(ShapeError, match=r"\(N, H, W\)"):
        contrast(x[0], ROW, COLUMN, radius=RADIUS)
    for row, radius in ((np.full(N, np.nan), RADIUS), (ROW + 100, RADIUS), (ROW + 0.5, 0.3)):
        with pytest.raises(DataError, match=r"Received: one without.*NaN"):
            contrast(x, row, COLUMN, radius=radius)
    with pytest.raises(DataError, match="true contrast is not 0"):
        found(x, x, true=0.0)
    with pytest.raises(ShapeError, match=r"24 true contrasts. Received: \(2,\)"):
        survival(x, x, row=ROW, column=COLUMN, radius=3, true_contrast=[1, 1], groups=np.arange(N))
    with pytest.raises(ShapeError, match=r"one shape. Received: \(24, 19, 23\)"):
        invented(x, x[:2], x > 0, radius=RADIUS, least=0.1)

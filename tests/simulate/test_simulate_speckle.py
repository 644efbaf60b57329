"""Many looks at one tissue: the anatomy stays, the speckle does not."""

import numpy as np
import pytest

from mednb import simulate

N, COUNT, SIZE = 3, 6, 32


@pytest.fixture(scope="module")
def split():
    return simulate.looks(N, seed=3, count=COUNT, size=SIZE)


def test_what_a_look_is(split):
    assert split.clips.shape == (N, COUNT, SIZE, SIZE, 1)
    assert split.images.shape == (N, SIZE, SIZE, 1)
    assert split.masks.shape == (N, SIZE, SIZE)
    assert split.clips.dtype == split.images.dtype == split.masks.dtype == np.uint8
    assert split.labels.dtype == np.int64
    np.testing.assert_array_equal(split.images, split.clips[:, 0])
    assert split.groups.tolist() == [f"phantom-3-{i:05d}" for i in range(N)]
    np.testing.assert_array_equal(split.masks.any(axis=(1, 2)), split.labels > 0)
    assert (split.labels > 0).any()
    assert (split.labels == 0).any()
    assert np.ptp(split.clips) > 100


def test_the_tissue_stays_and_the_speckle_is_drawn_anew(split):
    looks = split.clips[..., 0].astype(float)
    for i in range(N):
        assert len({look.tobytes() for look in split.clips[i]}) == COUNT
        # Between two means of three looks there is less left than between two looks.
        halves = looks[i].reshape(2, COUNT // 2, SIZE, SIZE).mean(axis=1)
        one, mean = np.std(looks[i, 0] - looks[i, 1]), np.std(halves[0] - halves[1])
        assert mean / one == pytest.approx(1 / np.sqrt(COUNT // 2), rel=0.15)
        # What two means have in common is this phantom, not another.
        own = np.corrcoef(halves[0].ravel(), halves[1].ravel())[0, 1]
        assert own > 0.7
        others = np.delete(np.arange(N), i)
        assert all(
            np.corrcoef(halves[0].ravel(), looks[j].mean(axis=0).ravel())[0, 1] < own - 0.05
            for j in others
        )


def test_a_lesion_is_seen_where_its_mask_is(split):
    """Darker or brighter than what lies around it, more so than any place is by speckle."""
    from scipy.ndimage import binary_dilation

    for i in np.flatnonzero(split.labels > 0):
        mask = split.masks[i] > 0
        ring = binary_dilation(mask, iterations=4) & ~binary_dilation(mask, iterations=1)
        mean = split.clips[i, ..., 0].mean(axis=0)
        assert abs(mean[mask].mean() - mean[ring].mean()) > 10


def test_phantoms_are_those_of_lesions(split):
    first = simulate.lesions(N, seed=3, size=SIZE, views=1)
    np.testing.assert_array_equal(split.masks, first.masks)
    np.testing.assert_array_equal(split.labels, first.labels)


def test_seeded_and_independent_of_the_counts(split):
    fewer = simulate.looks(2, seed=3, count=3, size=SIZE)
    np.testing.assert_array_equal(fewer.clips, split.clips[:2, :3])
    np.testing.assert_array_equal(fewer.masks, split.masks[:2])
    other = simulate.looks(1, seed=4, count=1, size=SIZE)
    assert (other.clips[0, 0] != split.clips[0, 0]).any()

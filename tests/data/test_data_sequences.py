import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mednb.data import sequences
from mednb.data.sequences import Fit, key_of, prepare, rows_of, take_frames, window
from mednb.errors import DataError, ShapeError

COLUMNS = {"clips": ("u1", (3, 7, 8, 1)), "steps": ("<i8", ())}


class Maker:
    """Makes rows, and remembers which."""

    def __init__(self, broken: tuple[int, ...] = (), stop: int = -1) -> None:
        self.asked: list[int] = []
        self.broken, self.stop = broken, stop

    def __call__(self, i: int) -> dict[str, np.ndarray]:
        self.asked.append(i)
        if i == self.stop:
            raise KeyboardInterrupt
        if i in self.broken:
            raise DataError(f"film {i} is cut off")
        return {"clips": np.full((3, 7, 8, 1), i, "u1"), "steps": np.array(i)}


def made(folder: Path, maker: Maker, n: int = 9, **options):
    cases = [f"case {i}" for i in range(n)]
    return prepare(folder, "films", "key", cases, COLUMNS, maker, **options)


class TestWindow:
    @pytest.mark.parametrize(
        ("n", "frames", "period", "expected"),
        [
            (9, 3, 2, [2, 4, 6]),
            (9, 3, 1, [3, 4, 5]),
            (9, 9, 1, list(range(9))),
            (10, 3, 2, [2, 4, 6]),
            (4, 3, 2, [0, 2, -1]),
            (1, 3, 2, [0, -1, -1]),
            (7, 1, 5, [3]),
        ],
    )
    def test_by_hand(self, n, frames, period, expected):
        assert window(n, frames, period).tolist() == expected

    @given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 5))
    def test_around_the_middle_and_within(self, n, frames, period):
        index = window(n, frames, period)
        inside = index[index >= 0]
        assert len(index) == frames
        assert len(inside) == min(frames, -(-n // period))
        assert (np.diff(inside) == period).all()
        if len(inside) == frames:
            assert 0 <= (n - 1 - inside[-1]) - inside[0] <= 1

    @pytest.mark.parametrize("wrong", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
    def test_nothing_to_take(self, wrong):
        with pytest.raises(DataError, match="1 or more"):
            window(*wrong)

    def test_black_where_there_is_no_frame(self, rng):
        frames = rng.integers(1, 256, (4, 7, 8), dtype=np.uint8)
        taken = take_frames(frames, np.array([1, 3, -1]))
        np.testing.assert_array_equal(taken[:2], frames[[1, 3]])
        assert taken[2].max() == 0
        assert frames.min() > 0  # the film itself stays


class TestFit:
    def test_of_the_same_size_nothing_changes(self, rng):
        image = rng.integers(0, 256, (9, 9), dtype=np.uint8)
        np.testing.assert_array_equal(Fit(9, 9, 9).image(image), image)

    def test_shrinking_is_the_mean_of_what_a_pixel_covers(self, rng):
        """By four, not by two: there bilinear interpolation gives the same."""
        image = rng.integers(0, 256, (16, 16), dtype=np.uint8)
        means = image.reshape(4, 4, 4, 4).mean(axis=(1, 3))
        assert np.abs(Fit(16, 16, 4).image(image) - means).max() <= 0.5

    @pytest.mark.parametrize(
        ("height", "width", "spacing", "inner"),
        [
            (20, 10, (1.0, 1.0), (0, 4, 16, 8)),
            (10, 20, (1.0, 1.0), (4, 0, 8, 16)),
            (20, 10, (1.0, 2.0), (0, 0, 16, 16)),  # square once its pixels are
            (1, 500, (1.0, 1.0), (7, 0, 1, 16)),
        ],
    )
    def test_shape_is_kept_and_black_beside_it(self, height, width, spacing, inner):
        fit = Fit(height, width, 16, spacing)
        assert fit.inner == inner
        out = fit.image(np.full((height, width), 200, np.uint8))
        top, left, h, w = inner
        assert (out[top : top + h, left : left + w] == 200).all()
        assert np.count_nonzero(out) == h * w

    def test_points_go_where_the_pixels_go(self):
        for y, x in ((3, 17), (12, 4), (0, 0)):
            image = np.zeros((20, 30), np.uint8)
            image[y, x] = 255
            fit = Fit(20, 30, 90)
            out = fit.image(image).astype(float)
            rows, columns = np.mgrid[:90, :90]
            centre = [(out * columns).sum() / out.sum(), (out * rows).sum() / out.sum()]
            found = fit.points(np.array([[x, y]], float))[0]
            if (y, x) != (0, 0):  # at the border the interpolation is cut off
                np.testing.assert_allclose(found, centre, atol=0.1)

    def test_labels_are_never_mixed(self, rng):
        mask = rng.choice(np.array([0, 1, 3], np.uint8), (20, 30))
        for size in (7, 30, 64):
            assert set(np.unique(Fit(20, 30, size).labels(mask))) <= {0, 1, 3}
        halves = np.zeros((10, 10), np.uint8)
        halves[:, 5:] = 2
        out = Fit(10, 10, 4).labels(halves)
        np.testing.assert_array_equal(out, [[0, 0, 2, 2]] * 4)

    def test_wrong_sizes(self):
        with pytest.raises(DataError, match="1 pixel"):
            Fit(9, 9, 0)
        with pytest.raises(ShapeError, match="9 x 8"):
            Fit(9, 8, 7).image(np.zeros((9, 9), np.uint8))


class TestPrepare:
    def test_made_once(self, tmp_path, capsys):
        maker = Maker()
        first, second = made(tmp_path, maker), made(tmp_path, maker)
        assert maker.asked == list(range(9))
        for found in (first, second):
            np.testing.assert_array_equal(found.arrays["steps"], np.arange(9))
            np.testing.assert_array_equal(found.arrays["clips"][:, 1, 2, 3, 0], np.arange(9))
            assert not found.arrays["clips"].flags.writeable
        assert capsys.readouterr().out.count("\n") == 1

    def test_an_interruption_costs_no_more_than_the_last_cases(self, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path, Maker(stop=5))
        maker = Maker()
        found = made(tmp_path, maker)
        assert maker.asked[0] > 0  # not from the start
        np.testing.assert_array_equal(found.arrays["steps"], np.arange(9))
        np.testing.assert_array_equal(found.arrays["clips"][:, 0, 0, 0, 0], np.arange(9))

    def test_a_piece_that_ends_within_a_row(self, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path, Maker(stop=5))
        (part,) = tmp_path.glob(".mednb/*/clips.npy.part")
        os.truncate(part, part.stat().st_size - 11)
        found = made(tmp_path, Maker())
        np.testing.assert_array_equal(found.arrays["clips"][:, 0, 0, 0, 0], np.arange(9))

    def test_broken_cases_stop_it_or_are_left_out(self, tmp_path):
        with pytest.raises(DataError, match="film 3 is cut off"):
            made(tmp_path, Maker(broken=(3, 7)))
        found = made(tmp_path, Maker(broken=(3, 7)), skip_broken=True)
        assert found.kept.tolist() == [0, 1, 2, 4, 5, 6, 8]
        np.testing.assert_array_equal(found.arrays["steps"], found.kept)
        assert [b[:6] for b in found.broken] == ["case 3", "case 7"]
        with pytest.raises(DataError, match="film 3"):  # what is kept remembers it
            made(tmp_path, Maker())

    @pytest.mark.parametrize("damage", [b"", b"junk"])
    def test_kept_files_that_are_damaged_are_made_again(self, tmp_path, damage):
        made(tmp_path, Maker())
        (path,) = tmp_path.glob(".mednb/*/clips.npy")
        path.write_bytes(damage)
        maker = Maker()
        np.testing.assert_array_equal(
            made(tmp_path, maker).arrays["clips"][:, 0, 0, 0, 0], np.arange(9)
        )
        assert maker.asked == list(range(9))

    def test_large_sets_are_mapped(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sequences, "_IN_MEMORY", 100)
        found = made(tmp_path, Maker())
        assert isinstance(found.arrays["clips"], np.memmap)
        np.testing.assert_array_equal(found.arrays["steps"], np.arange(9))

    def test_nowhere_to_write(self, tmp_path, monkeypatch):
        """A file stands where the folder would have to be: true for root, too."""
        (tmp_path / ".mednb").write_bytes(b"")
        maker = Maker()
        np.testing.assert_array_equal(made(tmp_path, maker).arrays["steps"], np.arange(9))
        monkeypatch.setattr(sequences, "_IN_MEMORY", 100)
        with pytest.raises(DataError, match="MEDNB_DATA"):
            made(tmp_path, maker)

    def test_a_read_only_folder_is_left_alone(self, tmp_path):
        shared = tmp_path / "shared"
        shared.mkdir()
        shared.chmod(0o555)
        made(shared, Maker())
        assert list(shared.iterdir()) == []
        shared.chmod(0o755)

    def test_no_room(self, tmp_path, monkeypatch):
        usage = type("Usage", (), {"free": 10})
        monkeypatch.setattr(sequences.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(DataError, match="10 B are free"):
            made(tmp_path, Maker())

    def test_a_row_of_another_shape(self, tmp_path):
        wrong = lambda i: {"clips": np.zeros((3, 7, 9, 1), "u1"), "steps": np.array(i)}  # noqa: E731
        with pytest.raises(ShapeError, match="case 0"):
            prepare(tmp_path, "films", "key", ["case 0"], COLUMNS, wrong)


def test_the_key_knows_parameters_and_files(tmp_path):
    path = tmp_path / "a.avi"
    path.write_bytes(b"1")
    keys = {key_of({"size": 7}, [path], tmp_path), key_of({"size": 8}, [path], tmp_path)}
    path.write_bytes(b"12")
    keys |= {key_of({"size": 7}, [path], tmp_path), key_of({"size": 7}, [], tmp_path)}
    assert len(keys) == 4


def test_rows_of_a_split():
    splits = ["train"] * 3 + ["val"] * 2
    assert rows_of("val", splits, hint="") == slice(3, 5)
    with pytest.raises(DataError, match=r"none in test, 5 in all. Add some"):
        rows_of("test", splits, hint="Add some.")

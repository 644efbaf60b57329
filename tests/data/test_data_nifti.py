"""Files come from nifti_bytes.py, which packs fields in order; the reader uses offsets."""

import gzip
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nifti_bytes import CODES, nifti

from mednb.data import read_nifti
from mednb.errors import DataError, MednbError, ShapeError

W, H, T = 7, 8, 9


def saved(tmp_path: Path, content: bytes, name: str = "a.nii") -> Path:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return path


@pytest.fixture
def film(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (W, H, T), dtype=np.uint8)


class TestPixels:
    @pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.dat"])
    def test_first_axis_is_the_width(self, tmp_path, film, name):
        clip = read_nifti(saved(tmp_path, nifti(film), name))
        assert clip.frames.shape == (T, H, W, 1)
        for x, y, t in ((0, 0, 0), (6, 0, 0), (0, 7, 0), (0, 0, 8), (3, 5, 7)):
            assert clip.frames[t, y, x, 0] == film[x, y, t]
        np.testing.assert_array_equal(clip.frames[..., 0], film.transpose(2, 1, 0))

    @pytest.mark.parametrize("kind", [k for k in CODES if k != "rgb"])
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_whole_numbers_stay_in_every_type(self, tmp_path, film, kind, order):
        values = (film // 2).astype(kind)
        path = saved(tmp_path, nifti(values, order=order, code=CODES[kind]))
        np.testing.assert_array_equal(read_nifti(path).frames[..., 0], film.transpose(2, 1, 0) // 2)

    @pytest.mark.parametrize(
        ("shape", "frames"),
        [((W, H), 1), ((W, H, T), T), ((W, H, 1, T), T), ((W, H, T, 1), T), ((W, H, 1, T, 1), T)],
    )
    def test_axes(self, tmp_path, rng, shape, frames):
        values = rng.integers(0, 256, shape, dtype=np.uint8)
        clip = read_nifti(saved(tmp_path, nifti(values)))
        stacked = values.reshape(W, H, frames).transpose(2, 1, 0)
        np.testing.assert_array_equal(clip.frames[..., 0], stacked)

    @pytest.mark.parametrize("shape", [(W,), (W, H, 3, T), (W, H, 1, T, 2)])
    def test_other_axes_are_refused(self, tmp_path, rng, shape):
        values = rng.integers(0, 256, shape, dtype=np.uint8)
        with pytest.raises(ShapeError, match="one slice over time"):
            read_nifti(saved(tmp_path, nifti(values)))

    def test_colour(self, tmp_path, rng):
        pixels = rng.integers(0, 256, (W, H, T, 3), dtype=np.uint8)
        flat = np.ascontiguousarray(pixels).view("V3")[..., 0]
        path = saved(tmp_path, nifti(flat, code=128, slope=2.0))  # a slope has no meaning here
        np.testing.assert_array_equal(read_nifti(path).frames, pixels.transpose(2, 1, 0, 3))

    def test_scaling(self, tmp_path, film):
        stored = film.astype("i2") // 4
        path = saved(tmp_path, nifti(stored, slope=2.0, inter=3.0))
        expected = 2 * stored.transpose(2, 1, 0) + 3
        np.testing.assert_array_equal(read_nifti(path).frames[..., 0], expected)

    @pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
    def test_a_slope_that_means_none(self, tmp_path, film, slope):
        path = saved(tmp_path, nifti(film, slope=slope, inter=5.0))
        np.testing.assert_array_equal(read_nifti(path).frames[..., 0], film.transpose(2, 1, 0))

    def test_other_numbers_are_windowed_and_said_so(self, tmp_path, rng):
        values = rng.normal(0, 300, (W, H, T)).astype("f4")
        clip = read_nifti(saved(tmp_path, nifti(values)))
        low, high = np.percentile(values, [1, 99])
        expected = np.clip((values.transpose(2, 1, 0) - low) / (high - low), 0, 1) * 255
        np.testing.assert_allclose(clip.frames[..., 0], expected, atol=0.51)
        assert any("99th percentile" in note for note in clip.notes)

    def test_a_constant_image(self, tmp_path):
        assert read_nifti(saved(tmp_path, nifti(np.full((W, H, T), 9e9, "f8")))).frames.max() == 0

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_what_is_not_finite_is_refused(self, tmp_path, film, bad):
        values = film.astype("f4")
        values[3, 4, 5] = bad
        with pytest.raises(DataError, match="finite"):
            read_nifti(saved(tmp_path, nifti(values)))


class TestLabels:
    def test_they_are_not_windowed(self, tmp_path, rng):
        values = rng.integers(0, 4, (W, H, T)).astype("f4")
        clip = read_nifti(saved(tmp_path, nifti(values)), as_labels=True)
        np.testing.assert_array_equal(clip.frames[..., 0], values.transpose(2, 1, 0))

    @pytest.mark.parametrize("bad", [0.5, -1.0, 256.0, np.nan])
    def test_other_numbers_are_refused(self, tmp_path, bad):
        values = np.ones((W, H, T), "f4")
        values[1, 2, 3] = bad
        with pytest.raises(DataError, match="class numbers"):
            read_nifti(saved(tmp_path, nifti(values)), as_labels=True)


class TestHeader:
    @pytest.mark.parametrize(
        ("units", "pixdim", "spacing"),
        [
            (2, (0.3, 0.5), (0.5, 0.3)),
            (1, (0.0003, 0.0005), (0.5, 0.3)),
            (3, (300.0, 500.0), (0.5, 0.3)),
            (0, (0.3, 0.5), (0.5, 0.3)),
            (0, (1.0, 1.0), None),
            (2, (1.0, 1.0), (1.0, 1.0)),
            (2, (-0.3, 0.5), (0.5, 0.3)),  # a sign is a direction
            (2, (0.0, 0.5), None),
            (2, (np.nan, 0.5), None),
            (2, (0.3, np.inf), None),
        ],
    )
    def test_pixel_size_is_height_then_width(self, tmp_path, film, units, pixdim, spacing):
        clip = read_nifti(saved(tmp_path, nifti(film, units=units, pixdim=pixdim)))
        assert clip.spacing_mm == (None if spacing is None else pytest.approx(spacing))
        assert sum(note.startswith("Pixel size") for note in clip.notes) == 1

    @pytest.mark.parametrize(
        ("shape", "units", "step", "seconds"),
        [
            ((W, H, 1, T), 2 | 8, 0.04, 0.04),
            ((W, H, 1, T), 2 | 16, 40.0, 0.04),
            ((W, H, 1, T), 2 | 24, 40000.0, 0.04),
            ((W, H, 1, T), 2, 0.04, None),
            ((W, H, 1, T), 2 | 8, np.nan, None),
            ((W, H, T), 2 | 8, 0.04, None),  # the third axis is no time
            ((W, H, T, 1), 2 | 8, 0.04, None),
        ],
    )
    def test_frame_time(self, tmp_path, rng, shape, units, step, seconds):
        values = rng.integers(0, 256, shape, dtype=np.uint8)
        path = saved(tmp_path, nifti(values, units=units, pixdim=(0.3, 0.5, 1.0, step)))
        found = read_nifti(path).seconds_per_frame
        assert found == (None if seconds is None else pytest.approx(seconds))

    def test_the_caller_knows_better(self, tmp_path, film):
        path = saved(tmp_path, nifti(film))
        assert read_nifti(path, seconds_per_frame=0.02).seconds_per_frame == 0.02
        with pytest.raises(DataError, match="positive"):
            read_nifti(path, seconds_per_frame=float("nan"))

    def test_no_text_of_the_header_is_left(self, tmp_path, film):
        path = saved(tmp_path, nifti(film, text=b"TESTPERSON ALBERTA"))
        assert b"ALBERTA" in path.read_bytes()
        assert "ALBERTA" not in repr(vars(read_nifti(path)))


class TestWrongFiles:
    def test_absent(self, tmp_path):
        with pytest.raises(DataError, match="no file"):
            read_nifti(tmp_path / "a.nii")

    @pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
    @pytest.mark.parametrize("content", [b"", b"x", b"GIF89a" * 100, b"\0" * 400])
    def test_not_nifti(self, tmp_path, name, content):
        with pytest.raises(DataError, match="NIfTI"):
            read_nifti(saved(tmp_path, content, name))

    def test_other_kinds_of_nifti_are_named(self, tmp_path, film):
        two = struct.pack("<i8s", 540, b"n+2\0\r\n\x1a\n") + b"\0" * 600
        with pytest.raises(DataError, match="NIfTI-2"):
            read_nifti(saved(tmp_path, two))
        with pytest.raises(DataError, match="header and pixels in one"):
            read_nifti(saved(tmp_path, nifti(film, magic=b"ni1\0")))
        with pytest.raises(DataError, match="datatype 32"):  # complex
            read_nifti(saved(tmp_path, nifti(film, code=32)))

    @pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
    @pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
    def test_cut_off(self, tmp_path, film, name, part):
        path = saved(tmp_path, nifti(film), name)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(DataError, match=r"whole NIfTI|NIfTI-1 file"):
            read_nifti(path)

    def test_one_wrong_bit_in_a_compressed_file(self, tmp_path):
        path = saved(tmp_path, nifti(np.zeros((W, H, T), "u1")), "a.nii.gz")
        content = bytearray(path.read_bytes())
        content[-6] ^= 1  # in the checksum
        path.write_bytes(content)
        with pytest.raises(DataError, match="corrupt"):
            read_nifti(path)

    @pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
    @pytest.mark.parametrize(
        "dim",
        [(32767, 32767, 32767), (32767, 32767), (32767, 1000, 60), (0, 8, 9), (-7, 8, 9)],
        ids=str,
    )
    def test_an_absurd_claim_is_refused_before_memory_is_asked_for(self, tmp_path, film, name, dim):
        path = saved(tmp_path, nifti(film, dim=dim), name)
        tracemalloc.start()
        with pytest.raises(DataError, match="claims"):
            read_nifti(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5e6

    def test_a_gzip_bomb_is_unpacked_only_as_far_as_the_header_asks(self, tmp_path, film):
        path = tmp_path / "bomb.nii.gz"
        with gzip.open(path, "wb", compresslevel=1) as f:
            f.write(nifti(film))
            for _ in range(64):
                f.write(bytes(2**20))
        assert path.stat().st_size < 10**6
        tracemalloc.start()
        clip = read_nifti(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5e6
        np.testing.assert_array_equal(clip.frames[..., 0], film.transpose(2, 1, 0))

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(st.integers(0, 351), st.binary(min_size=1, max_size=8))
    def test_any_damage_to_the_header_gives_a_clip_or_our_error(self, tmp_path, at, junk):
        content = bytearray(nifti(np.arange(W * H * T, dtype="u1").reshape(W, H, T)))
        content[at : at + len(junk)] = junk
        with suppress(MednbError):
            assert read_nifti(saved(tmp_path, bytes(content))).frames.dtype == np.uint8

import os
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import film as written  # type: ignore[import-not-found]
from PIL import Image

from mednb.data import read_video, video
from mednb.errors import DataError

T, H, W = 9, 64, 80


@pytest.fixture
def film(rng: np.random.Generator) -> np.ndarray:
    """A disc of changing speckle on black, (T, H, W) uint8, smooth enough for lossy codecs."""
    y, x = np.mgrid[:H, :W]
    inside = ((y - 34) / 24) ** 2 + ((x - 40) / 30) ** 2 <= 1
    speckle = rng.integers(20, 235, (T, H // 8, W // 8), dtype=np.uint8)
    large = np.stack([cv2.resize(s, (W, H), interpolation=cv2.INTER_CUBIC) for s in speckle])
    return large * inside.astype(np.uint8)


def gif(path: Path, film: np.ndarray, duration: Any = 40, **other: Any) -> Path:
    images = [Image.fromarray(frame) for frame in film]
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=duration, loop=0, **other
    )
    return path


def in_header(path: Path, claimed: int) -> Path:
    """Overwrite the two counts of frames that an AVI file states."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"avih") + 8 + 16, claimed)
    struct.pack_into("<I", content, content.index(b"strh") + 8 + 32, claimed)
    path.write_bytes(content)
    return path


class TestKinds:
    @pytest.mark.parametrize(
        ("name", "codec", "error"),
        [("a.avi", "MJPG", 12), ("a.mp4", "mp4v", 25), ("a.mkv", "MJPG", 12), ("no_name", "", 0)],
    )
    def test_every_frame_comes_back(self, tmp_path, film, name, codec, error):
        path = tmp_path / name
        if codec:
            written(path, film, codec=codec)
        else:
            gif(tmp_path / "a.gif", film).rename(path)
        clip = read_video(path, deidentify=False)
        assert clip.frames.shape == (T, H, W, 1)
        off = np.abs(clip.frames[..., 0].astype(int) - film)
        assert np.percentile(off, 99) <= error
        # Each frame is nearest to itself: none is lost, doubled or out of place.
        distance = np.abs(clip.frames[:, None, ..., 0].astype(int) - film).mean(axis=(2, 3))
        np.testing.assert_array_equal(distance.argmin(axis=1), np.arange(T))
        assert clip.seconds_per_frame == pytest.approx(0.04)
        assert clip.spacing_mm is None
        assert clip.notes[0] == f"Frames: {T}, counted by decoding."

    def test_colours_are_red_green_blue_in_this_order(self, tmp_path, film):
        red = np.stack([film, film // 4, np.zeros_like(film)], axis=-1)
        frames = read_video(written(tmp_path / "a.avi", red), deidentify=False).frames
        assert frames.shape == (T, H, W, 3)
        r, g, b = (frames[..., i][film > 100].mean() for i in range(3))
        assert r > 2 * g > 4 * b

    def test_a_gif_waits_at_its_end_and_that_is_no_frame_time(self, tmp_path, film):
        times = [20] * 4 + [40] * 4 + [2000]
        clip = read_video(gif(tmp_path / "a.gif", film, times), deidentify=False)
        assert clip.seconds_per_frame == pytest.approx(0.03)

    def test_one_frame(self, tmp_path, film):
        for path in (written(tmp_path / "a.avi", film[:1]), gif(tmp_path / "a.gif", film[:1])):
            clip = read_video(path)
            assert clip.frames.shape == (1, H, W, 1)
            assert clip.seconds_per_frame is None
            assert clip.deidentified is False


class TestCounting:
    def test_a_header_that_claims_fewer(self, tmp_path, film):
        path = written(tmp_path / "a.avi", film)
        assert [len(read_video(in_header(path, claimed))) for claimed in (0, 3, 8)] == [T] * 3

    def test_a_header_that_claims_more(self, tmp_path, film):
        path = in_header(written(tmp_path / "a.avi", film), 99)
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        stated = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        capture.release()
        assert stated == 99  # what a reader that trusts metadata would say
        clip = read_video(path)
        assert len(clip) == T
        assert clip.notes[0].startswith(f"INCOMPLETE: {T} frames could be decoded; the header")

    def test_step_and_max_frames(self, tmp_path, film):
        path = gif(tmp_path / "a.gif", film)
        clip = read_video(path, step=2, deidentify=False)
        np.testing.assert_array_equal(clip.frames[..., 0], film[::2])
        assert clip.seconds_per_frame == pytest.approx(0.08)
        clip = read_video(path, max_frames=3, deidentify=False)
        np.testing.assert_array_equal(clip.frames[..., 0], film[:3])

    @pytest.mark.parametrize("wrong", [{"step": 0}, {"step": 1.5}, {"max_frames": 0}])
    def test_wrong_arguments(self, tmp_path, film, wrong):
        with pytest.raises(DataError, match=next(iter(wrong))):
            read_video(gif(tmp_path / "a.gif", film), **wrong)

    @pytest.mark.parametrize(
        ("told", "seconds"),
        [(told, None) for told in (0.0, 0.5, 1000.0, 90000.0, float("nan"))] + [(50.0, 0.02)],
    )
    def test_rates_that_no_scanner_has(self, told, seconds):
        notes: list[str] = []
        found = video._frame_time("AVI", 9, video._Told(rate=told), 1, notes)
        (note,) = notes
        assert found == seconds
        assert note.startswith("Frame time")


def test_released_after_reading_stopping_early_and_failing(tmp_path, film, monkeypatch):
    made: list[Any] = []
    real = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda *a: made.append(real(*a)) or made[-1])
    path = written(tmp_path / "a.avi", film)
    read_video(path)
    read_video(path, max_frames=2)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError):
        read_video(path)
    written(path, film)
    monkeypatch.setattr(video, "MOST_BYTES", 3 * H * W)
    with pytest.raises(DataError):
        read_video(path)
    assert [c.isOpened() for c in made] == [False] * 4


class TestWrongFiles:
    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "first bytes.*an empty file"),
            (b"\0" * 600, "first bytes"),
            (b"#EXTM3U\nfile:///etc/passwd\n", "first bytes"),
            (b"#EXTM3U\nAVI file:///etc/passwd\n", "first bytes"),
            (b"\x89PNG\r\n\x1a\n" + bytes(99), "something else"),
            (bytes(128) + b"DICM", "read_dicom"),
        ],
    )
    def test_no_video(self, tmp_path, content, says):
        (tmp_path / "a01.avi").write_bytes(content)
        with pytest.raises(DataError, match=says):
            read_video(tmp_path / "a01.avi")

    def test_without_a_frame(self, tmp_path, film):
        with pytest.raises(DataError):
            read_video(written(tmp_path / "a.avi", film[:0]))

    @pytest.mark.parametrize("part", [0.01, 0.2, 0.5, 0.8, 0.97])
    @pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.gif"])
    def test_cut_off_and_noise_within(self, tmp_path, film, name, part, capfd, rng):
        path = tmp_path / name
        if name == "a.gif":
            gif(path, film)
        else:
            written(path, film, codec="MJPG" if name == "a.avi" else "mp4v")
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * part)])
        with suppress(DataError):
            clip = read_video(path)
            assert any(note.startswith("INCOMPLETE") for note in clip.notes)
            assert 2 <= len(clip) <= T
        at = int(len(whole) * part)
        path.write_bytes(whole[:at] + rng.bytes(500) + whole[at + 500 :])
        with suppress(DataError):
            assert read_video(path).frames.shape[1:3] == (H, W)
        assert capfd.readouterr().err == ""

    def test_a_gif_that_claims_gigabytes(self, tmp_path, film):
        path = gif(tmp_path / "a.gif", film)
        content = bytearray(path.read_bytes())
        struct.pack_into("<HH", content, 6, 65535, 65535)
        path.write_bytes(content)
        tracemalloc.start()
        with pytest.raises(DataError, match="Expected"):
            read_video(path)
        assert tracemalloc.get_traced_memory()[1] < 5e6
        tracemalloc.stop()

    def test_too_many_frames_name_the_way_out(self, tmp_path, film, monkeypatch):
        monkeypatch.setattr(video, "MOST_BYTES", 4 * 3 * H * W)
        path = gif(tmp_path / "a.gif", film)
        with pytest.raises(DataError, match="step=2"):
            read_video(path)
        assert len(read_video(path, step=3)) == 3

    def test_frames_of_two_sizes(self, tmp_path, film, monkeypatch):
        def two(*_: Any) -> Any:
            yield np.zeros((H, W, 3), np.uint8)
            yield np.zeros((H, W + 2, 3), np.uint8)

        monkeypatch.setattr(video, "_gif", two)
        with pytest.raises(DataError, match="frames of one size"):
            read_video(gif(tmp_path / "a.gif", film))


class TestDeidentification:
    def burn(self, film: np.ndarray) -> np.ndarray:
        out = film.copy()
        for frame in out:
            cv2.putText(frame, "ALBERTA", (2, 8), cv2.FONT_HERSHEY_SIMPLEX, 0.3, 255, 1)
        return out

    @pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.gif"])
    def test_letters_outside_the_sector_are_gone(self, tmp_path, film, name):
        path = tmp_path / name
        burned = self.burn(film)
        if name == "a.gif":
            gif(path, burned, comment=b"ALBERTA")
        else:
            written(path, burned, codec="MJPG" if name == "a.avi" else "mp4v")
        letters = (burned[0] != film[0]) & (burned[0] > 100)
        assert letters.sum() > 30
        raw = read_video(path, deidentify=False)
        assert raw.frames[:, letters].min() > 60  # there before
        assert raw.deidentified is False
        clip = read_video(path)
        assert clip.frames[:, letters].max() == 0
        assert clip.deidentified is None
        assert (clip.frames > 0).sum() > 0.9 * (film > 20).sum()
        assert "ALBERTA" not in repr(vars(clip))

    def test_a_clip_in_which_nothing_moves_is_flagged(self, tmp_path, film):
        clip = read_video(written(tmp_path / "a.avi", np.repeat(film[:1], 4, axis=0)))
        assert clip.deidentified is False
        assert "no pixel was changed" in repr(clip)


class TestAttacks:
    @pytest.mark.parametrize("name", ["concat:a.avi", "file:a.avi", "http:/x/a.avi"])
    def test_a_name_is_no_address(self, tmp_path, film, monkeypatch, name):
        """FFmpeg would open a.avi, or ask the network, where the file itself is another."""
        monkeypatch.chdir(tmp_path)
        written(tmp_path / "a.avi", film)
        written(tmp_path / "b.avi", film[:3])
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((tmp_path / "b.avi").read_bytes())
        assert len(read_video(name)) == 3
        assert len(read_video(path)) == 3

    @pytest.mark.parametrize("name", ["x" * 300, "a\0b.avi", "a\x1b[2J.avi", "absent.avi", "pipe"])
    def test_names_that_are_no_file(self, tmp_path, name):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DataError, match=r"no file|cannot be read") as caught:
            read_video(tmp_path / name)
        assert "\x1b" not in str(caught.value)

    def test_memory_at_most_four_times_decoded(self, tmp_path, rng):
        frames = rng.integers(0, 200, (200, H, W, 3), dtype=np.uint8)
        path = written(tmp_path / "a.avi", frames)
        read_video(path)  # imports come first
        tracemalloc.start()
        read_video(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 4 * frames.nbytes

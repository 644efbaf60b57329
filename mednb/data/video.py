"""Read a video file (mp4, mov, avi, mpeg, mkv, webm, gif) as a clip; count frames by decoding.

A container's header is somebody's word: its frame count is often wrong, and its frame rate was
chosen by whoever converted the file. Both are reported, neither is believed blindly.
"""

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data.identity import AS_STORED, blacken, grey_if_equal, sector
from mednb.data.store import MOST_BYTES, check_size, door, wrong
from mednb.runtime import quiet_stderr
from mednb.types import Clip

__all__ = ["read_video"]

#: Frames per second that a scanner may have; 1000 and 90000 are clocks of containers, not rates.
_RATES = (1.0, 999.0)
#: What the first bytes of a file say it is. Looking spares FFmpeg the formats that name other
#: files to open (playlists), and a still picture does not pass for a video.
_MAGIC = {
    "MPEG": (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"),
    "Matroska": (b"\x1a\x45\xdf\xa3",),
    "GIF": (b"GIF87a", b"GIF89a"),
}
#: The same for files of the MP4 and QuickTime family, which say it at byte 4.
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_MEND = "Read fewer frames: step=2 takes every second one, max_frames=100 the first hundred."


@dataclass
class _Told:
    """What the container says beside the pixels; ``rate`` in frames per second."""

    claimed: int = 0
    rate: float = 0.0
    cut: bool = False


def read_video(
    path: str | os.PathLike[str],
    *,
    deidentify: bool = True,
    step: int = 1,
    max_frames: int | None = None,
) -> Clip:
    """Read a video of any kind that OpenCV's FFmpeg decodes, or a GIF.

    Parameters
    ----------
    path
        The file. What it is, is told by its first bytes, not by its name.
    deidentify
        Black out what lies outside the sector that moves. The file's own text (title, dates, place)
        is never read. The notes say what was done and what could not be.
    step
        Take every ``step``-th frame; the clip's ``seconds_per_frame`` grows with it.
    max_frames
        Stop after so many frames were taken.

    Returns
    -------
    Clip
        ``frames`` ``(T, H, W, C)`` uint8 in 0..255, C = 1 when the colour channels agree;
        ``seconds_per_frame`` in s, None when the container gives no believable rate (where you
        know better, ``dataclasses.replace(clip, seconds_per_frame=...)``);
        ``spacing_mm`` None, for no video format holds it; ``deidentified`` never True, see the
        notes.

    Raises
    ------
    DataError
        When the file is absent, is no video, holds no frame, is cut off before its second frame,
        or takes more than 2 GiB decoded.

    Notes
    -----
    Frames are counted by decoding them. A file that is cut off gives the frames before the cut and
    a note that starts with INCOMPLETE; MPEG and GIF do not say how many frames there were. A frame
    of another size than the first is scaled to it by OpenCV, which does not tell. In a GIF the time
    is the mean of the durations, without the last frame's, which is a pause. MPEG-1 knows eight
    frame rates, so a converter wrote the nearest. Explained in notebook 00.
    """
    for name, value in (("step", step), ("max_frames", max_frames)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise wrong(f"{name} as a whole number, at least 1", repr(value))
    # Absolute, for FFmpeg takes a relative "http:x" or "concat:x" for an address.
    path = Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow what a test checks
    with door(path, "a video file"):
        kind = _kind(path)
        told = _Told(cut=kind == "AVI" and _is_short(path))
        with quiet_stderr():
            source = _gif(path, told) if kind == "GIF" else _ffmpeg(path, told)
            frames, decoded, stopped = _collect(source, path.name, step, max_frames)
        notes = [] if stopped else [_counted(path.name, decoded, told)]
        seconds = _frame_time(kind, len(frames), told, step, notes)
        notes.append("Pixel size: a video file cannot say.")
        verdict: bool | None = False
        if deidentify:
            moving = sector(frames, lossy=True) if len(frames) > 1 else None
            doubts, changed = blacken(frames, None, moving, notes, lossy=True)
            verdict = None if changed and len(doubts) == 1 else False
            notes.append(f"Identity: {'; '.join(doubts)}.")
        else:
            notes += AS_STORED
        frames = grey_if_equal(frames, notes)
        return Clip(frames, seconds, notes=tuple(notes), deidentified=verdict)


def _kind(path: Path) -> str:
    """Return the container, by the first bytes."""
    with path.open("rb") as file:
        head = file.read(512)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "AVI"
    if head.startswith(_BOXES, 4):
        return "MP4"
    for name, magic in _MAGIC.items():
        if head.startswith(magic):
            return name
    if len(head) > 188 and head[0] == head[188] == 0x47:
        return "MPEG"
    hint = "It is DICOM: use read_dicom." if head[128:132] == b"DICM" else ""
    expected = "a video: mp4, mov, avi, mpeg, mkv, webm or gif, told by its first bytes"
    raise wrong(expected, f"{path.name}, {'something else' if head else 'an empty file'}", hint)


def _is_short(path: Path) -> bool:
    """Return whether an AVI file ends before the length that its first eight bytes state."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<4xI", file.read(8))
    return bool(path.stat().st_size < 8 + length < 8 + 2**32 - 1)  # all ones: not known


def _ffmpeg(path: Path, told: _Told) -> Iterator[NDArray[np.uint8]]:
    """Yield ``(H, W, 3)`` RGB frames."""
    import cv2  # only clips need it, and it takes a while to load

    # FFmpeg by name: OpenCV would otherwise try readers that take "a01.png" for a01, a02, ...
    # On the processor: every machine then decodes the same pixels.
    options = [cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_NONE]
    capture: Any = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
    try:
        if not capture.isOpened():
            received = f"{path.name}, cut off, corrupt, or without pictures: FFmpeg cannot open it"
            raise wrong("a whole video", received, "Copy it again from where it came.")
        told.rate = float(capture.get(cv2.CAP_PROP_FPS))
        claimed = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        told.claimed = int(claimed) if 0 < claimed < 2**31 else 0
        while capture.grab():
            found, bgr = capture.retrieve()
            if not found:
                break
            yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def _gif(path: Path, told: _Told) -> Iterator[NDArray[np.uint8]]:
    """Yield ``(H, W, 3)`` RGB frames; OpenCV would drop their durations."""
    from PIL import Image, ImageSequence

    told.cut = not path.read_bytes().endswith(b";")
    durations: list[float] = []
    with warnings.catch_warnings(action="ignore"), Image.open(path, formats=["GIF"]) as image:
        check_size((image.height, image.width), 3, name=path.name)  # not by Pillow's warning
        try:
            for frame in ImageSequence.Iterator(image):
                pixels = np.array(frame.convert("RGB"), dtype=np.uint8)
                durations.append(float(frame.info.get("duration", 0)))
                steps = [d for d in durations[:-1] if d > 0]
                told.rate = 1000 / float(np.mean(steps)) if steps else 0.0
                yield pixels
        except Exception:  # whatever Pillow raises where a file breaks
            if not durations:
                raise
            told.cut = True


def _collect(
    source: Iterator[NDArray[np.uint8]], name: str, step: int, max_frames: int | None
) -> tuple[NDArray[np.uint8], int, bool]:
    """Return every ``step``-th frame, how many were decoded, whether ``max_frames`` ended it."""
    taken: list[Any] = []
    decoded, size = 0, 0
    with closing(source):  # type: ignore[type-var]
        for decoded, frame in enumerate(source, start=1):
            if (decoded - 1) % step:
                continue
            if taken and frame.shape != taken[0].shape:
                expected = f"frames of one size in {name}, {taken[0].shape[:2]}"
                received = f"{frame.shape[:2]} from frame {decoded - 1}"
                raise wrong(expected, received, "Cut the file there.")
            size += frame.nbytes
            if size > MOST_BYTES:
                mend = (
                    "Read fewer: step=2 takes every second one, max_frames=100 the first hundred."
                )
                raise wrong("at most 2 GiB of decoded frames", f"{name}, which has more", mend)
            taken.append(frame)
            if len(taken) == max_frames:
                break
    if not taken:
        mend = "The file is empty, cut off, or in a codec that OpenCV's FFmpeg lacks."
        raise wrong(f"at least one frame in {name}", "none that could be decoded", mend)
    out = np.empty((len(taken), *taken[0].shape), np.uint8)
    for i, frame in enumerate(taken):
        out[i], taken[i] = frame, None  # each is given back as it is copied
    return out, decoded, len(out) == max_frames


def _counted(name: str, decoded: int, told: _Told) -> str:
    """Return what counting the frames showed, or refuse the single frame of a file cut off."""
    off = told.cut or decoded != told.claimed
    claims = f"; the header claims {told.claimed}" if off and told.claimed else ""
    if decoded >= told.claimed and not told.cut:
        return f"Frames: {decoded}, counted by decoding{claims}."
    if decoded < 2:
        received = f"{name}, which ends or breaks after one frame{claims}"
        raise wrong("a whole video", received, "Copy it again.")
    return (
        f"INCOMPLETE: {decoded} frames could be decoded{claims}. The file is cut off or corrupt, "
        f"or its header is wrong."
    )


def _frame_time(kind: str, n: int, told: _Told, step: int, notes: list[str]) -> float | None:
    """Return seconds between the frames taken; ``notes`` get where that comes from."""
    if n == 1:
        return None
    if not _RATES[0] <= told.rate <= _RATES[1]:
        said = f"says {told.rate:g} frames per second, which no scanner has" if told.rate else ""
        notes.append(f"Frame time: unknown; the file {said or 'does not say'}.")
        return None
    each = f", every frame {step} times that: step={step}" if step > 1 else ""
    why = "mean of the GIF's durations" if kind == "GIF" else f"{kind} header, {told.rate:g} per s"
    notes.append(
        f"Frame time: {1000 / told.rate:g} ms ({why}; the word of whoever wrote the file, not of "
        f"the scanner){each}."
    )
    return step / told.rate

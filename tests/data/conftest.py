"""A data folder of its own for every test, a server that says what it is told to say, and files."""

import io
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from mednb.data import store


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("MEDNB_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("MEDNB_OFFLINE", raising=False)


def reply(body: bytes, status: str = "200 OK", *headers: str, length: bool = True) -> bytes:
    """Return an HTTP answer as the bytes that go over the wire."""
    told = [f"Content-Length: {len(body)}"] if length else []
    head = "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *headers, *told])
    return head.encode("latin-1") + b"\r\n\r\n" + body


class Server:
    """Answers each request with the next of ``script`` (bytes, or pieces), the last for ever."""

    def __init__(self, script: list[Any]) -> None:
        self.asked: list[bytes] = []
        self.gone = threading.Event()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                asked = b""
                while b"\r\n\r\n" not in asked and (piece := self.request.recv(4096)):
                    asked += piece
                    if not asked.startswith(b"GET"):
                        return  # not HTTP: the beginning of TLS
                if not asked:
                    return
                outer.asked.append(asked)
                step = script[min(len(outer.asked), len(script)) - 1]
                try:
                    for piece in [step] if isinstance(step, bytes) else step(outer):
                        self.request.sendall(piece)
                except OSError:
                    pass  # the client has gone

        class Threads(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        self.tcp = Threads(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.tcp.server_address[1]}/set.npz?download=1"
        threading.Thread(target=self.tcp.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server: ``serve(reply(body))``."""
    running: list[Server] = []

    def start(*script: Any) -> Server:
        running.append(Server(list(script)))
        return running[-1]

    yield start
    for server in running:
        server.gone.set()
        server.tcp.shutdown()
        server.tcp.server_close()


@pytest.fixture
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the session speak http to the local server, and be impatient."""
    monkeypatch.setattr(store, "_SCHEMES", ("https://", "http://"))
    monkeypatch.setattr(store, "_TIMEOUT", (5.0, 0.3))
    monkeypatch.setattr(store, "_WINDOW", 2.0)
    monkeypatch.setattr(store, "_PAUSE", 0.001)


def jpeg(frame: np.ndarray, **how: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", **{"quality": 92} | how)
    return file.getvalue()


def region(box: tuple[int, ...], **other: Any) -> Dataset:
    """A region of 2-D tissue: top, left, bottom, right."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = 1, 1
    item.RegionLocationMinY0, item.RegionLocationMinX0 = box[:2]
    item.RegionLocationMaxY1, item.RegionLocationMaxX1 = box[2:]
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = 0.1, 0.05
    for name, value in other.items():
        setattr(item, name, value)
    return item


def dicom(
    path: Path,
    frames: np.ndarray,
    syntax: str = ExplicitVRLittleEndian,
    encoded: list[bytes] | None = None,
    **elements: Any,
) -> Path:
    """Write ``(T, H, W)`` or ``(T, H, W, 3)``, with ALBERTA in tags, private tags, a sequence."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UltrasoundMultiFrameImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(None)
    ds.Modality = "US"
    ds.PatientName, ds.PatientID, ds.PatientComments = "ALBERTA^T", "ID-ALBERTA", "sees ALBERTA"
    ds.PatientBirthDate, ds.InstitutionName = "19030201", "House of ALBERTA"
    ds.ImageComments = "ALBERTA"
    ds.private_block(0x0019, "Made up", create=True).add_new(0x01, "LO", "private ALBERTA")
    item = Dataset()
    item.PersonName = "ALBERTA"
    item.private_block(0x0021, "ALBERTA", create=True).add_new(0x02, "LO", "ALBERTA")
    ds.PerformedProtocolCodeSequence = [item]
    ds.Rows, ds.Columns, ds.NumberOfFrames = *frames.shape[1:3], len(frames)
    ds.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    ds.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    if frames.ndim == 4:
        ds.PlanarConfiguration = 0
    bits = 8 * frames.dtype.itemsize
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelRepresentation = int(frames.dtype.kind == "i")
    ds.PixelData = frames.tobytes()
    if syntax == JPEGBaseline8Bit and encoded is None:
        encoded = [jpeg(frame) for frame in frames]
    if syntax == RLELossless:
        ds.compress(RLELossless)
    elif encoded is not None:
        ds.PixelData = encapsulate(encoded)
        ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = syntax
    for name, value in elements.items():
        setattr(ds, name, value)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


def film(path: Path, frames: np.ndarray, *, codec: str = "MJPG", fps: float = 25.0) -> Path:
    """Write ``(T, H, W)`` or ``(T, H, W, 3)`` RGB through OpenCV."""
    size, code = frames.shape[2:0:-1], cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, size)
    assert writer.isOpened()
    for frame in frames:
        rgb = frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=-1)
        writer.write(np.ascontiguousarray(rgb[..., ::-1]))
    writer.release()
    return path

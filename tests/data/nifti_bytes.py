"""NIfTI-1 files made byte by byte from the fields of nifti1.h, in their order.

https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
"""

import struct

import numpy as np

#: The struct nifti_1_header: all fields, in order.
HEADER = "i10s18sihcB8h3fhhhh8f3fhBB4f2i80s24s2h6f12f16s4s"
CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768}
CODES |= {"i8": 1024, "u8": 1280, "rgb": 128}


def nifti(
    values: np.ndarray,
    *,
    order: str = "<",
    code: int | None = None,
    dim: tuple[int, ...] | None = None,
    pixdim: tuple[float, ...] = (0.3, 0.5, 1.0, 1.0),
    units: int = 2 | 8,
    slope: float = 1.0,
    inter: float = 0.0,
    text: bytes = b"",
    magic: bytes = b"n+1\0",
    offset: float = 352.0,
) -> bytes:
    """Return a file; ``values`` are stored with the first axis running fastest."""
    dim = values.shape if dim is None else dim
    code = CODES[values.dtype.str[1:]] if code is None else code
    eight = [len(dim), *dim, *[1] * 7][:8]
    steps = [1.0, *pixdim, *[0.0] * 7][:8]
    head = struct.pack(
        order + HEADER,
        *(348, b"", text[:18], 0, 0, b"r", 0), *eight, *(0.0, 0.0, 0.0),
        *(0, code, 8 * values.dtype.itemsize, 0), *steps, *(offset, slope, inter),
        *(0, 0, units), *[0.0] * 4, *(0, 0), text, text[:24], *(0, 0), *[0.0] * 6, *[0.0] * 12,
        *(text[:16], magic),
    )  # fmt: skip
    assert len(head) == 348
    return head + b"\0" * 4 + values.astype(values.dtype.newbyteorder(order)).tobytes(order="F")

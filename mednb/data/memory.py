"""Refuse a file that would not fit: a header of a few bytes can claim terabytes of pixels."""

from math import prod

from mednb.errors import DataError

__all__ = ["MOST_BYTES", "check_size"]

#: Most bytes of pixels that one file may decode to; two copies of it are held while it is read.
MOST_BYTES = 2 * 2**30


def check_size(shape: tuple[int, ...], bytes_each: int, *, name: str, mend: str = "") -> None:
    """Refuse pixels that take more than 2 GiB, before memory is asked for.

    Parameters
    ----------
    shape
        Lengths of the axes, as the header claims them.
    bytes_each
        Bytes of one value.
    name
        Name of the file, for the message.
    mend
        What the caller can do about it, for the message.

    Raises
    ------
    DataError
        When the pixels take more than :data:`MOST_BYTES`, or an axis has no or a negative length.
    """
    if min(shape) < 1:
        raise DataError(
            f"Expected at least one frame, row and column in {name}. Received: a header that "
            f"claims {' x '.join(map(str, shape))}. Export the file again."
        )
    if (size := prod(shape) * bytes_each) > MOST_BYTES:
        raise DataError(
            f"Expected at most {MOST_BYTES / 2**30:g} GiB of pixels in {name}. Received: a header "
            f"that claims {' x '.join(map(str, shape))}, {size / 2**30:.3g} GiB. "
            f"{mend or 'If it is not corrupt, cut it into shorter files.'}"
        )

"""``mednb data``: list the data sets, or fetch some."""

__all__ = ["main"]


def main(*, names: list[str], size: int) -> int:
    """List every data set, or load the named ones, downloading what is not here.

    Parameters
    ----------
    names
        Data sets; empty lists all.
    size
        Image size in pixels, for the sets that come in several.

    Returns
    -------
    int
        0.

    Raises
    ------
    MednbError
        When a name is not known, or a download is refused or fails.
    """
    from mednb import data  # heavy: NumPy and the readers

    if not names:
        print(data.names())
        return 0
    for name in names:
        print(data.load(name, size=size).card())
    return 0

"""Nuclei of cells under the microscope, every one outlined: the 2018 Data Science Bowl.

References
----------
Caicedo et al., "Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl",
Nature Methods 16:1247 (2019), doi:10.1038/s41592-019-0612-7. Used in notebook 06.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data import store
from mednb.errors import DownloadError
from mednb.types import Dataset, Split, content_digests

__all__ = ["LICENSE", "load"]

LICENSE = "CC0 (public domain)"
_SOURCE = "https://bbbc.broadinstitute.org/BBBC038"
#: One file with arrays images (N, H, W) uint8, instance_masks (N, H, W) and image_ids (N,).
_FILE = "nuclei_dsb2018_256_gray.npz"
_FOLDERS = ("nuclei", "stage1_train", "BBBC038", "")
#: Edge of the square that is cut out of every image, pixels of the microscope.
_EDGE = 256
#: Shares of the images in train and val, and the seed of the draw.
_SHARES, _SEED = (0.6, 0.15), 2018


def load(*, root: store.Root = None, size: int = 128) -> Dataset:
    """Load the images with their outlines, split by image.

    Parameters
    ----------
    root
        Folder that holds ``nuclei/nuclei_dsb2018_256_gray.npz``, or the published folders
        (``<id>/images/<id>.png``, ``<id>/masks/*.png``) in ``stage1_train``, ``BBBC038`` or
        ``nuclei``; default ``MEDNB_DATA``, else the user's cache folder.
    size
        Edge length in pixels, 256 divided by a whole number: 256 px of the microscope are averaged
        down to it.

    Returns
    -------
    Dataset
        ``images`` ``(N, size, size, 1)`` uint8 grey; ``masks`` 1 inside a nucleus; ``labels`` 0
        where the background is dark (fluorescence), 1 where it is bright (stained tissue).
        ``targets``: ``instances`` ``(N, size, size)`` uint16, nuclei numbered from 1, and
        ``count``, how many of them.

    Raises
    ------
    DownloadError
        When the set is not on this machine, with how to get it.
    DataError
        When a file is damaged or lacks an array, or ``size`` does not divide 256.
    """
    if not 16 <= size <= _EDGE or _EDGE % size:
        raise store.wrong(f"a size that divides {_EDGE}, from 16 on", size)
    images, instances, ids = _find(root)
    # Two copies of a picture under two names would stand on both sides of a split.
    _, first = np.unique(content_digests(images), return_index=True)
    keep = first[np.argsort(ids[first])]
    notes = [
        "Split: drawn by image, 60 / 15 / 25 %. Pictures of one slide carry no common name, so two "
        "parts of one slide may stand in two splits: a test is easier than new slides would be."
    ]
    if len(keep) < len(ids):
        notes.append(f"{len(ids) - len(keep)} picture(s) that occur twice: one copy kept.")
    if len(keep) < 4:
        raise store.wrong("at least 4 different pictures", len(keep))
    order = keep[np.random.default_rng(_SEED).permutation(len(keep))]
    ends = np.cumsum([max(1, round(share * len(keep))) for share in _SHARES])
    train, val, test = (
        _split(images[rows], instances[rows], ids[rows], size) for rows in np.split(order, ends)
    )
    return Dataset(
        name="nuclei",
        train=train,
        val=val,
        test=test,
        classes=("dark background", "bright background"),
        task="binary",
        positive=None,
        license=LICENSE,
        source=f"2018 Data Science Bowl, BBBC038v1 (Caicedo et al. 2019), {_SOURCE}",
        description="Cells under the microscope, every nucleus outlined by hand.",
        unit="image",
        notes=tuple(notes),
    )


def _find(root: store.Root) -> tuple[NDArray[Any], ...]:
    """Return grey images and nuclei numbered from 1, ``(N, 256, 256)``, and the ids."""
    for place in store.places(root, _FOLDERS):
        if (place / _FILE).is_file():
            return _read_archive(place / _FILE)
        # Of all places only those with the published layout; the data folder holds much else.
        if cases := sorted(p for p in place.glob("*") if (p / "masks").is_dir()):
            return _read_folders(cases)
    raise DownloadError(
        "The nuclei are not on this machine (2018 Data Science Bowl, BBBC038v1, about 80 MB). "
        f"Licence {LICENSE}. Get stage1_train.zip from {_SOURCE}, unpack it into a folder "
        "stage1_train, and set MEDNB_DATA to the folder that holds it."
    )


def _read_archive(path: Path) -> tuple[NDArray[Any], ...]:
    wanted = {"images": ("u", 3), "instance_masks": ("iu", 3), "image_ids": ("U", 1)}
    images, numbers, ids = store.read_npz(path, wanted).values()
    fits = images.shape == numbers.shape == (len(ids), _EDGE, _EDGE) and images.dtype == np.uint8
    if not fits or not 0 <= numbers.min(initial=0) <= numbers.max(initial=0) < 2**16:
        shape = (len(ids), _EDGE, _EDGE)
        raise store.wrong(
            f"images uint8 and masks numbered from 0 to 65535, both {shape}, in {path.name}",
            f"{images.shape} {images.dtype} and {numbers.shape} {numbers.dtype}",
        )
    return images, numbers.astype(np.uint16), ids


def _read_folders(cases: list[Path]) -> tuple[NDArray[Any], ...]:
    """Read the published layout: one mask a nucleus, 255 inside.

    The middle 256 x 256 pixels are taken; what is smaller gets a black border. A pixel in two masks
    goes to the one whose file name comes last.
    """
    images = np.zeros((len(cases), _EDGE, _EDGE), np.uint8)
    instances = np.zeros((len(cases), _EDGE, _EDGE), np.uint16)
    for i, case in enumerate(cases):
        image = _read(case / "images" / f"{case.name}.png")
        number = np.zeros(image.shape, np.uint16)
        for k, path in enumerate(sorted((case / "masks").glob("*.png")), start=1):
            mask = _read(path)
            if mask.shape != image.shape:
                expected = f"masks of the size of their picture, {image.shape}"
                raise store.wrong(expected, f"{mask.shape} in {case.name}")
            number[mask > 127] = k
        images[i], instances[i] = _middle(image), _middle(number)
    return images, instances, np.array([case.name for case in cases])


def _read(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    with store.door(path, "a PNG picture"), Image.open(path, formats=["PNG"]) as image:
        store.check_size((1, image.height, image.width), 4, name=path.name)
        return np.asarray(image.convert("L"), dtype=np.uint8)


def _middle(picture: NDArray[Any]) -> NDArray[Any]:
    h, w = picture.shape
    top, left = max(0, (h - _EDGE) // 2), max(0, (w - _EDGE) // 2)
    cut = picture[top : top + _EDGE, left : left + _EDGE]
    down, right = _EDGE - cut.shape[0], _EDGE - cut.shape[1]
    return np.pad(cut, ((down // 2, down - down // 2), (right // 2, right - right // 2)))


def _split(images: Any, instances: Any, ids: Any, size: int) -> Split:
    step = _EDGE // size
    n = len(images)
    small = images.reshape(n, size, step, size, step).mean(axis=(2, 4))
    # One pixel in each step x step: numbers have no mean.
    number = np.ascontiguousarray(instances[:, step // 2 :: step, step // 2 :: step])
    count = np.array([len(np.unique(m[m > 0])) for m in number], np.int64)
    return Split(
        images=np.rint(small).astype(np.uint8)[..., None],
        labels=(np.median(images, axis=(1, 2)) > 127).astype(np.int64),
        groups=ids,
        masks=(number > 0).astype(np.uint8),
        targets={"instances": number, "count": count},
    )

"""What notebook 04 needs around its GANs: images without speckle, and holes to be filled."""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["despeckled", "hole_masks"]


def despeckled(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images at half the size ``(N, H / 2, W / 2, 1)``, most of their speckle gone."""
    half, way = (images.shape[2] // 2, images.shape[1] // 2), cv2.INTER_AREA
    small = [cv2.resize(cv2.medianBlur(image, 9), half, interpolation=way) for image in images]
    return np.stack(small)[..., None].astype(np.uint8)


def hole_masks(n: int, shape: tuple[int, int], *, seed: int | tuple[int, ...]) -> NDArray[np.uint8]:
    """Return ``(n, H, W)`` masks, 1 in the hole, as holes occur in stored ultrasound images.

    Each is of one kind: two pairs of crosses, the ends of two measured axes; a line of letters near
    a corner; or a vertical band, where elements of the probe are broken. H and W of 16 or more.
    """
    rng = np.random.default_rng(seed)
    masks = np.zeros((n, *shape), np.uint8)
    draw = (_calipers, _text, _band)
    for mask, kind in zip(masks, rng.choice(3, n), strict=True):
        draw[kind](mask, rng)
    return masks


def _calipers(mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
    size = np.array(mask.shape)
    arm = max(1, round(min(mask.shape) / 20))
    centre = rng.uniform(0.35, 0.65, 2) * size
    turn = rng.uniform(0, np.pi)
    for angle in (turn, turn + np.pi / 2):
        reach = rng.uniform(0.12, 0.3) * min(mask.shape)
        for sign in (-1, 1):
            end = centre + sign * reach * np.array([np.sin(angle), np.cos(angle)])
            row, column = np.clip(np.round(end).astype(int), arm, size - 1 - arm)
            mask[row - arm : row + arm + 1, column] = 1
            mask[row, column - arm : column + arm + 1] = 1


def _text(mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
    height, width = mask.shape
    letters = list("ABCDEFGHKLMNPRSTUVXYZ0123456789")
    text, font = "".join(rng.choice(letters, 3 if width < 48 else 6)), cv2.FONT_HERSHEY_PLAIN
    scale = 0.6 * max(1, min(mask.shape) / 64)
    (across, tall), _ = cv2.getTextSize(text, font, scale, 1)
    left = int(rng.integers(1, max(2, width - across - 1)))
    upper = rng.random() < 0.5
    base = tall + int(rng.integers(1, 3)) if upper else height - int(rng.integers(2, 4))
    cv2.putText(mask, text, (left, base), font, scale, 1, 1)


def _band(mask: NDArray[np.uint8], rng: np.random.Generator) -> None:
    width = mask.shape[1]
    wide = max(2, round(rng.uniform(0.07, 0.2) * width))
    start = int(rng.integers(1, width - wide))
    mask[:, start : start + wide] = 1

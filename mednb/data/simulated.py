"""Every simulated set: one table of makers, splits, seeds and sizes; made once, then kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.data import store
from mednb.errors import UnknownNameError
from mednb.types import Clip, Dataset, Split

__all__ = ["SETS", "SPACING_MM", "as_phantom", "draw_frames", "load", "modalities", "split"]

LICENSE = "none needed (made by mednb)"
#: How far a patient lies otherwise in the other scanner: degrees, and a share of the edge.
TURN, SHIFT = 10.0, 0.08
#: Edge of a heart's frame in pixels, and of its pixel in mm, in the middle of their range.
SIZE, SPACING_MM = 64, 2.4
#: Grey level above which a pixel belongs to the sector, and rows below its tip that tell where
#: its middle is.
_SEEN, _TIP = 20, 8


@dataclass(frozen=True)
class Recipe:
    """How a set is made.

    Parameters
    ----------
    maker
        The simulator's name in :mod:`mednb.simulate`, or a function here.
    about
        What the maker is always given.
    splits
        What it is given for each split: how many, the seed, and what else.
    size
        Edge of an image in pixels, unless asked for otherwise.
    version
        To be raised when the maker gives other bits: what was kept is then made anew.
    card
        What :class:`~mednb.types.Dataset` says about it; empty for a set that is not one.
    """

    maker: str | Callable[..., Split]
    about: Mapping[str, Any]
    splits: Mapping[str | None, Mapping[str, Any]]
    size: int = 64
    version: int = 1
    card: Mapping[str, Any] | None = None


def load(name: str, *, root: store.Root = None, size: int) -> Dataset:
    """Return the three splits of ``"lesions"``, ``"hearts"`` or ``"brains"``."""
    recipe = SETS[name]
    card: Any = {"positive": None, "unit": "phantom", **(recipe.card or {})}
    parts: Any = {part: split(name, part, root=root, size=size) for part in recipe.splits}
    seeds = ", ".join(str(own["seed"]) for own in recipe.splits.values())
    source = f"mednb.simulate.{name}, seeds {seeds}"
    return Dataset(name, **parts, source=source, simulated=True, license=LICENSE, **card)


def split(name: str, part: str | None = None, *, root: store.Root = None, **other: Any) -> Split:
    """Return one split of a simulated set, kept after the first time.

    Parameters
    ----------
    name
        One of :data:`SETS`. ``"lesions"``, ``"hearts"``, ``"brains"`` and ``"looks"`` are as their
        simulators make them. ``"scanned"``: ``n`` hearts of a ``seed`` on a ``scanner`` (or on
        several, of which each film draws one), eight frames each; equal seeds give the same hearts
        on every scanner. ``"beats"`` and ``"visits"``: ``n`` pairs of a ``seed`` for registration,
        ``images`` (N, H, W, 2), fixed, then moving, see :func:`beats` and :func:`visits`.
    part
        ``"train"``, ``"val"`` or ``"test"``, for the sets that have them.
    root
        Folder that keeps them; default ``MEDNB_DATA``, else the user's cache folder.
    **other
        Parameters of the maker, where they differ from the table.

    Raises
    ------
    UnknownNameError
        When there is no such set or split.
    DataError
        When a parameter is out of range.
    """
    recipe = SETS.get(name)
    if recipe is None:
        raise UnknownNameError("simulated set", name, SETS)
    if part not in recipe.splits:
        raise UnknownNameError(f"split of {name}", part, filter(None, recipe.splits))
    given = {"size": recipe.size, **recipe.about, **recipe.splits[part], **other}
    if isinstance(given.get("scanner"), str) and recipe.maker == "hearts":
        given["scanner"] = (given["scanner"],)

    def make(_: Path | None) -> dict[str, NDArray[Any]]:
        from mednb import simulate  # OpenCV is only needed where something is made

        maker, told, start = recipe.maker, {0}, monotonic()

        def tell(done: int, of: int) -> None:
            if (quarter := 4 * done // of) not in told:
                told.add(quarter)
                what = f"{name}, {part}" if part else name
                store.say(f"{what}: {done} of {of} clips made, {monotonic() - start:.0f} s")

        if callable(maker):
            return _columns(maker(**given))
        progress = {"progress": tell} if maker == "hearts" else {}
        return _columns(getattr(simulate, maker)(**given, **progress))

    return _split(store.keep(name, {"version": recipe.version, **given}, make, root=root))


def _columns(made: Split) -> dict[str, NDArray[Any]]:
    made = made.with_digests()
    names = ("images", "labels", "groups", "masks", "clips", "digests")
    columns = {name: array for name in names if (array := getattr(made, name)) is not None}
    return columns | {f"targets.{name}": array for name, array in (made.targets or {}).items()}


def _split(columns: dict[str, Any]) -> Split:
    digests = columns.pop("digests")
    targets = {
        name.removeprefix("targets."): columns.pop(name)
        for name in [*columns]
        if name.startswith("targets.")
    }
    return Split(**columns, targets=targets or None).with_digests(digests)


# --- hearts to outline, and a patient's film brought to their geometry --------------------------


def draw_frames(split: Split, per_clip: int, *, seed: int) -> Split:
    """Return ``per_clip`` frames of every clip, drawn without replacement, as images with masks.

    ``N per_clip`` of them; labels, groups and targets with one number a clip, such as
    ``spacing_mm``, are those of their clips.
    """
    (n, t), every = split.clips.shape[:2], np.arange(len(split))[:, None]  # type: ignore[union-attr]
    rng = np.random.default_rng(seed)
    step = np.stack([rng.permutation(t)[:per_clip] for _ in range(n)])

    def drawn(film: Any) -> NDArray[np.uint8]:
        out: NDArray[np.uint8] = film[every, step].reshape(-1, *film.shape[2:])
        return out

    numbers = {name: a for name, a in (split.targets or {}).items() if a.ndim == 1}
    return Split(
        drawn(split.clips),
        np.repeat(split.labels, per_clip, axis=0),
        np.repeat(split.groups, per_clip),
        masks=drawn(split.masks),
        targets={name: np.repeat(a, per_clip) for name, a in numbers.items()} or None,
    )


def as_phantom(
    clip: Clip, *, shift: tuple[float, float] = (0, 0), zoom: float = 1.0, gamma: float = 1.0
) -> NDArray[np.uint8]:
    """Return a film ``(T, 64, 64, 1)`` uint8 as the phantoms are: probe at the top, mm a pixel.

    Brightness is stretched so that the brightest percent of the sector is white. Nothing else is
    adapted. Grey, or the first colour channel. Notebooks 03 and 06.

    Parameters
    ----------
    shift, zoom
        Right and down, in pixels of the result; and enlarged about the probe.
    gamma
        Of the brightness 0..1; below 1 is brighter.

    Raises
    ------
    DataError
        When the clip does not know its pixels' size, or is black.
    """
    import cv2  # only needed where it is used

    if clip.spacing_mm is None:
        mend = "Give it: dataclasses.replace(clip, spacing_mm=(height, width))."
        raise store.wrong("a clip that knows its pixels' size", "spacing_mm None", mend)
    frames = clip.frames[..., 0]
    seen = frames.max(axis=0) > _SEEN
    if not seen.any():
        raise store.wrong("a clip that shows something", "black frames only")
    top = int(np.flatnonzero(seen.any(axis=1))[0])
    middle = float(np.flatnonzero(seen[top : top + _TIP].any(axis=0)).mean())
    down, across = (zoom * mm / SPACING_MM for mm in clip.spacing_mm)
    x, y = (SIZE - 1) / 2 - across * middle + shift[0], -down * top + shift[1]
    A = np.array([[across, 0, x], [0, down, y]])
    # Blurred first, or speckle finer than the new pixels would alias.
    soft = [cv2.GaussianBlur(f, (0, 0), 0.5 / min(down, across)) for f in frames]
    small = np.stack([cv2.warpAffine(f, A, (SIZE, SIZE)) for f in soft]) / 255
    white = np.percentile(small[small > 0], 99)
    out: NDArray[np.uint8] = (255 * np.clip(small / white, 0, 1) ** gamma).astype(np.uint8)
    return out[..., None]


# --- pairs whose true correspondence is known, for registration --------------------------------


def beats(*, n: int, seed: int, size: int, scanner: str, frames: int, step: float) -> Split:
    """Return hearts at the end of diastole (fixed) and of systole (moving).

    Returns
    -------
    Split
        ``images`` (n, size, size, 2) uint8; ``masks`` (n, size, size) uint8 of the fixed image, see
        :data:`mednb.simulate.hearts.REGIONS`; ``targets``: ``fixed`` (n, size, size, 1) uint8, what
        the warped image has to look like; ``moving_masks`` as ``masks``; ``field`` (n, size, size,
        2) float32, the true displacement in pixels across and down on the grid of the fixed image,
        in blood that of the wall stretched over the cavity; ``spacing_mm`` of a pixel; ``ef`` %.
    """
    from mednb import simulate

    about: dict[str, Any] = {"frames": frames, "seconds_per_step": step, "displacement": True}
    film: Any = simulate.hearts(n, seed=seed, size=size, scanner=scanner, **about)
    truth, mm, i = film.targets, film.targets["spacing_mm"], np.arange(n)
    ed, es = truth["ed_step"], truth["es_step"]
    return _pairs(
        film,
        np.concatenate([film.clips[i, ed], film.clips[i, es]], axis=-1),
        film.masks[i, ed],
        moving_masks=film.masks[i, es],
        field=(truth["displacement"][i, es] / mm[:, None, None, None]).astype(np.float32),
        spacing_mm=mm,
        ef=truth["ef"],
    )


def visits(*, n: int, seed: int, size: int, scanner: str) -> Split:
    """Return a lesion at a first (fixed) and a second visit (moving), grown in between.

    The probe stands elsewhere at the second visit and presses otherwise, the lesion is cut in
    another plane, and its radii have grown by a factor of 1 to 1.4.

    Returns
    -------
    Split
        ``images`` (n, size, size, 2) uint8; ``masks`` of the lesion in the fixed image;
        ``targets``: ``fixed``, ``moving_masks`` and ``spacing_mm`` as for :func:`beats`;
        ``area_mm2`` (n, 2), the lesion's area at either visit.
    """
    from mednb import simulate
    from mednb.simulate.ultrasound import side_mm

    about: dict[str, Any] = {"scanner": scanner, "views": 2, "mix": (0, 1, 1), "growth": (1.0, 1.4)}
    both: Any = simulate.lesions(2 * n, seed=seed, size=size, **about)
    return _pairs(
        both.select(np.arange(0, 2 * n, 2)),
        np.concatenate([both.images[::2], both.images[1::2]], axis=-1),
        both.masks[::2],
        moving_masks=both.masks[1::2],
        area_mm2=both.targets["area_mm2"].reshape(n, 2),
        spacing_mm=np.full(n, side_mm(simulate.SCANNERS[scanner]) / size),
    )


def modalities(pairs: Split, *, seed: int) -> Split:
    """Return the fixed images beside the same moment in another modality and another position.

    The moving image is an MRI-like one (:func:`mednb.simulate.mr_like`) of the fixed image's
    anatomy, after the patient was laid down anew: turned by up to :data:`TURN` degrees and shifted
    by up to a share :data:`SHIFT` of the edge.

    Parameters
    ----------
    pairs
        From ``split("beats", ...)``.
    seed
        Of the move and of the other image's noise.

    Returns
    -------
    Split
        As ``pairs``, with the other images, ``moving_masks`` and ``field``.
    """
    import cv2  # only needed where it is used

    from mednb import simulate

    if pairs.masks is None:
        raise store.wrong('pairs with masks, as split("beats", ...)', "none")
    n, h, w = pairs.images.shape[:3]
    turns, across, down = np.random.default_rng(seed).uniform(-1, 1, (3, n))
    masks = np.empty((n, h, w), np.uint8)
    field = np.empty((n, h, w, 2), np.float32)
    y, x = np.mgrid[:h, :w]
    for i, mask in enumerate(pairs.masks):
        A = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), TURN * turns[i], 1.0)
        A[:, 2] += SHIFT * w * across[i], SHIFT * h * down[i]
        masks[i] = cv2.warpAffine(mask, A, (w, h), flags=cv2.INTER_NEAREST)
        field[i] = np.stack([x, y, np.ones_like(x)], axis=-1) @ A.T - np.stack([x, y], axis=-1)
    images = np.concatenate([pairs.images[..., :1], simulate.mr_like(masks, seed=seed)], axis=-1)
    targets = {**(pairs.targets or {}), "moving_masks": masks, "field": field}
    return replace(pairs, images=images, targets=targets)


def _pairs(
    like: Split, images: NDArray[np.uint8], masks: NDArray[np.uint8], **targets: NDArray[Any]
) -> Split:
    fixed = images[..., :1].copy()
    return Split(images, like.labels, like.groups, masks=masks, targets={"fixed": fixed, **targets})


def _parts(
    train: tuple[int, int], val: tuple[int, int], test: tuple[int, int], **other: Any
) -> dict[str | None, dict[str, Any]]:
    """Return how many and the seed of each split, and what else the test set is given."""
    pairs = {"train": train, "val": val, "test": test}
    parts: dict[str | None, dict[str, Any]] = {
        part: {"n": n, "seed": seed} for part, (n, seed) in pairs.items()
    }
    parts["test"] |= other
    return parts


#: A set without splits.
_ANY: dict[str | None, dict[str, Any]] = {None: {}}
#: The table.
SETS: dict[str, Recipe] = {
    "lesions": Recipe(
        "lesions",
        {},
        _parts((1200, 101), (300, 202), (600, 303)),
        size=28,
        card={
            "task": "multi-class",
            "classes": ("normal", "benign", "malignant"),
            "description": "Simulated B-mode ultrasound of breast tissue with at most one lesion.",
        },
    ),
    "hearts": Recipe(
        "hearts",
        {"frames": 32, "scanner": ("cardiac-2MHz",)},
        _parts((480, 411), (120, 422), (200, 433)),
        card={
            "task": "binary",
            "classes": ("EF 50 % or above", "EF below 50 %"),
            "positive": "EF below 50 %",
            "description": "Simulated films of the beating heart, apical four-chamber view.",
            "unit": "phantom (one clip of each)",
        },
    ),
    "brains": Recipe(
        "brains",
        {"lesions": 0.5, "family": "ellipses"},
        _parts((640, 811), (60, 822), (80, 834), family="folded"),
        card={
            "task": "binary",
            "classes": ("no lesion", "lesion"),
            "positive": "lesion",
            "description": "Simulated MR slices of the head, half of them with a planted lesion.",
            "notes": (
                "Train and validation: heads made of ellipses. Test: heads of another family, with "
                "a folded cortex, so that a test is more than one more draw.",
            ),
        },
    ),
    "looks": Recipe("looks", {"count": 16}, _parts((64, 911), (16, 922), (40, 944))),
    # Eight frames over one beat of the slowest heart: outlines need no more, and are soon made.
    "scanned": Recipe("hearts", {"frames": 8, "seconds_per_step": 0.17}, _ANY),
    # Sixteen are fine enough to hit the end of systole.
    "beats": Recipe(beats, {"frames": 16, "step": 0.08, "scanner": "cardiac-2MHz"}, _ANY),
    "visits": Recipe(visits, {"scanner": "linear-5MHz"}, _ANY),
}

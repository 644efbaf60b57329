"""Losses, scanners and nuclei: the table of notebook 06, five seeds (three with three scanners).

Part "story" trains the U-Net of the notebook on simulated hearts, by its recipe: three losses on
the mitral valve alone, a structure of few pixels; then the sum of two losses on all chambers, plain
and augmented, on one scanner and on three, with equal numbers of frames and steps. Judged on
validation hearts by the scanner it learnt from and by the same hearts on one it never saw. Every
network also reads the film of a patient that ships with pydicom. Part "nuclei" outlines and counts
nuclei, where that set is present. Notebook 06 shows ``segmentation.json`` and runs one seed again.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy import ndimage
from table import record

import mednb
from mednb import data, segmentation
from mednb.augment import jitter
from mednb.data import simulated
from mednb.errors import DownloadError
from mednb.metrics.intervals import mean_of_cases
from mednb.metrics.overlap import dice
from mednb.metrics.ventricle import ejection, volumes
from mednb.models.unet import segment, unet
from mednb.types import Split

RESULT = Path(__file__).with_name("segmentation.json")
EPOCHS, BATCH, VALVE_EPOCHS = 8, 16, 3
ONE = "cardiac-2MHz"
THREE = ("cardiac-2MHz", "cardiac-2.5MHz", "phased-2.5MHz")
JUDGED = {"seen": ONE, "new": "cardiac-1.7MHz-old"}
#: Training scanners of each arm, whether its frames are moved, and how many seeds it gets.
ARMS: dict[str, tuple[Any, bool, int]] = {
    "plain": (ONE, False, 5),
    "augmented": (ONE, True, 5),
    "three scanners": (THREE, False, 3),
    "three scanners, augmented": (THREE, True, 3),
}
#: Hearts to train on and to judge by, seeds of the simulator; two frames of each.
HEARTS = {"train": (200, 601), "val": (60, 602)}
STRUCTURES = ("cavity", "myocardium", "atrium")
#: Least distance of two nuclei in pixels.
APART = 4

cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def dice_loss(masks: Any, logits: Any) -> Any:
    """Return 1 - Dice of probabilities, the mean over images and all classes but background."""
    p = ops.softmax(logits)[..., 1:]
    g = ops.one_hot(ops.cast(masks, "int32"), logits.shape[-1])[..., 1:]
    total = ops.sum(p, axis=(1, 2)) + ops.sum(g, axis=(1, 2))
    return 1 - ops.mean((2 * ops.sum(p * g, axis=(1, 2)) + 1) / (total + 1))


def both(masks: Any, logits: Any) -> Any:
    """Return the sum of both losses."""
    return cross_entropy(masks, logits) + dice_loss(masks, logits)


LOSSES = {"cross-entropy": cross_entropy, "Dice loss": dice_loss, "both": both}


def hearts(part: str, scanner: str | tuple[str, ...]) -> Split:
    """Return two frames of every simulated heart with their masks."""
    n, seed = HEARTS[part]
    clips = simulated.split("scanned", n=n, seed=seed, scanner=scanner)
    return simulated.draw_frames(clips, 2, seed=0)


def compiled(seed: int, loss: Any, epochs: int, steps: int, **about: Any) -> keras.Model:
    """Return a new U-Net with Adam; the rate falls from 0.004 to 0 along half a cosine."""
    keras.utils.set_random_seed(seed)
    model = unet(about.pop("shape", (64, 64, 1)), about.pop("classes", 4), width=8)
    rate = keras.optimizers.schedules.CosineDecay(4e-3, epochs * steps)
    model.compile(keras.optimizers.Adam(rate), loss)
    return model


def valve(masks: NDArray[Any]) -> NDArray[np.uint8]:
    """Return 1 where cavity and atrium touch."""
    out = np.zeros(masks.shape, np.uint8)
    for i, mask in enumerate(masks):
        cavity, atrium = mask == 1, mask == 3
        out[i] = ndimage.binary_dilation(cavity) & atrium
        out[i] |= ndimage.binary_dilation(atrium) & cavity
    return out


def judged(model: keras.Model, test: Split) -> dict[str, float]:
    """Return the mean Dice of each structure."""
    said = segment(model, test.images)
    values = [dice(test.masks == k, said == k).mean() for k in (1, 2, 3)]
    return dict(zip(STRUCTURES, map(float, values), strict=True))


def story(seed: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each loss after fifty steps, then for each arm and scanner."""
    tests = {where: hearts("val", name) for where, name in JUDGED.items()}
    cine = simulated.as_phantom(data.read_dicom(data.example("echo")))
    one = hearts("train", ONE)
    steps = len(one) // BATCH
    how: dict[str, Any] = {"batch_size": BATCH, "verbose": 0}
    train, val = valve(one.masks), valve(tests["seen"].masks)
    for name, loss in LOSSES.items():
        model = compiled(seed, loss, VALVE_EPOCHS, steps, classes=2)
        model.fit(one.images, train, epochs=VALVE_EPOCHS, **how)
        said = segment(model, tests["seen"].images)
        row = {"seed": seed, "arm": name, "where": "valve"}
        yield row | {"valve": float(dice(val, said).mean())}
    for arm, (scanners, moves, seeds) in ARMS.items():
        if seed >= seeds:
            continue
        frames, start = hearts("train", scanners), time.process_time()
        model = compiled(seed, both, EPOCHS, steps)
        for epoch in range(EPOCHS):
            x, y = frames.images, frames.masks
            if moves:
                x, y, _ = jitter(x, y, seed=EPOCHS * seed + epoch)
            model.fit(x, y, **how)
        seconds = time.process_time() - start
        volume = volumes(segment(model, cine)[None] == 1, simulated.SPACING_MM)[0]
        ef = ejection(np.maximum(volume, 1e-9)).ef
        for where, test in tests.items():
            row = {"seed": seed, "arm": arm, "where": where} | judged(model, test)
            yield row | {"patient_ef": ef, "seconds": seconds}


def nuclei(seed: int) -> Iterator[dict[str, Any]]:
    """Yield Dice and F1 of the nuclei, for the U-Net and for Otsu."""
    cells = data.load("nuclei")
    train, test, start = cells.train, cells.test, time.process_time()
    about = {"shape": train.images.shape[1:], "classes": 2}
    model = compiled(seed, both, 6, len(train) // 8, **about)
    for epoch in range(6):
        x, y = (np.rot90(a, epoch, axes=(1, 2)) for a in (train.images, train.masks))
        model.fit(x, y, batch_size=8, verbose=0)
    row: dict[str, Any] = {"seed": seed, "arm": "U-Net", "where": "nuclei"}
    row |= {"seconds": time.process_time() - start}
    yield row | counted(test, segment(model, test.images) == 1)
    if seed == 0:
        soft = [cv2.GaussianBlur(image, (0, 0), 1) for image in test.images[..., 0]]
        how = cv2.THRESH_BINARY | cv2.THRESH_OTSU
        masks = np.stack([cv2.threshold(s, 0, 1, how)[1] for s in soft])
        yield {"seed": seed, "arm": "Otsu", "where": "nuclei"} | counted(test, masks == 1)


def counted(split: Split, masks: NDArray[np.bool_]) -> dict[str, float]:
    """Return the mean Dice, and F1 of single nuclei at IoU 0.5."""
    cut = [segmentation.separate(m, apart=APART) for m in masks]
    targets: Any = split.targets
    pairs = zip(targets["instances"], cut, strict=True)
    f1 = np.array([segmentation.things_f1(truth, said) for truth, said in pairs])
    overlap = mean_of_cases(dice(split.masks, masks)).value
    return {"dice": overlap, "f1": mean_of_cases(f1).value}


PARTS = {"story": story, "nuclei": nuclei}


def main() -> None:
    """Run all seeds of the parts asked for, print and keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="*", default=list(PARTS))
    arguments = parser.parse_args()
    runtime = mednb.setup(seed=0)
    content = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    content["runtime"] = repr(runtime)
    for part in arguments.parts:
        rows: list[dict[str, Any]] = []
        try:
            for seed in range(5):
                for row in PARTS[part](seed):
                    short = {k: round(v, 4) for k, v in row.items() if isinstance(v, float)}
                    rows.append(row | short)
                    print(json.dumps(rows[-1]), flush=True)
                content[part] = rows
                RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        except DownloadError as missing:
            print(f"{part} left out: {str(missing).partition('. ')[0]}")
    record("segmentation", list(_table(content)), note=_NOTE)


_NOTE = (
    "Mean over seeds with the least and the greatest; hearts: Dice on validation hearts; nuclei: "
    f"test images. Processor seconds of training, {os.cpu_count()} cores."
)


def _table(content: dict[str, Any]) -> Iterator[dict[str, str]]:
    rows = [row for part in PARTS for row in content.get(part, [])]
    for arm, where in dict.fromkeys((r["arm"], r["where"]) for r in rows):
        same = [r for r in rows if (r["arm"], r["where"]) == (arm, where)]
        cells = {"Arm": arm, "Where": where, "Seeds": str(len(same))}
        for figure in ("valve", *STRUCTURES, "dice", "f1", "patient_ef", "seconds"):
            values = [r[figure] for r in same if figure in r]
            digits = 0 if figure in ("patient_ef", "seconds") else 3
            ends = f"({min(values):.{digits}f} to {max(values):.{digits}f})" if values else ""
            cells[figure] = f"{np.mean(values):.{digits}f} {ends}" if values else ""
        yield cells


if __name__ == "__main__":
    main()

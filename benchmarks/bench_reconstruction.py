"""The study of notebook 08: training on heads alone and on a broader family; speckle, resolution.

Networks learn on heads made of ellipses and are judged on heads of another family and on real
images. Strengths of the classical methods and recipes of the networks were chosen on validation
cases. The unrolled network was chosen on validation heads and on photographs that come with
scikit-image. The broader family was chosen after a look at two of the real images; nothing was
chosen on the third. A planted lesion is read by a disc minus a ring around it.

Writes ``reconstruction.json`` beside itself after every arm; started again, it goes on where it
stopped.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import restoring
from table import record

import mednb
from mednb import data, reconstruction, simulate
from mednb.metrics.classification import auc_difference, auc_interval
from mednb.metrics.intervals import Estimate, mean_of_cases
from mednb.simulate import mri
from mednb.simulate.mri import measure
from mednb.types import Split

RESULT = Path(__file__).with_name("reconstruction.json")
#: Of the network that the notebook opens with.
STORED = Path(__file__).with_name("unrolled.npz")
SEEDS, RESTORER_SEEDS = range(5), range(3)
ACCELERATIONS = (4, 8)
#: Seeds of what is measured: validation, test.
VAL, TEST = 50, 60
#: What total variation is tried with.
WEIGHTS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04)
#: Name of a filter of speckle -> strengths tried.
STRENGTHS = {
    "median": (3, 5, 7, 9),
    "nlm": (0.05, 0.07, 0.085, 0.1, 0.15),
    "tv": (0.05, 0.07, 0.085, 0.1, 0.13),
    "bilateral": (0.2, 0.3, 0.4, 0.6),
}
#: Passes over the heads, and then over heads and the broader family.
PASSES = (3, 1)
#: Real images from pydicom; nothing was chosen on the last one.
STILLS = ("mr", "mr_abdomen", "ct")
PATIENTS = 80
RADIUS_MM = 8.0
NOTE = """\
Means over seeds, in brackets the least and the greatest. Heads: 80 of a family that no network was
trained on. The real images are stills that come with pydicom, each measured with 20 masks."""
LESIONS = """\
AUC of a lesion of 8 mm and 0.3 of white in 100 heads against their twins, and the paired difference
to the zero-filled image; means over seeds, in brackets the least and the greatest."""


class Table:
    """The file: what is done is not done again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def has(self, part: str, **key: object) -> bool:
        """Return whether a row with these values is there."""
        return any(all(r.get(k) == v for k, v in key.items()) for r in self.rows.get(part, []))

    def of(self, part: str, **key: object) -> list[dict[str, Any]]:
        """Return the rows with these values."""
        return [r for r in self.rows[part] if all(r.get(k) == v for k, v in key.items())]

    def add(self, part: str, row: dict[str, object]) -> None:
        """Keep a row, on disk too."""
        self.rows.setdefault(part, []).append(row)
        new = self.path.with_suffix(".part")
        new.write_text(json.dumps(self.rows, indent=1) + "\n", encoding="utf-8")
        new.replace(self.path)  # a kill leaves the old file or the new one
        print(json.dumps(row), flush=True)


def numbers(e: Estimate) -> list[float]:
    """Return value and interval, rounded for the file."""
    return [round(v, 4) for v in e]


def best(
    run: Callable[[float], Any], truth: Any, strengths: Sequence[float]
) -> tuple[float, dict[float, float]]:
    """Return the strength of least mean squared error on validation cases, and all errors."""
    errors = {s: float(np.mean((run(s) - truth) ** 2)) for s in strengths}
    return min(errors, key=errors.__getitem__), errors


def choose(table: Table) -> None:
    """Choose the strengths of the classical methods of MR on validation heads."""
    val = data.load("brains").val
    for R, sigma in ((4, 0.01), (8, 0.01)):
        if not table.has("chosen", method="TV", acceleration=R, sigma=sigma):
            y = measure(val.images, acceleration=R, seed=VAL, sigma=sigma)
            w, errors = best(
                lambda w, y=y: np.abs(reconstruction.total_variation(y, w)), y.truth, WEIGHTS
            )
            row = {"method": "TV", "acceleration": R, "sigma": sigma, "strength": w}
            table.add("chosen", row | {"mse": {str(k): round(v, 7) for k, v in errors.items()}})


def weight(table: Table, acceleration: int, sigma: float = 0.01) -> float:
    """Return the weight of total variation chosen on validation heads."""
    [row] = table.of("chosen", method="TV", acceleration=acceleration, sigma=sigma)
    return float(row["strength"])


def families(table: Table, seed: int) -> None:
    """Train on heads, go on with the broader family, and judge both on test heads and stills."""
    judged_on = {name: restoring.patient(name) for name in STILLS}
    judged_on["heads"] = data.load("brains").test.images
    if all(table.has("families", seed=seed, images=name) for name in judged_on):
        return
    train = data.load("brains").train.images
    unet, rate = restoring.NETWORKS["U-Net"]
    keras.utils.set_random_seed(seed)
    networks = {"U-Net": unet(), "unrolled": reconstruction.unrolled()}
    first, second = PASSES
    restoring.train(networks["U-Net"], train, epochs=first, rate=rate, seed=seed)
    restoring.train(networks["unrolled"], train, epochs=first, rate=8e-3, seed=seed)
    networks["broad"] = keras.models.clone_model(networks["unrolled"])
    networks["broad"].set_weights(networks["unrolled"].get_weights())
    mixed = np.concatenate([train, restoring.pictures(1280, seed=seed)])
    restoring.train(networks["broad"], mixed, epochs=second, rate=6e-3, seed=seed)
    lesions(table, seed, networks)
    for name, images in judged_on.items():
        for R in ACCELERATIONS:
            y = measure(images, acceleration=R, seed=TEST if name == "heads" else PATIENTS)
            made = restoring.images_of(y, weight=weight(table, R), networks=networks)
            level = {arm: restoring.psnr(y.truth, np.clip(x, 0, 1)) for arm, x in made.items()}
            for arm, each in level.items():
                row = {"arm": arm, "seed": seed, "images": name}
                row |= {"acceleration": R, "PSNR": round(float(each.mean()), 4)}
                for other in ("zero-filled", "TV"):
                    row[f"over {other}"] = numbers(mean_of_cases(each - level[other]))
                table.add("families", row)
    weights = {f"w{i:02d}": w for i, w in enumerate(networks["broad"].get_weights())}
    if seed == 0:
        np.savez_compressed(STORED, **{k: w.astype(np.float16) for k, w in weights.items()})


def disc_minus_ring(images: Any, ill: Split) -> Any:
    """Return the mean in the place of the lesion minus that of a ring around it, ``(N,)``."""
    row, column = np.mgrid[: images.shape[1], : images.shape[2]]
    place = ill.targets or {}
    away = np.hypot(row - place["row"][:, None, None], column - place["column"][:, None, None])
    radius = RADIUS_MM * images.shape[1] / mri.FIELD_MM
    means = []
    for part in (away <= radius, (away > radius + 1) & (away <= radius + 3)):
        means.append(np.sum(images * part, axis=(1, 2)) / np.sum(part, axis=(1, 2)))
    return means[0] - means[1]


def lesions(table: Table, seed: int, networks: dict[str, keras.Model]) -> None:
    """Plant a lesion in heads, and ask a reader that knows the place to tell it from the twin."""
    healthy = simulate.brains(100, seed=856, family="folded")
    ill = mri.plant(healthy, seed=70, radius_mm=RADIUS_MM, contrast=0.3)
    label, twice = np.repeat([1, 0], 100), np.tile(healthy.groups, 2)
    for R in ACCELERATIONS:
        if table.has("lesions", seed=seed, acceleration=R):
            continue
        read: dict[str, list[Any]] = {}
        for which, split in enumerate((ill, healthy)):
            y = measure(split.images, acceleration=R, seed=71 + which)
            every = measure(split.images, acceleration=1, seed=73 + which)
            made = {"all lines": restoring.zero_filled(every)}
            made |= restoring.images_of(y, weight=weight(table, R), networks=networks)
            for arm, images in made.items():
                read.setdefault(arm, []).append(disc_minus_ring(images, ill))
        score = {arm: (np.concatenate(both) + 1) / 2 for arm, both in read.items()}
        how: dict[str, Any] = {"task": "binary", "groups": twice}
        for arm, (with_it, without) in read.items():
            row: dict[str, object] = {"arm": arm, "seed": seed, "acceleration": R}
            row["contrast"] = round(float(np.mean(with_it - without)), 4)
            row["AUC"] = numbers(auc_interval(label, score[arm], **how))
            for other in ("zero-filled", "TV"):
                row[f"over {other}"] = numbers(
                    auc_difference(label, score[arm], score[other], **how)
                )
            table.add("lesions", row)


def speckle(table: Table) -> None:
    """Despeckling: filters, a network with clean targets, and one with speckled targets."""
    from mednb.data import simulated

    parts = {part: simulated.split("looks", part) for part in ("train", "val", "test")}
    val, test = (restoring.pairs(parts[p], target="mean", seed=0, looks=1) for p in ("val", "test"))
    x, y = ((s.targets or {})[k][..., 0] for s in (val,) for k in ("noisy", "clean"))
    x_test, y_test = ((test.targets or {})[k][..., 0] for k in ("noisy", "clean"))
    made = {"one look": x_test}
    for name, tried in STRENGTHS.items():
        s, errors = best(lambda s, n=name: restoring.despeckle(x, n, s), y, tried)
        if not table.has("chosen", method=name):
            row = {"method": name, "strength": s}
            table.add("chosen", row | {"mse": {str(k): round(v, 7) for k, v in errors.items()}})
        made[name] = restoring.despeckle(x_test, name, s)
    for seed in RESTORER_SEEDS:
        for target, arm in (("mean", "network, clean targets"), ("look", "network, Noise2Noise")):
            if not table.has("speckle", arm=arm, seed=seed):
                cases = restoring.pairs(parts["train"], target=target, seed=seed)
                model, _ = restoring.train_restorer(cases, seed=seed)
                add_quality(
                    table, "speckle", arm, seed, y_test, restoring.restore(model, x_test), test
                )
        for arm, images in made.items() if seed == 0 else ():
            if not table.has("speckle", arm=arm):
                add_quality(table, "speckle", arm, -1, y_test, images, test)


def resolution(table: Table) -> None:
    """Twice the resolution: interpolation against a network."""
    brains = data.load("brains")
    truth = brains.test.images[..., 0] / np.float32(255)
    low = restoring.shrink(truth, seed=TEST)
    for name in ("nearest", "bilinear", "bicubic", "lanczos"):
        if not table.has("resolution", arm=name):
            images = restoring.enlarge(low, name)
            add_quality(table, "resolution", name, -1, truth, images, brains.test)
    for seed in RESTORER_SEEDS:
        if not table.has("resolution", arm="network", seed=seed):
            model, _ = restoring.train_restorer(
                restoring.low_resolution_cases(brains.train, seed=seed),
                seed=seed,
                enlarge=2,
                epochs=2,
            )
            images = restoring.restore(model, low)
            add_quality(table, "resolution", "network", seed, truth, images, brains.test)


def add_quality(
    table: Table, part: str, arm: str, seed: int, truth: Any, images: Any, split: Split
) -> None:
    """Judge images and keep the row."""
    found = restoring.quality(truth, {arm: images}, groups=split.groups)
    row: dict[str, object] = {"arm": arm, "seed": seed}
    table.add(part, row | {f: numbers(found.estimate(arm, f)) for f in ("PSNR", "SSIM", "NMSE")})


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    mednb.setup()
    table = Table(RESULT)
    choose(table)
    for seed in parser.parse_args().seeds:
        families(table, seed)
    speckle(table)
    resolution(table)
    rows = []
    for images in ("heads", *STILLS):
        for R in ACCELERATIONS:
            for arm in ("zero-filled", "TV", "U-Net", "unrolled", "broad"):
                found = table.of("families", images=images, acceleration=R, arm=arm)
                row: dict[str, object] = {"images": images, "R": R, "method": arm}
                row |= {"seeds": len(found) if arm in ("U-Net", "unrolled", "broad") else "-"}
                row["PSNR, dB"] = f"{np.mean([r['PSNR'] for r in found]):.1f}"
                gains = [r["over TV"][0] for r in found]
                row["over TV, dB"] = (
                    f"{np.mean(gains):+.1f} ({min(gains):+.1f} to {max(gains):+.1f})"
                )
                rows.append(row)
    read = []
    for R in ACCELERATIONS:
        for arm in ("all lines", "zero-filled", "TV", "U-Net", "unrolled", "broad"):
            found = table.of("lesions", acceleration=R, arm=arm)
            auc, more = ([r[key][0] for r in found] for key in ("AUC", "over zero-filled"))
            spread = f"{np.mean(more):+.3f} ({min(more):+.3f} to {max(more):+.3f})"
            read.append(f"R = {R}, {arm}: {np.mean(auc):.3f}, {spread}")
    lines = "\n".join(f"- {line}" for line in read)
    record("reconstruction", rows, note=f"{NOTE}\n\n{LESIONS}\n\n{lines}")


if __name__ == "__main__":
    main()

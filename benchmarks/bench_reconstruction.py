"""The study of notebook 08: MR from a fourth and an eighth of the lines, speckle, resolution.

Networks learn on heads made of ellipses and are judged on heads of the same family that they have
not seen, and on heads of another. Strengths of the classical methods (weight of total variation,
h of non-local means, ...) and recipes of the networks were chosen on validation heads. The trials
had printed figures of test cases as well, so the test heads and the speckled phantoms of this study
are others, of new seeds, on which nothing had been run before. ``live`` is the recipe that the
notebook has time for, ``long`` shows every head two and a half times as often.

Writes ``reconstruction.json`` beside itself after every arm; started again, it goes on where it
stopped.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
from skimage.data import shepp_logan_phantom
from skimage.transform import resize_local_mean
from table import record

import mednb
from mednb import data, reconstruction, simulate
from mednb.metrics.intervals import Estimate
from mednb.simulate.mri import Measured, measure
from mednb.types import Split

RESULT = Path(__file__).with_name("reconstruction.json")
SEEDS = (0, 1, 2)
ACCELERATIONS = (4, 8)
#: Seeds of what is measured: validation, test, lesions.
VAL, TEST, PLANT = 50, 60, 70
RADII_MM, CONTRASTS = (5.0, 8.0, 12.0), (0.15, 0.3)
#: What total variation is tried with.
WEIGHTS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04)
NLM_H = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)
#: Name of a filter of speckle -> strengths tried.
STRENGTHS = {
    "median": (3, 5, 7, 9),
    "nlm": (0.05, 0.07, 0.085, 0.1, 0.15),
    "tv": (0.05, 0.07, 0.085, 0.1, 0.13),
    "bilateral": (0.2, 0.3, 0.4, 0.6),
}
#: How often every head is measured anew.
DRAWS = {"live": 4, "long": 10}
#: Name of a test that no network was trained for -> (acceleration, sigma of the noise).
STRESS = {
    "half the lines": (2, 0.01),
    "five times the noise": (4, 0.05),
    "Shepp-Logan": (4, 0.01),
    "blocks": (4, 0.01),
}


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


@cache
def heads() -> dict[str, Split]:
    """Return the test heads of both families, and those without a lesion."""
    return {
        "other family": data.load("brains").test,
        "same family": simulate.brains(80, seed=845, family="ellipses", lesions=0.5),
        "healthy": simulate.brains(60, seed=856, family="folded"),
    }


@cache
def seen(family: str, acceleration: int) -> Measured:
    """Return what was measured of test heads."""
    return measure(heads()[family].images, acceleration=acceleration, seed=TEST)


def judged(truth: Any, images: Any, tv: Any, groups: Any) -> dict[str, object]:
    """Return the figures of a row: mean with interval, and the gain over total variation."""
    found = reconstruction.quality(truth, {"this": images, "TV": tv}, groups=groups)
    return {
        **{f: numbers(found.estimate("this", f)) for f in ("PSNR", "SSIM", "NMSE")},
        "gain": numbers(found.gain("this", "TV")),
    }


def best(
    run: Callable[[float], Any], truth: Any, strengths: Sequence[float]
) -> tuple[float, dict[float, float]]:
    """Return the strength of least mean squared error on validation cases, and all errors."""
    errors = {s: float(np.mean((run(s) - truth) ** 2)) for s in strengths}
    return min(errors, key=errors.__getitem__), errors


def nlm(measured: Measured, strength: float) -> Any:
    """Return the zero-filled image after non-local means."""
    return reconstruction.despeckle(reconstruction.zero_filled(measured), "nlm", strength)


def choose(table: Table) -> None:
    """Choose the strengths of the classical methods of MR on validation heads."""
    val = data.load("brains").val
    for R, sigma in ((2, 0.01), (4, 0.01), (8, 0.01), (4, 0.05)):
        if not table.has("chosen", method="TV", acceleration=R, sigma=sigma):
            y = measure(val.images, acceleration=R, seed=VAL, sigma=sigma)
            w, errors = best(
                lambda w, y=y: reconstruction.total_variation(y, weight=w).images, y.truth, WEIGHTS
            )
            row = {"method": "TV", "acceleration": R, "sigma": sigma, "strength": w}
            table.add("chosen", row | {"mse": {str(k): round(v, 7) for k, v in errors.items()}})
    for R in ACCELERATIONS:
        if not table.has("chosen", method="NLM", acceleration=R):
            y = measure(val.images, acceleration=R, seed=VAL)
            h, errors = best(lambda h, y=y: nlm(y, h), y.truth, NLM_H)
            row = {"method": "NLM", "acceleration": R, "sigma": 0.01, "strength": h}
            table.add("chosen", row | {"mse": {str(k): round(v, 7) for k, v in errors.items()}})


def weight(table: Table, acceleration: int, sigma: float = 0.01) -> float:
    """Return the weight of total variation chosen on validation heads."""
    [row] = table.of("chosen", method="TV", acceleration=acceleration, sigma=sigma)
    return float(row["strength"])


@cache
def tv_images(table: Table, family: str, acceleration: int) -> Any:
    """Return total variation's images of test heads."""
    y = seen(family, acceleration)
    return reconstruction.total_variation(y, weight=weight(table, acceleration)).images


def classic(table: Table) -> None:
    """Judge the methods without learning."""
    for family in ("other family", "same family"):
        for R in ACCELERATIONS:
            y, groups = seen(family, R), heads()[family].groups
            [row] = table.of("chosen", method="NLM", acceleration=R)
            made = {
                "zero-filled": lambda y=y: reconstruction.zero_filled(y),
                "NLM": lambda y=y, h=row["strength"]: nlm(y, h),
                "TV": lambda f=family, R=R: tv_images(table, f, R),
            }
            for name, make in made.items():
                key = {"arm": name, "length": "-", "seed": -1, "heads": family, "acceleration": R}
                if not table.has("mri", **key):
                    tv = tv_images(table, family, R)
                    table.add("mri", key | judged(y.truth, make(), tv, groups))


@cache
def training(seed: int, draws: int, lesions: bool) -> Split:
    """Return training cases."""
    split = data.load("brains").train
    if not lesions:
        split = simulate.brains(len(split), seed=866, family="ellipses")
    return reconstruction.training_cases(split, draws=draws, seed=seed)


def network(table: Table, arm: str, length: str, seed: int) -> keras.Model:
    """Train a network and judge it on both families of heads."""
    name = arm.partition(",")[0]
    cases = training(seed, DRAWS[length], "no lesions" not in arm)
    if "shuffled" in arm:
        truth = (cases.targets or {})["truth"]
        truth = truth[np.random.default_rng(seed).permutation(len(cases))]
        cases = replace(cases, targets={**(cases.targets or {}), "truth": truth})
    start = time.process_time()
    model, _ = reconstruction.train_reconstructor(name, cases, seed=seed)
    took = time.process_time() - start
    for family in ("other family", "same family"):
        for R in ACCELERATIONS:
            key = {"arm": arm, "length": length, "seed": seed, "heads": family, "acceleration": R}
            if table.has("mri", **key):
                continue
            y = seen(family, R)
            images = reconstruction.reconstruct(model, y)
            about = judged(y.truth, images, tv_images(table, family, R), heads()[family].groups)
            table.add("mri", key | about | {"cpu_s": round(took)})
    if "shuffled" not in arm and "no lesions" not in arm:
        key = {"arm": f"{arm}, wrong mask", "length": length, "seed": seed}
        for R in ACCELERATIONS:
            here = key | {"heads": "other family", "acceleration": R}
            if not table.has("mri", **here):
                y = seen("other family", R)
                other = np.roll(y.mask, 1, axis=0)  # the mask of another head
                images = reconstruction.reconstruct(
                    model, Measured(y.kspace, other, y.truth, y.sigma)
                )
                tv = tv_images(table, "other family", R)
                groups = heads()["other family"].groups
                table.add("mri", here | judged(y.truth, images, tv, groups))
    return model


def stress(name: str, heads: Split, *, seed: int) -> tuple[Measured, Any]:
    """Return what was measured in one of the tests, and the groups of the cases."""
    acceleration, sigma = STRESS[name]
    images, groups = heads.images, heads.groups
    if name == "blocks":
        images = reconstruction.blocks(40, seed=seed)
    elif name == "Shepp-Logan":
        size = heads.images.shape[1:3]
        white = 255 * np.clip(resize_local_mean(shepp_logan_phantom(), size), 0, 1)
        images = np.repeat(np.rint(white).astype(np.uint8)[None], 40, axis=0)
    if images is not heads.images:
        groups = np.array([f"{name}-{i:03d}" for i in range(len(images))])
    return measure(images, acceleration=acceleration, seed=seed, sigma=sigma), groups


def stressed(table: Table, networks: dict[str, keras.Model]) -> None:
    """Judge on what no network was trained for."""
    for name, (R, sigma) in STRESS.items():
        if table.has("stress", test=name):
            continue
        y, groups = stress(name, heads()["other family"], seed=TEST + 1)
        images = reconstruction.images_of(y, weight=weight(table, R, sigma), networks=networks)
        for arm, made in images.items():
            row = {"test": name, "arm": arm, "acceleration": R, "sigma": sigma}
            table.add("stress", row | judged(y.truth, made, images["TV"], groups))


def lesions(table: Table, networks: dict[str, keras.Model]) -> None:
    """Plant lesions, and look whether they are found."""
    for R in ACCELERATIONS:
        for radius in RADII_MM:
            for c in CONTRASTS:
                key = {"acceleration": R, "radius_mm": radius, "contrast": c}
                if table.has("lesions", **key):
                    continue
                found = reconstruction.hallucination(
                    heads()["healthy"],
                    acceleration=R,
                    radius_mm=radius,
                    lesion_contrast=c,
                    weight=weight(table, R),
                    networks=networks,
                    seed=PLANT,
                )
                for arm, h in found.items():
                    row = {"arm": arm, **key, "auc": numbers(h.auc)}
                    row |= {"kept": numbers(h.kept), "invented": numbers(h.invented)}
                    table.add("lesions", row)


def speckle(table: Table) -> None:
    """Despeckling: filters, a network with clean targets, and one with speckled targets."""
    from mednb.data import simulated

    parts = {part: simulated.split("looks", part) for part in ("train", "val", "test")}
    val, test = (
        reconstruction.pairs(parts[p], target="mean", seed=0, looks=1) for p in ("val", "test")
    )
    x, y = ((s.targets or {})[k][..., 0] for s in (val,) for k in ("noisy", "clean"))
    x_test, y_test = ((test.targets or {})[k][..., 0] for k in ("noisy", "clean"))
    made = {"one look": x_test}
    for name, tried in STRENGTHS.items():
        s, errors = best(lambda s, n=name: reconstruction.despeckle(x, n, s), y, tried)
        if not table.has("chosen", method=name):
            row = {"method": name, "strength": s}
            table.add("chosen", row | {"mse": {str(k): round(v, 7) for k, v in errors.items()}})
        made[name] = reconstruction.despeckle(x_test, name, s)
    for seed in SEEDS:
        for target, arm in (("mean", "network, clean targets"), ("look", "network, Noise2Noise")):
            if not table.has("speckle", arm=arm, seed=seed):
                cases = reconstruction.pairs(parts["train"], target=target, seed=seed)
                model, _ = reconstruction.train_restorer(cases, seed=seed)
                add_quality(
                    table, "speckle", arm, seed, y_test, reconstruction.restore(model, x_test), test
                )
        for arm, images in made.items() if seed == 0 else ():
            if not table.has("speckle", arm=arm):
                add_quality(table, "speckle", arm, -1, y_test, images, test)


def resolution(table: Table) -> None:
    """Twice the resolution: interpolation against a network."""
    brains = data.load("brains")
    truth = brains.test.images[..., 0] / np.float32(255)
    low = reconstruction.shrink(truth, seed=TEST)
    for name in ("nearest", "bilinear", "bicubic", "lanczos"):
        if not table.has("resolution", arm=name):
            images = reconstruction.enlarge(low, name)
            add_quality(table, "resolution", name, -1, truth, images, brains.test)
    for seed in SEEDS:
        if not table.has("resolution", arm="network", seed=seed):
            model, _ = reconstruction.train_restorer(
                reconstruction.low_resolution_cases(brains.train, seed=seed),
                seed=seed,
                enlarge=2,
                epochs=2,
            )
            images = reconstruction.restore(model, low)
            add_quality(table, "resolution", "network", seed, truth, images, brains.test)


def add_quality(
    table: Table, part: str, arm: str, seed: int, truth: Any, images: Any, split: Split
) -> None:
    """Judge images and keep the row."""
    found = reconstruction.quality(truth, {arm: images}, groups=split.groups)
    row: dict[str, object] = {"arm": arm, "seed": seed}
    table.add(part, row | {f: numbers(found.estimate(arm, f)) for f in ("PSNR", "SSIM", "NMSE")})


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    seeds = parser.parse_args().seeds
    mednb.setup()
    table = Table(RESULT)
    choose(table)
    classic(table)
    wanted = [("unrolled", "live", 0), ("U-Net", "live", 0)]
    for arm, length, seed in wanted:
        if not table.has("mri", arm=f"{arm}, wrong mask", length=length, seed=seed):
            network(table, arm, length, seed)
    if not (
        table.has("stress", test="blocks")
        and table.has(
            "lesions",
            contrast=CONTRASTS[-1],
            radius_mm=RADII_MM[-1],
            acceleration=ACCELERATIONS[-1],
        )
    ):
        first = {arm: network(table, arm, "long", 0) for arm in ("unrolled", "U-Net")}
        stressed(table, first)
        blind = network(table, "unrolled, no lesions", "long", 0)
        lesions(table, first | {"unrolled, no lesions": blind})
    speckle(table)
    resolution(table)
    if not table.has("mri", arm="unrolled, shuffled"):
        network(table, "unrolled, shuffled", "live", 0)
    for seed in seeds:
        for length in ("live", "long"):
            for arm in ("unrolled", "U-Net"):
                if not table.has("mri", arm=f"{arm}, wrong mask", length=length, seed=seed):
                    network(table, arm, length, seed)
    rows = []
    for R in ACCELERATIONS:
        for arm, length in (("zero-filled", "-"), ("NLM", "-"), ("TV", "-"), ("U-Net", "long"),
                            ("unrolled", "live"), ("unrolled", "long")):  # fmt: skip
            found = table.of("mri", arm=arm, length=length, acceleration=R, heads="other family")
            mean, gain = (np.mean([r[f][0] for r in found]) for f in ("PSNR", "gain"))
            ssim = np.mean([r["SSIM"][0] for r in found])
            rows.append(
                {"acceleration": R, "method": f"{arm} {length.strip('-')}".strip(),
                 "seeds": len(found), "PSNR, dB": f"{mean:.1f}", "SSIM": f"{ssim:.2f}",
                 "over TV, dB": f"{gain:+.1f}"}
            )  # fmt: skip
    record("reconstruction", rows, note="80 heads of a family that no network was trained on.")


if __name__ == "__main__":
    main()

"""Who finds the motion, how well, and how fast: the tables of notebook 07.

From end-diastole to end-systole of simulated hearts, whose true displacement is known: classical
methods and the network, three seeds an arm; then two visits of a lesion, and two modalities. The
recipe was chosen on validation hearts (``TRIED``). ``network_minus`` compares the network with each
method heart by heart. Times are
of one core, per pair, taken side by side in one process. ``registration.json`` is what the notebook
shows, and of which it runs one arm again.
"""

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from table import record

import mednb
from mednb.data import simulated
from mednb.metrics.intervals import Estimate
from mednb.registration import (
    METHODS,
    both_ways,
    means,
    minus,
    per_case,
    per_visit,
    register,
    rigid,
    search,
    train_registrar,
    voxelmorph,
)
from mednb.types import Split

RESULT = Path(__file__).with_name("registration.json")
#: Pairs and seed of each split.
SPLITS = {"train": (480, 701), "val": (60, 702), "test": (100, 703)}
VISITS = {"train": (480, 711), "test": (100, 713)}
#: Of the network.
RECIPE = {"epochs": 6, "weight": 0.001, "similarity": "mse", "learning_rate": 2e-3}
SEEDS = (0, 1, 2)
#: Arms beside the recipe: what differs.
ARMS: dict[str, dict[str, Any]] = {
    "network": {},
    "network, displacement": {"diffeomorphic": False},
    "network, NCC": {"similarity": "ncc", "weight": 0.1},
}
#: Weights of the regulariser, judged on validation hearts.
WEIGHTS = (0.0, 0.001, 0.01, 0.1, 1.0)
#: What was tried, with figures on validation hearts: Dice of cavity and wall, error in mm.
TRIED = {
    "mse, weight 0.01": (0.955, 0.881, 2.17),
    "mse, weight 0.001 (taken)": (0.958, 0.888, 2.05),
    "mse, weight 0.0003, rate 4e-3": (0.956, 0.886, 2.05),
    "ncc, weight 0.1": (0.957, 0.878, 2.32),
    "ncc, weight 0.03": (0.956, 0.876, 2.40),
    "ncc, weight 0.03, rate 4e-3, width 16": (0.956, 0.874, 2.60),
}

Field = NDArray[np.float32]


def main() -> None:
    """Make every table, write the JSON file, and record the times."""
    mednb.setup()
    train, val, test = (simulated.split("beats", n=n, seed=seed) for n, seed in SPLITS.values())
    twice = both_ways(train)
    rows: list[dict[str, Any]] = []
    models, classics, against = {}, {}, []
    for name, method in METHODS.items():
        classics[name] = search(method, test.images)
        rows.append({"arm": name, **_figures(classics[name], test)})
    rows.append({"arm": "the true field", **_figures((test.targets or {})["field"], test)})
    for arm, other in ARMS.items():
        for seed in SEEDS:
            found = train_registrar(twice, seed=seed, **{**RECIPE, **other})
            models[arm] = found.model
            fields = register(found.model, test.images)
            rows.append(_row(arm, seed, fields, test))
            if arm == "network":
                against += [
                    {"method": name, "seed": seed, **_differences(fields, other, test)}
                    for name, other in classics.items()
                ]
    for seed in SEEDS:
        wrong = train_registrar(mismatched(twice), seed=seed, **RECIPE)
        arm = "network, taught on other hearts' pairs"
        rows.append(_row(arm, seed, register(wrong.model, test.images), test))
    curve = []
    for weight in WEIGHTS:
        about = {**RECIPE, "weight": weight, "diffeomorphic": False}
        found = train_registrar(twice, seed=0, **about)
        curve.append({"weight": weight, **_figures(register(found.model, val.images), val)})
    stored = {
        "splits": SPLITS,
        "visits_splits": VISITS,
        "recipe": RECIPE,
        "tried": TRIED,
        "beats": rows,
        "network_minus": against,
        "weights": curve,
        "visits": _visits(),
        "modalities": _modalities(train, test),
    }
    RESULT.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    _times(models["network"], test.images)


def _figures(fields: Field, split: Split) -> dict[str, list[float]]:
    return _rounded(means(per_case(fields, split), split.groups))


def _differences(fields: Field, other: Field, split: Split) -> dict[str, list[float]]:
    """Return by how much the first fields' figures exceed the second's, heart by heart."""
    a, b = (per_case(f, split) for f in (fields, other))
    return _rounded(minus(a, b, split.groups))


def _rounded(found: dict[str, Estimate]) -> dict[str, list[float]]:
    return {name: [round(x, 4) for x in (e.value, e.low, e.high)] for name, e in found.items()}


def _row(arm: str, seed: int, fields: Field, split: Split) -> dict[str, Any]:
    row = {"arm": arm, "seed": seed, **_figures(fields, split)}
    print(row, flush=True)
    return row


def _visits() -> list[dict[str, Any]]:
    train, test = (simulated.split("visits", n=n, seed=seed) for n, seed in VISITS.values())
    methods: dict[str, Callable[[], Field]] = {
        name: lambda name=name: search(METHODS[name], test.images)
        for name in ("identity", "ECC affine", "Farneback", "DIS", "B-spline")
    }
    methods["rigid, MI"] = lambda: search(rigid, test.images)
    about = {**RECIPE, "weight": 0.01}
    for seed in SEEDS:
        found = train_registrar(both_ways(train), seed=seed, **about)
        methods[f"network {seed}"] = lambda model=found.model: register(model, test.images)
    rows = []
    for name, run in methods.items():
        arm, _, seed = name.partition(" ") if name.startswith("network") else (name, "", "0")
        rows.append({"arm": arm, "seed": int(seed), **_growth(run(), test)})
        print(rows[-1], flush=True)
    return rows


def _growth(fields: Field, test: Split) -> dict[str, list[float]]:
    """Return how far centres are missed, overlap, and the error of the growth from the Jacobian."""
    return _rounded(means(per_visit(fields, test), test.groups))


def _modalities(train: Split, test: Split) -> list[dict[str, Any]]:
    learn, judge = (simulated.modalities(s, seed=seed) for s, seed in ((train, 721), (test, 723)))
    rows = []
    for metric in ("mse", "mi"):
        fields = search(partial(rigid, metric=metric), judge.images)
        rows.append(_row(f"rigid, {metric.upper()}", 0, fields, judge))
        about = {**RECIPE, "similarity": metric, "weight": 1.0}
        for seed in SEEDS:
            model = train_registrar(learn, seed=seed, **about).model
            rows.append(
                _row(f"network, {metric.upper()}", seed, register(model, judge.images), judge)
            )
    return [*rows, _row("identity", 0, 0 * (judge.targets or {})["field"], judge)]


def mismatched(split: Split) -> Split:
    """Return pairs of two different patients, the control in which no tissue corresponds."""
    _, first, patient, counts = np.unique(
        split.groups, return_index=True, return_inverse=True, return_counts=True
    )
    # Patient after patient, in the order in which they come; then as many on as any of them has.
    order = np.argsort(first[patient], kind="stable")
    images = split.images.copy()
    images[order, ..., 1] = images[np.roll(order, counts.max()), ..., 1]
    if 2 * counts.max() > len(split):
        raise ValueError("A patient would be paired with himself.")
    return Split(images, split.labels, split.groups, targets={"fixed": images[..., :1].copy()})


def _times(model: Any, images: NDArray[np.uint8]) -> None:
    """Record the seconds of processor time a pair, every method in turn, medians of five."""
    untrained = voxelmorph(images.shape[1:3])
    runs = {name: partial(search, m, images[:20]) for name, m in METHODS.items()}
    runs["network"] = lambda: register(model, images[:20])
    runs["network, untrained"] = lambda: register(untrained, images[:20])
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(5):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name].append((time.process_time() - start) / 20)
    median = {name: float(np.median(s)) for name, s in seconds.items()}
    slowest = median["B-spline"]
    record(
        "registration",
        [
            {"Method": n, "ms a pair": f"{1000 * s:.2f}", "Times faster": f"{slowest / s:.0f}"}
            for n, s in median.items()
        ],
        note="64 x 64 pixels, processor time, 20 pairs in one call, medians of five rounds in "
        "which every method had its turn; faster than SimpleITK's B-spline on mutual information.",
    )


if __name__ == "__main__":
    main()

"""Who finds the motion, how well, and how fast: the study behind notebook 07, five seeds an arm.

From end-diastole to end-systole of simulated test hearts, whose true displacement is known: three
classical methods, the network by the recipe of the notebook, and the control that was taught on
pairs of different hearts. Then two modalities, by mean squares and
by mutual information, and two visits of a lesion.
Notebook 07 runs one seed again. A run that was stopped goes on where it was: ``registration.json``
holds four seeds of the network so far, three of the control, and the methods without a seed. Times
are of processor time, a pair.
"""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from table import record

import mednb
from mednb.data import simulated
from mednb.metrics.intervals import mean_of_cases
from mednb.metrics.overlap import dice
from mednb.registration import METHODS, error_mm, jacobian, pull, search, voxelmorph
from mednb.types import Split

RESULT = Path(__file__).with_name("registration.json")
SEEDS = range(5)
#: Pairs and seed of each split.
HEARTS = {"train": (240, 701), "test": (100, 703)}
VISITS = {"train": (240, 711), "test": (100, 713)}
EPOCHS, BATCH, RATE, SMOOTHNESS = 6, 16, 4e-3, 1e-3
#: Weight of the roughness beside mutual information, which is larger than a squared difference.
MI_SMOOTHNESS = 1.0

Field = NDArray[np.float32]
Loss = Callable[[Any, Any], Any]


def mse(fixed: Any, warped: Any) -> Any:
    """Return the mean squared difference, ``(N,)``."""
    return ops.mean((fixed - warped) ** 2, axis=(1, 2, 3))


def minus_mi(fixed: Any, warped: Any, bins: int = 24) -> Any:
    """Return minus the mutual information in nats, ``(N,)``, over a joint histogram of hats."""
    centres = ops.arange(bins, dtype="float32") / (bins - 1)

    def hats(images: Any) -> Any:
        levels = ops.reshape(images, (ops.shape(images)[0], -1, 1))
        return ops.relu(1 - (bins - 1) * ops.abs(levels - centres))

    a, b = hats(fixed), hats(warped)
    joint = ops.matmul(ops.transpose(a, (0, 2, 1)), b) / a.shape[1]
    alone = ops.sum(joint, axis=2, keepdims=True) * ops.sum(joint, axis=1, keepdims=True)
    return -ops.sum(joint * (ops.log(joint + 1e-9) - ops.log(alone + 1e-9)), axis=(1, 2))


def roughness(field: Any) -> Any:
    """Return the mean squared step from pixel to pixel, ``(N,)``."""
    across, down = field[:, :, 1:] - field[:, :, :-1], field[:, 1:] - field[:, :-1]
    return ops.mean(across**2, axis=(1, 2, 3)) + ops.mean(down**2, axis=(1, 2, 3))


def objective(unlike: Loss, weight: float) -> Loss:
    """Return a loss for Keras: unlikeness plus so much roughness."""
    return lambda y, out: unlike(y, out[..., :1]) + weight * roughness(out[..., 1:])


def fixed_of(pairs: NDArray[np.uint8]) -> Field:
    """Return the fixed images in 0..1, what a warped image has to look like."""
    return pairs[..., :1].astype("float32") / 255


def trained(pairs: NDArray[np.uint8], seed: int, unlike: Loss = mse, **about: Any) -> keras.Model:
    """Return the network of the notebook after its training."""
    keras.utils.set_random_seed(seed)
    model = voxelmorph(pairs.shape[1:3])
    rate = keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * len(pairs) // BATCH)
    model.compile(keras.optimizers.Adam(rate), objective(unlike, about.get("weight", SMOOTHNESS)))
    model.fit(pairs, fixed_of(pairs), batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return model


def fields_of(model: keras.Model, pairs: NDArray[np.uint8]) -> Field:
    """Return the network's field of every pair."""
    return np.asarray(model.predict(pairs, batch_size=50, verbose=0)[..., 1:])


def judged(fields: Field, split: Split) -> dict[str, NDArray[Any]]:
    """Return the error in the wall in mm, Dice of the cavity, and whether it folds, by pair."""
    truth, masks = split.targets or {}, np.asarray(split.masks)
    back = pull(truth["moving_masks"], fields)
    return {
        "error_mm": error_mm(fields, truth["field"], masks == 2, truth["spacing_mm"]),
        "dice": dice(masks == 1, back == 1),
        "folded": (jacobian(fields) <= 0).any(axis=(1, 2)),
    }


def by_lesion(fields: Field, split: Split) -> dict[str, NDArray[Any]]:
    """Return by how many mm the lesion's centre is missed, its Dice, and whether it folds."""
    truth, first = split.targets or {}, np.asarray(split.masks) == 1
    second = truth["moving_masks"] == 1
    y, x = np.mgrid[: first.shape[1], : first.shape[2]]
    here = np.stack([x, y], axis=-1)
    to = np.stack([(here + u)[m].mean(axis=0) for u, m in zip(fields, first, strict=True)])
    centre = np.stack([here[m].mean(axis=0) for m in second])
    back = pull(truth["moving_masks"], fields)
    return {
        "error_mm": np.hypot(*(to - centre).T) * truth["spacing_mm"],
        "dice": dice(first, back == 1),
        "folded": (jacobian(fields) <= 0).any(axis=(1, 2)),
    }


def row(cases: dict[str, NDArray[Any]], **about: Any) -> dict[str, Any]:
    """Return means with the ends of their intervals, and in how many cases it folds."""
    found = {name: [round(v, 4) for v in mean_of_cases(y * 1.0)] for name, y in cases.items()}
    return about | found | {"folded": int(cases["folded"].sum()), "n": len(cases["folded"])}


def study() -> Iterator[tuple[tuple[str, str, int], Callable[[], dict[str, Any]]]]:
    """Yield (part, arm, seed) and what makes its row."""
    train, test = (simulated.split("beats", n=n, seed=seed) for n, seed in HEARTS.values())
    visits, lesions = (simulated.split("visits", n=n, seed=seed) for n, seed in VISITS.values())
    learn, other = (simulated.modalities(s, seed=k) for s, k in ((train, 721), (test, 723)))
    twice = np.concatenate([train.images, train.images[..., ::-1]])
    strangers = np.stack([twice[..., 0], np.roll(twice[..., 1], 1, axis=0)], axis=-1)
    rivals: dict[str, dict[str, NDArray[Any]]] = {}
    still = {"identity": lambda fixed, moving: np.zeros((*fixed.shape, 2), np.float32)}
    for name, method in (still | METHODS).items():
        fields = search(method, test.images)
        rivals[name] = judged(fields, test)
        yield ("hearts", name, 0), partial(row, rivals[name])
        yield ("visits", name, 0), partial(_search_lesions, method, lesions)
    yield ("modalities", "identity", 0), lambda: row(judged(np.zeros_like(fields), other))

    def network(pairs: NDArray[np.uint8], seed: int) -> dict[str, Any]:
        cases = judged(fields_of(trained(pairs, seed), test.images), test)
        minus = {
            name: [round(v, 4) for v in mean_of_cases(cases["error_mm"] - rival["error_mm"])]
            for name, rival in rivals.items()
        }
        return row(cases) | {"minus": minus}

    for seed in SEEDS:
        yield ("hearts", "network", seed), partial(network, twice, seed)
        yield ("hearts", "strangers", seed), partial(network, strangers, seed)
    for seed in SEEDS:
        for name, unlike, weight in (("MSE", mse, SMOOTHNESS), ("MI", minus_mi, MI_SMOOTHNESS)):
            about = {"seed": seed, "unlike": unlike, "weight": weight}
            yield ("modalities", name, seed), partial(_learn_modalities, learn, other, **about)
        yield ("visits", "network", seed), partial(_learn_lesions, visits, lesions, seed)


def _search_lesions(method: Any, lesions: Split) -> dict[str, Any]:
    return row(by_lesion(search(method, lesions.images), lesions))


def _learn_lesions(visits: Split, lesions: Split, seed: int) -> dict[str, Any]:
    twice = np.concatenate([visits.images, visits.images[..., ::-1]])
    return row(by_lesion(fields_of(trained(twice, seed), lesions.images), lesions))


def _learn_modalities(learn: Split, other: Split, **about: Any) -> dict[str, Any]:
    return row(judged(fields_of(trained(learn.images, **about), other.images), other))


def main() -> None:
    """Make what is missing of the study, write the JSON file, and record the times."""
    mednb.setup()
    rows = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else []
    rows = rows if isinstance(rows, list) else []
    done = {(r["part"], r["arm"], r["seed"]) for r in rows}
    for key, make in study():
        if key not in done:
            rows.append(dict(zip(("part", "arm", "seed"), key, strict=True)) | make())
            print(rows[-1], flush=True)
            RESULT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    _times(rows)


def _times(rows: list[dict[str, Any]]) -> None:
    """Record errors, folds and the processor time a pair, medians of five rounds."""
    test = simulated.split("beats", n=HEARTS["test"][0], seed=HEARTS["test"][1])
    model, images = voxelmorph(test.images.shape[1:3]), test.images[:20]
    runs: dict[str, Callable[[], Any]] = {n: partial(search, m, images) for n, m in METHODS.items()}
    runs |= {"network": partial(fields_of, model, images)}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(5):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name].append((time.process_time() - start) / len(images))
    table = []
    for name in ("identity", *METHODS, "network", "strangers"):
        here = [r for r in rows if r["part"] == "hearts" and r["arm"] == name]
        errors, folds = ([r[k] for r in here] for k in ("error_mm", "folded"))
        means = [e[0] for e in errors]
        table.append(
            {
                "Method": name,
                "Seeds": len(here),
                "Error, mm": f"{np.mean(means):.2f} ({min(means):.2f} to {max(means):.2f})",
                "Dice": f"{np.mean([r['dice'][0] for r in here]):.3f}",
                "Folds in, of 100": "/".join(str(f) for f in folds),
                "ms a pair": f"{1000 * np.median(seconds[name]):.2f}" if name in seconds else "",
            }
        )
    record(
        "registration",
        table,
        note="100 simulated test hearts, 64 x 64 pixels. Error: mean in the wall; of networks the "
        "mean over seeds and the range they span. Time: processor time, 20 pairs in one call, "
        "medians of five rounds in which every method had its turn.",
    )


if __name__ == "__main__":
    main()

"""How much a leak brings: more phantoms, fewer views, a network in place of a look-up; more tuning.

Notebook 05 runs a small version of each arm live. Everything is simulated, and the same phantoms
serve all arms. Writes ``leakage.json`` beside itself.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from table import record
from threadpoolctl import threadpool_limits  # one thread: small products wait for a second

import mednb
from mednb.metrics import classification
from mednb.metrics.intervals import mean_interval
from mednb.models import cnn, features
from mednb.types import Split

RESULT = Path(__file__).with_name("leakage.json")
#: Half of these phantoms (or of their images) train, the rest test.
PATIENTS = (20, 40, 80)
VIEWS = (2, 4, 8)
CANDIDATES = (1, 10, 50, 200, 500)


Real = NDArray[np.float64]
Ints = NDArray[np.int64]
Names = NDArray[np.str_]


def pixels(images: NDArray[Any]) -> Real:
    """Return grey images ``(N, H, W, 1)`` as 14 x 14 means without brightness and contrast."""
    small = [cv2.resize(g, (14, 14), interpolation=cv2.INTER_AREA).ravel() for g in images[..., 0]]
    flat = np.array(small, np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    spread = flat.std(axis=1, keepdims=True)
    return np.asarray(flat / np.where(spread > 0, spread, 1))


@threadpool_limits.wrap(limits=1)
def by_split(x: Real, y: Ints, groups: Names, *, patients: int = 40, seeds: int) -> pd.DataFrame:
    """Judge nearest neighbours with images split at random, and with patients split.

    ``patients`` are drawn; half of their images (or half of them) train, the rest test. All others
    are fresh: they show which of the two reports was true. AUC, a row a seed.
    """
    rows = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(np.unique(groups))
        mine, fresh = np.isin(groups, order[:patients]), np.isin(groups, order[patients:])
        a, b = x[mine], y[mine]
        image = rng.permutation(len(b)) < len(b) // 2
        group = np.isin(groups[mine], order[: patients // 2])
        row = {}
        for name, test in (("by_image", image), ("by_group", group)):
            model = _nearest().fit(a[~test], b[~test])
            row[name] = _auc(model, a[test], b[test])
            row[f"{name}_fresh"] = _auc(model, x[fresh], y[fresh])
        rows.append(row)
    return pd.DataFrame(rows)


@threadpool_limits.wrap(limits=1)
def by_tuning(
    train: tuple[Real, Ints], others: tuple[Real, Ints, Names], *, candidates: int = 200, draws: int
) -> dict[str, pd.DataFrame]:
    """Choose the best of many models on the test cases, or on validation cases, and look again.

    The candidates, logistic regressions on four random columns, learn from ``train``. Each draw
    splits the ``others`` into 30 patients for validation, 30 for the test, and fresh ones. By
    where it was chosen: the AUC of the best on the test and on fresh cases, a row a draw.
    """
    (x, y), (x_other, y_other, groups) = train, others
    rng = np.random.default_rng(0)
    said = np.empty((candidates, len(x_other)))
    for row in said:
        some = rng.choice(x.shape[1], 4, replace=False)
        row[:] = _logistic().fit(x[:, some], y).predict_proba(x_other[:, some])[:, 1]
    found: dict[str, list[dict[str, float]]] = {"test": [], "validation": []}
    for _ in range(draws):
        parts = np.split(rng.permutation(np.unique(groups)), [30, 60])
        val, test, fresh = (np.isin(groups, part) for part in parts)
        for name, on in (("test", test), ("validation", val)):
            # The AUC of all candidates at once: the ranks of the positive cases.
            best = rankdata(said[:, on], axis=1)[:, y_other[on] == 1].sum(axis=1).argmax()
            places = {"on_test": test, "on_fresh": fresh}
            auc = {n: float(roc_auc_score(y_other[k], said[best, k])) for n, k in places.items()}
            found[name].append(auc)
    return {name: pd.DataFrame(rows) for name, rows in found.items()}


def _nearest() -> Any:
    """Return a model that remembers every training image: the five nearest vote by closeness."""
    return KNeighborsClassifier(5, weights="distance", algorithm="brute")


def _logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))


def _auc(model: Any, x: Real, y: Ints) -> float:
    return float(roc_auc_score(y, model.predict_proba(x)[:, 1]))


def pool() -> Split:
    """Return 120 phantoms with a lesion, eight views each."""
    return mednb.simulate.lesions(960, seed=505, views=8, mix=(0, 1, 1))


def estimate(values: object) -> list[float]:
    """Return mean and Student's 95 % interval over seeds."""
    return [round(x, 4) for x in mean_interval(values)]


def look_up(split: Split, seeds: int) -> list[dict[str, object]]:
    """Measure the inflation of nearest neighbours for numbers of phantoms and of views."""
    x, y = pixels(split.images), (split.labels == 2).astype(int)
    view = np.arange(len(y)) % 8
    rows = []
    for patients in PATIENTS:
        for views in VIEWS:
            some = view < views
            found = by_split(
                x[some],
                y[some],
                split.groups[some],
                patients=patients,
                seeds=seeds,
            )
            rows.append(
                {
                    "patients": patients,
                    "views": views,
                    "by_image": estimate(found.by_image),
                    "by_group": estimate(found.by_group),
                    "inflation": estimate(found.by_image - found.by_group),
                }
            )
    return rows


def network(split: Split, seeds: int, epochs: int = 30) -> dict[str, object]:
    """Train the textbook CNN on 40 phantoms with eight views, split by image and by phantom."""
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(np.unique(split.groups))
        mine = split.select(np.isin(split.groups, order[:40]))
        fresh = split.select(np.isin(split.groups, order[40:]))
        row = []
        for test in (
            rng.permutation(len(mine)) < len(mine) // 2,
            np.isin(mine.groups, order[:20]),
        ):
            mednb.setup(seed=seed)
            model = cnn.textbook_cnn(classes=3)
            mednb.train.fit(
                model, mine.select(~test), val=None, epochs=epochs, seed=seed, verbose=False
            )
            for part in (mine.select(test), fresh):
                p = np.asarray(model.predict(part.images, verbose=0))
                score = p[:, 2] / p[:, 1:].sum(axis=1)  # no normal phantom here
                row.append(classification.auc((part.labels == 2) + 0, score, task="binary"))
        found.append(row)
        print(seed, np.round(row, 3), flush=True)
    image, image_fresh, group, group_fresh = np.array(found).T
    return {
        "epochs": epochs,
        "by_image": estimate(image),
        "by_group": estimate(group),
        "by_image_fresh": estimate(image_fresh),
        "by_group_fresh": estimate(group_fresh),
        "inflation": estimate(image - group),
    }


def tuning(draws: int) -> list[dict[str, object]]:
    """Choose the best of K models on a test of 30 phantoms, or on as many for validation."""
    lesions = mednb.data.load("lesions")
    x = features.measure(lesions)
    train, test = ((x[n], (getattr(lesions, n).labels == 2).astype(int)) for n in ("train", "test"))
    rows = []
    for k in CANDIDATES:
        found = by_tuning(train, (*test, lesions.test.groups), candidates=k, draws=draws)
        gaps = {name: estimate(f.on_test - f.on_fresh) for name, f in found.items()}
        rows.append({"candidates": k, **gaps})
    return rows


def main() -> None:
    """Run all arms, print and keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--network-seeds", type=int, default=8)
    arguments = parser.parse_args()
    runtime = mednb.setup(seed=0)
    split = pool()
    content = {
        "runtime": repr(runtime),
        "seeds": arguments.seeds,
        "network_seeds": arguments.network_seeds,
        "look_up": look_up(split, arguments.seeds),
        "tuning": tuning(arguments.seeds),
        "network": network(split, arguments.network_seeds),
    }
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def shown(e: list[float]) -> str:
        return f"{e[0]:.2f} ({e[1]:.2f} to {e[2]:.2f})"

    rows = [
        {
            "leak": f"{r['views']} views of a phantom on both sides",
            "model": f"nearest neighbours, {r['patients']} phantoms",
            "with the leak": shown(r["by_image"]),
            "without": shown(r["by_group"]),
            "inflation": shown(r["inflation"]),
        }
        for r in content["look_up"]
    ]
    net = content["network"]
    rows.append(
        {
            "leak": "8 views of a phantom on both sides",
            "model": "textbook CNN, 40 phantoms",
            "with the leak": shown(net["by_image"]),
            "without": shown(net["by_group"]),
            "inflation": shown(net["inflation"]),
        }
    )
    rows += [
        {
            "leak": f"best of {r['candidates']} chosen on the test",
            "model": "logistic regression on four features",
            "with the leak": "",
            "without": f"chosen on validation: {shown(r['validation'])}",
            "inflation": shown(r["test"]),
        }
        for r in content["tuning"]
    ]
    record(
        "leakage",
        rows,
        note=f"Test AUC; mean and 95 % interval over {arguments.seeds} seeds or draws "
        f"({arguments.network_seeds} for the CNN). Simulated lesions.",
    )


if __name__ == "__main__":
    main()

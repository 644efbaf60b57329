"""Does a GAN help a classifier? Seven arms at three numbers of real images, eight runs each.

A run has patients of its own (phantoms nobody else trains on), its own GAN and its own classifier,
so runs are independent but for the validation and test images they share. Within a run every arm
starts from the same weights and takes the same 300 updates. The GAN sees the run's real images and
no others. How many generated images to mix in, and how strong the classic augmentation should be,
was chosen for each number of real images by the validation AUC of two pilot runs, whose patients
appear in no run. The test images were looked at once, by the trained arms.

Writes ``gan.json`` beside itself after every arm; started again, it goes on where it stopped.
"""

import argparse
import json
import time
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import gan_trial as trial
import numpy as np
from gan_trial import ARMS, table, test_auc
from table import record

import mednb
from mednb import simulate
from mednb.metrics import classification
from mednb.types import Split

RESULT = Path(__file__).with_name("gan.json")
SIZES = (50, 100, 400)
RUNS, PILOTS = 8, (90, 91)
#: Tried before the GAN was frozen, at width 32 and 800 updates on 400 embedded training phantoms:
#: validation AUC of a classifier that saw generated images only. They hardly differ; width 16 and
#: 600 updates were then taken to save time. No test figure was looked at.
TRIED = {
    "non-saturating, rates 1e-3 and 1e-3": 0.724,
    "non-saturating, rates 5e-4 and 2e-3": 0.702,
    "non-saturating without spectral normalisation": 0.701,
    "hinge without spectral normalisation, rates 1e-3 and 5e-4": 0.696,
}
#: What the pilots choose from.
SHARES, STRENGTHS = (0.25, 0.5), (0.5, 1.0)
#: Phantoms of a run: the real images of every size are the first of them, extra ones the last.
POOL, FIRST_SEED = 1600, 1000


class File:
    """The file: what is done is not done again."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self.path = path
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.content = {**head, **{k: found.get(k, []) for k in ("pilots", "generators", "runs")}}

    def has(self, part: str, **key: object) -> bool:
        """Return whether a row with these values is there."""
        return any(all(row[k] == v for k, v in key.items()) for row in self.content[part])

    def add(self, kind: str, row: dict[str, object]) -> None:
        """Keep a row, on disk too."""
        self.content[kind].append(row)
        self.save()
        print(json.dumps(row), flush=True)

    def save(self) -> None:
        """Write the file."""
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
        part.replace(self.path)  # a kill leaves the old file or the new one


@cache
def phantoms(run: int) -> Split:
    """Return the phantoms of a run, one image each, without speckle."""
    made = simulate.lesions(POOL, seed=FIRST_SEED + run, views=1)
    return trial.with_size(trial.despeckled(made))


class Run:
    """The images of one run at one number of real images; its GAN is trained when first needed."""

    def __init__(self, n: int, run: int) -> None:
        pool = phantoms(run)
        lesions = mednb.data.load("lesions")
        self.n, self.run = n, run
        self.real, self.extra = pool.select(np.arange(n)), pool.select(np.arange(max(SIZES), POOL))
        self.val, self.test = (
            trial.despeckled(lesions.val),
            trial.despeckled(lesions.test),
        )
        self.seconds = 0.0

    @cached_property
    def synthetic(self) -> Split:
        """Train the GAN, when it is first asked for; return what it makes."""
        start = time.process_time()
        # The GAN is told the class and the radius of the lesion; no classifier is told the radius.
        model = trial.train_generator(self.real, seed=self.run)
        made = trial.generate(model, self.real, seed=self.run)
        self.seconds = time.process_time() - start
        return made

    def score(self, arm: str, *, share: float, strength: float) -> dict[str, object]:
        """Train an arm; return its AUC on validation and test images."""
        added, classic = ARMS[arm]
        synthetic = self.synthetic if added == "generated" else None
        source = {"nothing": None, "copies": self.real, "generated": synthetic, "extra": self.extra}
        start = time.process_time()
        model = trial.train_arm(
            self.real,
            source[added],
            val=self.val,
            seed=self.run,
            share=1.0 if arm == "GAN only" else share,
            strength=strength if classic else None,
        )
        auc = {
            name: classification.auc(s.labels, np.asarray(model(s.images)), task="multi-class")
            for name, s in (("val", self.val), ("test", self.test))
        }
        seconds = round(time.process_time() - start, 1)
        return {**{name: round(float(a), 6) for name, a in auc.items()}, "seconds": seconds}

    def judge(self) -> dict[str, object]:
        """Return figures of the generated images against real ones the GAN never saw."""
        unseen = self.test.select(np.arange(0, len(self.test), 2))  # one view of each phantom
        made = self.synthetic
        row: dict[str, object] = {"n": self.n, "run": self.run, "seconds": round(self.seconds, 1)}
        texture = trial.random_convolution(self.val.images)
        found = trial.beside_floor(texture(unseen.images), texture(made.images))
        row["frechet"], row["frechet_floor"] = (round(float(v), 3) for v in found)
        layout = trial.principal_components(self.val.images)
        known = {"train": self.real.images, "holdout": self.extra.images[: 2 * self.n]}
        features = {name: layout(images) for name, images in known.items()}
        share = trial.share_nearest_train(layout(made.images[: self.n]), **features)
        row["share_nearest_train"] = round(share, 3)
        return row


def pilot(kept: File) -> dict[str, dict[str, float]]:
    """Run the pilots; return the share and strength of each number of real images."""
    tried = [("GAN", "share", s) for s in SHARES] + [("classic", "strength", s) for s in STRENGTHS]
    for run in PILOTS:
        for n in SIZES:
            images = None
            for arm, what, value in tried:
                if kept.has("pilots", n=n, run=run, arm=arm, value=value):
                    continue
                images = images or Run(n, run)
                settings = {"share": 0.5, "strength": 1.0, what: value}
                val = images.score(arm, **settings)["val"]
                kept.add("pilots", {"n": n, "run": run, "arm": arm, "value": value, "val": val})
    choice: dict[str, dict[str, float]] = {}
    for n in SIZES:
        choice[str(n)] = {}
        for arm, what, values in (("GAN", "share", SHARES), ("classic", "strength", STRENGTHS)):
            mean = {
                v: np.mean(
                    [
                        row["val"]
                        for row in kept.content["pilots"]
                        if (row["n"], row["arm"], row["value"]) == (n, arm, v)
                    ]
                )
                for v in values
            }
            choice[str(n)][what] = max(mean, key=lambda v: mean[v])
    return choice


def main() -> None:
    """Run what is missing; print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    runtime = mednb.setup(seed=0)
    head = {
        "what": "test AUC (mean over three classes) of a classifier, by arm, real images and run",
        "runtime": repr(runtime),
        "n_test": 600,
        "sizes": SIZES,
        "updates": trial.EPOCHS * trial.CASES // trial.BATCH,
        "gan": {"latent": 32, "width": 16, "rates": (1e-3, 1e-3), "updates": trial.STEPS},
        "tried": TRIED,
    }
    kept = File(options.out, head)
    choice = pilot(kept)
    kept.content["choice"] = choice
    for run in range(options.runs):
        for n in SIZES:
            missing = [arm for arm in ARMS if not kept.has("runs", n=n, run=run, arm=arm)]
            images = Run(n, run) if missing else None
            for arm in missing:
                scores = images.score(arm, **choice[str(n)])
                kept.add("runs", {"n": n, "run": run, "arm": arm, **scores})
            if not kept.has("generators", n=n, run=run):
                kept.add("generators", (images or Run(n, run)).judge())
    kept.save()
    runs = test_auc(kept.content).index.get_level_values("run").nunique()
    minutes = sum(r["seconds"] for part in ("runs", "generators") for r in kept.content[part]) / 60
    note = (
        f"Gain in test AUC over 'real only', {runs} runs. Student's intervals of the paired gain, "
        f"which hold together in 95 % (Bonferroni, 12 looks). {minutes:.0f} CPU minutes in all."
    )
    record("gan", table(kept.content), note=note)


if __name__ == "__main__":
    main()

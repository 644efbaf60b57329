"""EchoNet-Dynamic's protocol for those who licensed it: ejection fraction from 32 frames, period 2.

    python benchmarks/echonet_protocol.py                  on a GPU, whole set, official split
    python benchmarks/echonet_protocol.py --model gru      frame encoder and GRU instead
    python benchmarks/echonet_protocol.py --dry-run        seconds, on made films: the figures mean
                                                           nothing, only that everything runs

As in the paper (Ouyang et al., Nature 2020, doi:10.1038/s41586-020-2145-8): clips of 32 frames,
every second frame, 112 x 112; mean square error; batches of 20; 45 epochs, of which the best on
validation counts. Not as in the paper: these networks are small and start from nothing, where its
R(2+1)D-18 had learnt from Kinetics-400; one clip a film (the middle one) instead of all beats; no
random crops; Adam instead of SGD. So expect less than its figures, which are printed beside.
"""

import argparse
import csv
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from clip_networks import r2plus1d, two_stages

import mednb
from mednb import train
from mednb.data.films import load_echonet
from mednb.metrics import classification
from mednb.metrics.agreement import agreement
from mednb.models import rnn
from mednb.types import Dataset

#: Test figures of the paper: all beats of a film, and one clip of it.
PUBLISHED = {"all beats": (4.05, 5.33, 0.81), "one clip": (4.22, 5.56, 0.80)}
#: Films of each split in a dry run, their edge length in pixels, and their frames.
DRY = {"TRAIN": 8, "VAL": 4, "TEST": 4}
DRY_SIZE, DRY_FRAMES = 32, 16


def make_films(folder: Path, *, seed: int = 0) -> Path:
    """Write a miniature of the set: simulated hearts as films, with both tables."""
    import cv2

    from mednb.simulate import hearts

    n, size = sum(DRY.values()), DRY_SIZE
    made = hearts(n, seed=seed, size=size, frames=DRY_FRAMES)
    truth: Any = made.targets
    (folder / "Videos").mkdir(parents=True)
    films, tracings = [], []
    for i, split in enumerate(name for name, k in DRY.items() for _ in range(k)):
        name = f"MADE{i:03d}"
        films.append(
            {
                "FileName": name,
                "EF": truth["ef"][i],
                "ESV": truth["esv"][i],
                "EDV": truth["edv"][i],
                "FrameHeight": size,
                "FrameWidth": size,
                "FPS": 1 / truth["seconds_per_step"][i],
                "NumberOfFrames": DRY_FRAMES,
                "Split": split,
            }
        )
        for frame, half in ((int(truth["es_step"][i]), 4), (int(truth["ed_step"][i]), 6)):
            rows = [(16, 4, 16, 28), *((16 - half, y, 16 + half, y) for y in (6, 12, 18, 24))]
            tracings += [
                {"FileName": f"{name}.avi", **dict(zip(("X1", "Y1", "X2", "Y2"), r, strict=True))}
                | {"Frame": frame}
                for r in rows
            ]
        path = str(folder / "Videos" / f"{name}.avi")
        code = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(path, cv2.CAP_FFMPEG, code, 25.0, (size, size))
        for frame in made.clips[i]:
            writer.write(np.repeat(frame, 3, axis=-1))
        writer.release()
    for table, content in (("FileList.csv", films), ("VolumeTracings.csv", tracings)):
        with (folder / table).open("w", newline="", encoding="utf-8") as f:
            out = csv.DictWriter(f, list(content[0]))
            out.writeheader()
            out.writerows(content)
    return folder


def build(kind: str, shape: tuple[int, ...], ef: np.ndarray) -> Any:
    """Return a compiled network; its last layer starts at the mean of the training set."""
    import keras

    answer = {"activation": "linear", "mean": float(ef.mean()), "sd": float(ef.std())}
    whole = kind == "r2plus1d"
    model = r2plus1d(shape, **answer) if whole else two_stages(kind, shape, **answer)
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0), "mean_squared_error")
    return model


def run(
    data: Dataset,
    *,
    kind: str,
    epochs: int,
    batch_size: int,
    seed: int,
    resume: Path | None = None,
    replicates: int = 2000,
) -> dict[str, Any]:
    """Train on train, choose the epoch by val, look at test once; print and return the figures."""
    import keras

    keras.utils.set_random_seed(seed)
    assert data.train.clips is not None  # noqa: S101
    train_ef, test_ef = (np.asarray(s.targets["ef"]) for s in (data.train, data.test))
    model = build(kind, data.train.clips.shape[1:], train_ef)
    start = time.perf_counter()
    history = train.fit(
        model,
        data.train,
        val=data.val,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        x="clips",
        y="ef",
        keep="best",
        resume=resume,
    )
    seconds = time.perf_counter() - start
    said = np.concatenate(
        [
            np.asarray(model.predict(data.test.clips[i : i + batch_size], verbose=0))[:, 0]
            for i in range(0, len(data.test), batch_size)
        ]
    )
    options = {"groups": data.test.groups, "seed": seed, "replicates": replicates}
    found = agreement(test_ef, said, unit="EF points", **options)
    mean = np.full(len(test_ef), train_ef.mean())
    baseline = agreement(test_ef, mean, unit="EF points", **options)
    print(f"\n{kind}, {model.count_params():,} parameters, best epoch {history.best_epoch}")
    print(found)
    print(f"guessing the training mean: MAE {baseline.mae.value:.2f}")
    for name, (mae, rmse, r2) in PUBLISHED.items():
        print(f"published, {name:<9}: MAE {mae:.2f}  RMSE {rmse:.2f}  R2 {r2:.2f}")
    result = {
        "model": kind,
        "films": [len(s) for s in (data.train, data.val, data.test)],
        "epochs": epochs,
        "best_epoch": history.best_epoch,
        "seed": seed,
        "seconds": round(seconds, 1),
        "baseline_mae": baseline.mae.value,
    }
    result |= {name: list(getattr(found, name)) for name in ("mae", "rmse", "r2")}
    if len(set(data.test.labels.tolist())) == 2:
        low = 1 - np.clip(said, 0, 100) / 100  # AUC asks for the order only
        report = classification.evaluate(data.test.labels, low, task="binary", **options)
        print(f"EF below 50 %: AUC {report.auc}")
        result["auc"] = list(report.auc)
    return result


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Read the command line, run, and return the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", choices=("r2plus1d", *rnn.KINDS), default="r2plus1d")
    parser.add_argument("--epochs", type=int, default=45)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--size", type=int, default=112, help="edge length in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", type=Path, help="folder of the set; default MEDNB_DATA")
    parser.add_argument("--resume", type=Path, help="folder of checkpoints, to go on from")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--dry-run", action="store_true", help="made films, one epoch")
    o = parser.parse_args(arguments)
    mednb.setup(seed=o.seed)
    common = {"kind": o.model, "seed": o.seed, "resume": o.resume}
    if o.dry_run:
        with tempfile.TemporaryDirectory() as folder:
            root = make_films(Path(folder) / "echonet")
            data = load_echonet(root=root, size=DRY_SIZE, frames=DRY_FRAMES // 2, period=2)
            print("DRY RUN on simulated films: only shows that everything runs.")
            result = run(data, epochs=1, batch_size=4, replicates=200, **common)
    else:
        data = load_echonet(root=o.root, size=o.size)
        print(data.card())
        result = run(data, epochs=o.epochs, batch_size=o.batch_size, **common)
    if o.out:
        o.out.write_text(json.dumps(result, indent=1) + os.linesep, encoding="utf-8")
    return result


if __name__ == "__main__":
    main()

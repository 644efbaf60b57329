"""Peak memory and time of loading a set larger than one would like to hold in memory.

A set of 224-pixel images in the official layout is made up (1.5 GB of uint8, compressed), then
opened in fresh processes: by ``mednb.data.load``, and by plain ``np.load``, as peers do.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
import table

COUNTS = {"train": 24_000, "val": 2_000, "test": 4_000}
SIZE = 224
BATCH, BATCHES = 128, 50
NAME = "breastmnist"


def make(path: Path) -> None:
    """Write the set block by block; blocky images, so that making it does not take minutes."""
    rng = np.random.default_rng(0)
    archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive:
        for split, n in COUNTS.items():
            with archive.open(f"{split}_images.npy", "w", force_zip64=True) as f:
                header = {"descr": "|u1", "fortran_order": False, "shape": (n, SIZE, SIZE)}
                np.lib.format.write_array_header_1_0(f, header)
                for _ in range(0, n, 500):
                    small = rng.integers(0, 256, (500, SIZE // 8, SIZE // 8), dtype=np.uint8)
                    f.write(small.repeat(8, axis=1).repeat(8, axis=2).tobytes())
            with archive.open(f"{split}_labels.npy", "w") as f:
                np.lib.format.write_array(f, rng.integers(0, 2, (n, 1), dtype=np.uint8))


def peak_bytes() -> int:
    """Largest resident memory of this process so far; mapped pages that were touched count."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    info = psutil.Process().memory_info()
    return int(getattr(info, "peak_wset", info.rss))


def mapped_bytes() -> int:
    """Pages of mapped files in memory now, which the system may take back (0 if not told)."""
    return int(getattr(psutil.Process().memory_info(), "shared", 0))


def child(way: str, folder: str) -> dict[str, float]:
    """Do one thing in this fresh process; return seconds and peak memory."""
    from mednb.data import medmnist

    path = Path(folder) / f"{NAME}_{SIZE}.npz"
    before, start = peak_bytes(), time.perf_counter()
    if way.startswith("mednb"):
        from mednb import data

        about = dict(medmnist.info()[NAME])
        with path.open("rb") as f:
            md5 = hashlib.file_digest(f, lambda: hashlib.md5(usedforsecurity=False))
        about[f"MD5_{SIZE}"] = md5.hexdigest()
        about["n_samples"] = COUNTS
        medmnist.info = lambda: {NAME: about}  # type: ignore[assignment]
        start = time.perf_counter()
        ds = data.load(NAME, root=folder, size=SIZE)
        if "batches" in way:
            rng = np.random.default_rng(0)
            for _ in range(BATCHES):
                rows = np.sort(rng.choice(len(ds.train), BATCH, replace=False))
                ds.train.images[rows].mean()
    elif way.startswith("np.load"):
        with np.load(path, allow_pickle=False) as archive:
            arrays = [archive[f"{split}_images"] for split in COUNTS]
        if sum(map(len, arrays)) != sum(COUNTS.values()):
            raise RuntimeError("the set is not what was made")
    return {
        "s": time.perf_counter() - start,
        "peak": peak_bytes(),
        "own": psutil.Process().memory_info().rss - mapped_bytes(),
        "before": before,
    }


def main() -> None:
    """Make the set, measure each way of opening it, write the table."""
    images = sum(COUNTS.values()) * SIZE * SIZE
    ways = [
        "nothing (imports only)",
        "mednb.data.load, first time (verifies, unpacks)",
        "mednb.data.load, later",
        f"mednb.data.load, later, then {BATCHES} random batches of {BATCH}",
        "np.load, every array",
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{NAME}_{SIZE}.npz"
        make(path)
        for way in ways:
            command = [sys.executable, __file__, way, folder]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            rows.append(
                {
                    "what": way,
                    "images (MB)": round(images / 1e6),
                    "file (MB)": round(path.stat().st_size / 1e6),
                    "seconds": f"{found['s']:.2f}",
                    "peak memory (MB)": round(found["peak"] / 1e6),
                    "before (MB)": round(found["before"] / 1e6),
                    "at the end without mapped files (MB)": round(found["own"] / 1e6),
                }
            )
    table.record(
        "data",
        rows,
        note="Peak resident memory of a fresh process each, touched pages of mapped files "
        "included; "
        "the last column leaves those out, because the system takes them back when it needs "
        "room. One run each.",
    )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(child(*sys.argv[1:])))
    else:
        main()

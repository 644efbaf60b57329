"""The stored result of an augmentation trial: every arm, every number of real images, every run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mednb.errors import DataError, UnknownNameError
from mednb.metrics.table import Table
from mednb.train.arms import ARMS, Gain, compare

__all__ = ["Trial", "read_trial"]


@dataclass(frozen=True)
class Trial:
    """A table of test AUCs. Prints as gains over the control. Notebook 04.

    Parameters
    ----------
    auc
        ``(real images, run, arm)`` -> AUC on the test images, 0..1.
    sizes
        Numbers of real images.
    settings
        Number of real images -> what :func:`mednb.train.arms.train_arm` takes, chosen on
        validation images.
    generators
        One row a GAN: ``n``, ``run``, and figures of its images.
    """

    auc: Mapping[tuple[int, int, str], float]
    sizes: tuple[int, ...]
    settings: Mapping[int, Mapping[str, float]]
    generators: Sequence[Mapping[str, float]]

    def scores(self, n: int, arm: str) -> list[float]:
        """Return the AUC of every run of an arm, in the order of the runs.

        Raises
        ------
        UnknownNameError
            When there is no such arm.
        DataError
            When there is no run with so many real images.
        """
        if arm not in ARMS:
            raise UnknownNameError("arm", arm, ARMS)
        found = sorted(
            (run, value) for (m, run, a), value in self.auc.items() if (m, a) == (n, arm)
        )
        if not found:
            raise DataError(f"Expected one of {self.sizes} real images. Received: {n}.")
        return [value for _, value in found]

    def gains(self, n: int) -> dict[str, Gain]:
        """Return what every arm with real images gained over "real only", paired by run."""
        return compare({name: self.scores(n, name) for name, arm in ARMS.items() if arm.real})

    def verdict(self, n: int, arm: str = "GAN") -> str:
        """Return "helps" or "harms" where Holm's p is below 0.05, else "no benefit shown"."""
        gain = self.gains(n)[arm]
        if gain.p_holm >= 0.05:
            return "no benefit shown"
        return "helps" if gain.difference.value > 0 else "harms"

    def table(self) -> Table:
        """Return a row an arm and a column for each number of real images."""
        gains = {n: self.gains(n) for n in self.sizes}
        control = next(iter(ARMS))
        rows = [(control, *(f"AUC {np.mean(self.scores(n, control)):.3f}" for n in self.sizes))]
        rows += [
            (arm, *(_shown(gains[n][arm]) for n in self.sizes)) for arm in gains[self.sizes[0]]
        ]
        runs = len(self.scores(self.sizes[0], control))
        return Table(
            f"Gain in test AUC over {control!r}, {runs} runs",
            ("arm", *(f"{n} real images" for n in self.sizes)),
            tuple(rows),
            ("Student's 95 % interval of the paired gain; exact sign-flip p after Holm.",),
        )

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_markdown_(self) -> str:
        return self.table()._repr_markdown_()


def read_trial(path: str | PathLike[str]) -> Trial:
    """Read what ``benchmarks/bench_gan.py`` wrote. Runs that are not complete are left out.

    Raises
    ------
    DataError
        When no run is complete.
    """
    stored: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    rows = {(r["n"], r["run"], r["arm"]): float(r["test"]) for r in stored["runs"]}
    sizes = tuple(stored["sizes"])
    needed = {
        run: {(n, run, arm) for n in sizes for arm in ARMS} for run in {run for _, run, _ in rows}
    }
    complete = {run for run, keys in needed.items() if keys <= rows.keys()}
    if not complete:
        raise DataError(
            f"Expected a trial with at least one complete run. Received: {len(rows)} results. "
            f"Run benchmarks/bench_gan.py to its end; it goes on where it stopped."
        )
    return Trial(
        auc={key: value for key, value in rows.items() if key[1] in complete},
        sizes=sizes,
        settings={int(n): chosen for n, chosen in stored["choice"].items()},
        generators=[g for g in stored["generators"] if g["run"] in complete],
    )


def _shown(gain: Gain) -> str:
    d = gain.difference
    return f"{d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f}), p {gain.p_holm:.3f}"

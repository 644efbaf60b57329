"""What happened during training: one row an epoch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["MONITORS", "History", "line"]

#: Columns that can choose the best epoch, and whether smaller is better.
MONITORS = {"loss": True, "val_loss": True, "val_auc": False, "val_accuracy": False}

_NAMES = {"loss": "loss", "val_loss": "val loss", "val_auc": "val AUC", "val_accuracy": "val acc"}


def line(epoch: int, epochs: int, row: dict[str, float]) -> str:
    """Return what is printed after an epoch: two decimals, so that a re-run prints the same."""
    width = len(str(epochs))
    figures = "  ".join(f"{_NAMES[name]} {value:.2f}" for name, value in row.items())
    return f"epoch {epoch:>{width}}/{epochs}  {figures}"


@dataclass
class History:
    """The course of a training, one value an epoch in every column.

    Parameters
    ----------
    monitor
        The column that chose the best epoch.
    columns
        ``loss`` (mean over the epoch's batches, as the weights were then) and, with a validation
        set, ``val_loss``, ``val_accuracy`` and ``val_auc`` (NaN where an AUC is undefined).
    seconds
        Wall-clock seconds of every epoch, validation included. Not part of equality: two runs
        with the same numbers are the same training, however long they took.
    """

    monitor: str
    columns: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list, compare=False)

    def __len__(self) -> int:
        return len(self.seconds)

    def __getitem__(self, name: str) -> list[float]:
        return self.columns[name]

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch, counted from 1; the earliest of equals."""
        values = self.columns[self.monitor]
        smaller = MONITORS[self.monitor]
        key = [value if smaller else -value for value in values]
        return 1 + min(range(len(key)), key=key.__getitem__)

    @property
    def best(self) -> dict[str, float]:
        """The row of the best epoch."""
        return self.row(self.best_epoch)

    def row(self, epoch: int) -> dict[str, float]:
        """Return the figures of an epoch, counted from 1."""
        return {name: values[epoch - 1] for name, values in self.columns.items()}

    def append(self, row: dict[str, float], seconds: float) -> None:
        """Add the figures of one more epoch."""
        for name, value in row.items():
            self.columns.setdefault(name, []).append(value)
        self.seconds.append(seconds)

    def rows(self, epochs: Sequence[int] | None = None) -> list[dict[str, float]]:
        """Return the rows of the given epochs (all by default), each with its ``epoch`` number."""
        chosen = range(1, len(self) + 1) if epochs is None else epochs
        return [{"epoch": epoch, **self.row(epoch)} for epoch in chosen]

    def __repr__(self) -> str:
        if not len(self):
            return "History(no epoch)"
        last = line(len(self), len(self), self.row(len(self)))
        best = line(self.best_epoch, len(self), self.best)
        return f"History({last}; best by {_NAMES[self.monitor]}: {best})"

"""The lung through the chest wall: films whose pleura, artefacts and sliding are known.

Air reflects nearly all sound, so below the pleura nothing is seen of the lung itself, only echoes
that went to and fro: A-lines, images of the pleura at multiples of its depth, or B-lines, which
start at the pleura, reach the bottom without fading and move with it. The chest wall stays where
it is, whatever touches the lung slides with the breath: that difference is the sign of sliding.
A model of the pattern, not of the waves behind it (Soldati et al., J Ultrasound Med 2016, 35:2075).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mednb.errors import DataError
from mednb.simulate import cine
from mednb.simulate import ultrasound as us
from mednb.simulate.draws import between, generator, rows
from mednb.simulate.parallel import Progress, each
from mednb.simulate.scanners import SCANNERS, Scanner, get
from mednb.types import Split

__all__ = ["CLASSES", "REGIONS", "SECONDS", "Lung", "draw", "lungs"]

#: Class names; the position is the label.
CLASSES = ("A-lines", "B-lines", "white lung")
A_LINES, B_LINES, WHITE_LUNG = range(3)
#: What the numbers in a mask mean.
REGIONS = ("background", "pleural line", "A-line", "B-line")
#: Seconds from the first to the last frame unless told otherwise: 32 frames at 20 a second.
SECONDS = 1.55

Real = NDArray[np.float64]

_PROBES = tuple(name for name in SCANNERS if name.startswith("lung-"))
#: Scatterers in a resolution cell: in the wall and in lines, in the haze below, in white lung.
_PER_CELL, _PER_CELL_HAZE, _PER_CELL_WHITE = 10.0, 4.0, 6.0
_BLOCK = 4
#: Half the thickness, mm, of the pleural line and of an A-line in a mask.
LINE_MM = 1.2
#: Images of the pleura by reverberation: 2, 3, ... times its depth.
_ORDERS = range(2, 7)


@dataclass(frozen=True, kw_only=True)
class Lung:
    """One place on one chest. Lengths in mm, levels in dB relative to nominal tissue.

    Parameters
    ----------
    label
        ``A_LINES``, ``B_LINES`` or ``WHITE_LUNG``.
    pleura, bend
        Depth of the pleural line in the middle, and its curvature: d + bend x^2, bend in 1/mm.
    slide
        Half of the way the lung slides, mm; 0 where it does not.
    period, phase
        Of the breath: s, rad.
    b_lines
        ``(B, 3)`` rows: position at rest, half width, level.
    first_a_line, fading
        Level of the A-line at twice the depth, and what each further one loses.
    line
        Level of the pleural line.
    beneath
        Level of the haze below the pleura, and its loss in dB/mm.
    ribs
        ``(2, 3)`` rows: edge of each rib's shadow, depth of the rib, level of its surface.
    """

    label: int
    pleura: float
    bend: float
    slide: float
    period: float
    phase: float
    b_lines: Real
    first_a_line: float
    fading: float
    line: float
    beneath: tuple[float, float]
    ribs: Real

    def shift(self, t: Real) -> Real:
        """Return how far the pleura has gone at times t since time 0, mm; positive: right."""
        angle = 2 * pi * t / self.period + self.phase
        return np.asarray(self.slide * (np.sin(angle) - np.sin(self.phase)))

    def depth(self, x: Real) -> Real:
        """Return the depth of the pleural line at a lateral position, mm. It stays in place."""
        return np.asarray(self.pleura + self.bend * x**2)

    def masks(self, x: Real, z: Real, t: Real) -> NDArray[np.uint8]:
        """Return what is at places (mm) at ``(T,)`` times: codes ``(T, *shape)``, see REGIONS."""
        x, z = np.broadcast_arrays(x, z)
        d = self.depth(x)
        out = np.zeros((len(t), *x.shape), np.uint8)
        if self.label == A_LINES:
            for order in _ORDERS:
                out[:, np.abs(z - order * d) < LINE_MM] = 2
        for s, frame in zip(self.shift(t), out, strict=True):
            for at, half, _ in self.b_lines:
                frame[(np.abs(x - at - s) < half) & (z > d)] = 3
        out[:, np.abs(z - d) < LINE_MM] = 1
        left, right = self.ribs
        hidden = ((x < left[0]) & (z > left[1])) | ((x > right[0]) & (z > right[1]))
        out[:, hidden] = 0
        return out


def draw(
    seed: int, i: int, *, seconds: float = SECONDS, sliding: float = 0.5, mix: Sequence[float] = ()
) -> Lung:
    """Draw lung ``i`` of a seed: the one that clip ``i`` of :func:`lungs` shows.

    Parameters
    ----------
    seed, i
        Which lung.
    seconds
        Length of the clip, s.
    sliding, mix
        As for :func:`lungs`.
    """
    rng = generator(seed, i, 0)
    shares = np.cumsum(mix or (1, 1, 1)) / sum(mix or (1, 1, 1))
    label = int(np.searchsorted(shares, rng.random(), side="right"))
    slides = bool(rng.random() < sliding)
    pleura = between(rng, 12, 23)
    way = between(rng, 2.0, 5.0)
    period = between(rng, 3, 5)
    # The middle of the clip is near mid-breath, so that it shows one direction most of the time.
    middle = between(rng, -0.6, 0.6) + (pi if rng.random() < 0.5 else 0.0)
    few = int(rng.integers(2, 6))
    places = rows(rng, 16, (-26, 26), (0.8, 1.8), (2, 8))
    if label == A_LINES:
        places = places[:0]
    elif label == B_LINES:
        # Separate: one in each of as many equal parts of the window.
        parts = -20 + 40 * (np.arange(few) + 0.5 + 0.3 * (places[:few, 0] / 26)) / few
        places = np.column_stack([parts, places[:few, 1:]])
    else:
        places[:, 0] = -30 + 60 * (np.arange(16) + 0.5 + 0.4 * (places[:, 0] / 26)) / 16
        places[:, 1] = 2.2 + 0.8 * (places[:, 1] - 0.8)
        places[:, 2] = -8 + 2.5 * (places[:, 2] - 2)
    strong = label == A_LINES
    return Lung(
        label=label,
        pleura=pleura,
        bend=between(rng, -0.001, 0.002),
        slide=way if slides else 0.0,
        period=period,
        phase=middle - pi * seconds / period,
        b_lines=places,
        first_a_line=between(rng, 0, 6) if strong else between(rng, -24, -14),
        fading=between(rng, 5, 9),
        line=between(rng, 10, 16),
        beneath=(between(rng, -20, -12), between(rng, 0.1, 0.4)),
        ribs=np.array(
            [
                [between(rng, -34, -20), pleura - between(rng, 5, 8), between(rng, 4, 10)],
                [between(rng, 20, 34), pleura - between(rng, 5, 8), between(rng, 4, 10)],
            ]
        ),
    )


def lungs(
    n: int,
    *,
    seed: int,
    size: int = 64,
    frames: int = 32,
    scanner: str | Sequence[str] = "lung-3.5MHz",
    seconds_per_step: float | None = None,
    sliding: float = 0.5,
    mix: Sequence[float] = (1, 1, 1),
    workers: int | None = None,
    progress: Progress | None = None,
) -> Split:
    """Simulate films of the lung through an intercostal space, with their exact truth.

    Whether the lung slides is drawn independently of the class, so that no single frame tells it.
    (In patients B-lines prove that the pleurae touch; a lung that shows them and does not slide is
    stuck or not ventilated.) Clip ``i`` depends neither on ``n`` nor on ``workers``.

    Parameters
    ----------
    n
        Number of clips, each of another lung.
    seed
        Of everything random, at least 0. Different seeds never share a lung.
    size
        Side of a frame, pixels, at least 16.
    frames
        Frames of a clip, at least 2.
    scanner
        Name of a probe, ``"lung-3.5MHz"`` or ``"lung-5MHz"``, or several, of which each clip draws
        one.
    seconds_per_step
        Time from frame to frame, s. None: first and last frame are 1.55 s apart, 0.05 s a step
        for 32 frames.
    sliding
        Share of lungs that slide, 0 to 1.
    mix
        Shares of A-lines, B-lines and white lung; need not sum to 1.
    workers
        Threads; None takes one for each core. The result does not depend on it.
    progress
        Called after each clip with how many are made, and of how many.

    Returns
    -------
    Split
        ``clips`` (n, frames, size, size, 1) uint8; ``images`` (n, size, size, 1) uint8, the first
        frame; ``masks`` (n, frames, size, size) uint8, see :data:`REGIONS`, 0 behind ribs;
        ``labels`` 0 A-lines (air behind a thin pleura), 1 two to five separate B-lines, 2 B-lines
        that flow together; ``groups`` the lung. ``targets``: ``sliding`` 0 or 1; ``shift``
        (n, frames) mm of the pleura since the first frame, positive to the right; ``direction``
        -1, 0 or 1, the sign of the last shift; ``pleura_mm`` its depth in the middle; ``b_lines``
        their number; ``seconds_per_step`` s; ``spacing_mm`` of a pixel; ``scanner`` its name.

    Raises
    ------
    DataError
        When a number is out of range.
    UnknownNameError
        When there is no such probe.
    """
    names = (scanner,) if isinstance(scanner, str) else tuple(scanner)
    probes = [get(name, among=_PROBES) for name in names]
    dt = SECONDS / max(frames - 1, 1) if seconds_per_step is None else seconds_per_step
    least: dict[str, tuple[float, float]] = {
        "n": (n, 1),
        "seed": (seed, 0),
        "size": (size, 16),
        "frames": (frames, 2),
        "scanner": (len(names), 1),
        "seconds_per_step": (dt, 1e-4),
    }
    for name, (value, low) in least.items():
        if not value >= low:
            raise DataError(f"Expected {name} >= {low:g}. Received: {value}.")
    if not 0 <= sliding <= 1:
        raise DataError(f"Expected sliding between 0 and 1. Received: {sliding}.")
    if len(mix) != len(CLASSES) or min(mix) < 0 or not sum(mix) > 0:
        raise DataError(
            f"Expected mix to hold a share >= 0 for each of {', '.join(CLASSES)}. Received: {mix}."
        )
    t = dt * np.arange(frames, dtype=np.float64)
    clips = np.empty((n, frames, size, size, 1), np.uint8)
    masks = np.empty((n, frames, size, size), np.uint8)
    shift = np.empty((n, frames))
    truth = np.empty((n, 2))
    labels, count, slides = (np.empty(n, np.int64) for _ in range(3))
    which = np.array([int(generator(seed, i, 2).random() * len(names)) for i in range(n)])

    def make(i: int) -> None:
        lung = draw(seed, i, seconds=float(t[-1]), sliding=sliding, mix=mix)
        probe = probes[which[i]]
        x, z = us.pixel_centres(probe, size)
        clips[i, ..., 0] = _film(probe, lung, t, generator(seed, i, 1), size)
        masks[i] = lung.masks(x, z, t) * us.visible(probe, size)
        shift[i] = lung.shift(t)
        truth[i] = lung.pleura, float(z[1, 0] - z[0, 0])
        labels[i], count[i], slides[i] = lung.label, len(lung.b_lines), lung.slide > 0

    each(make, n, workers=workers, progress=progress)
    targets: dict[str, NDArray[Any]] = {
        "sliding": slides,
        "shift": shift,
        "direction": np.sign(shift[:, -1]).astype(np.int64),
        "pleura_mm": truth[:, 0].copy(),
        "b_lines": count,
        "seconds_per_step": np.full(n, dt),
        "spacing_mm": truth[:, 1].copy(),
        "scanner": np.array(names)[which],
    }
    return Split(
        images=clips[:, 0].copy(),
        labels=labels,
        groups=np.array([f"lung-{seed}-{i:05d}" for i in range(n)]),
        masks=masks,
        clips=clips,
        targets=targets,
    )


def _chest_wall(rng: np.random.Generator, lung: Lung, x: Real, z: Real) -> Real:
    """Return the level of tissue above the pleura, dB: skin, fat, muscle with its fasciae."""
    skin, fat = between(rng, 1.5, 3), between(rng, 0.25, 0.5) * lung.pleura
    wave = between(rng, 0.3, 1.0) * np.sin(between(rng, 0.1, 0.3) * x + between(rng, 0, 2 * pi))
    level = np.where(z < skin, 4.0, np.where(z < fat + wave, between(rng, -12, -7), -6.0))
    for share in (0.25, 0.6):
        fascia = fat + share * (lung.pleura - fat) + wave
        level = level + 8 * np.exp(-0.5 * ((z - fascia) / 0.5) ** 2)
    level = level + 6 * np.exp(-0.5 * ((z - fat - wave) / 0.5) ** 2)
    left, right = lung.ribs
    for edge, top, bright, side in ((*left, -1), (*right, 1)):
        surface = np.exp(-0.5 * ((z - top - 0.06 * (side * x - side * edge - 6) ** 2) / 0.7) ** 2)
        level = level + np.where(side * x > side * edge, (bright + 6) * surface, 0)
    return np.asarray(level)


def _shade(lung: Lung, x: Real, z: Real) -> Real:
    """Return the loss in the shadows of the ribs, dB."""
    loss = np.zeros(np.broadcast_shapes(x.shape, z.shape))
    for (edge, top, _), side in zip(lung.ribs, (-1, 1), strict=True):
        loss += 40 * np.clip((side * (x - edge) + 1) / 3, 0, 1) * np.clip((z - top - 2) / 4, 0, 1)
    return loss


def _film(
    scanner: Scanner, lung: Lung, t: Real, rng: np.random.Generator, size: int
) -> NDArray[np.uint8]:
    g = us.grid(scanner)
    cell = scanner.samples**2 * g.dr * g.du
    bottom, half = float(g.r[-1]), float(g.u[-1]) + 2 * lung.slide
    x, z = g.u[None, :], g.r[:, None]
    gain_db, off = between(rng, -5, 4), between(rng, -0.1, 0.1)
    loss = _shade(lung, x, z)
    # Below the pleura sound travels no further, it goes to and fro in the wall above: nothing
    # there is attenuated by its apparent depth.
    wall = us.round_trip_loss_db(scanner, np.minimum(z, lung.depth(x)), alpha=off)
    gain = us.amplitude(wall - loss)

    r, u, a = us.draw_scatterers(scanner, rng, per_cell=_PER_CELL)
    above = r < lung.depth(u) - 0.3
    level = _chest_wall(rng, lung, u[above], r[above])
    still = cine.spread(scanner, r[above], u[above], a[above] * us.amplitude(level))
    still *= gain
    noise = us.tgc(scanner) * us.amplitude(scanner.noise_db) + 0 * x

    parts: list[tuple[Real, Real, Real]] = []  # x at time 0, depth, amplitude

    def add(x0: Real, depth: Real, db: Real | float, per_cell: float) -> None:
        sign = 2.0 * rng.integers(0, 2, size=len(x0)) - 1
        parts.append((x0, depth, us.unit_amplitude(per_cell) * sign * us.amplitude(db)))

    # Haze below the pleura, carried along.
    k = round(_PER_CELL_HAZE * (bottom - lung.pleura) * 2 * half / cell)
    x0, down = (2 * rng.random(k) - 1) * half, rng.random(k) * (bottom - lung.pleura)
    start, fade = lung.beneath
    add(x0, lung.pleura + 0.5 + down, start - fade * down, _PER_CELL_HAZE)
    # The pleural line: thin, with the same echoes again at 2, 3, ... times its depth.
    k = round(_PER_CELL * 2 * half * 3 * g.dr / cell)
    x0, thick = (2 * rng.random(k) - 1) * half, 0.4 * (rng.random(k) - 0.5)
    rough = 3 * np.sin(0.5 * x0 + lung.phase) * np.sin(0.23 * x0)
    add(x0, lung.pleura + thick, lung.line + rough, _PER_CELL)
    line = parts[-1][2]
    orders = [m for m in _ORDERS if m * lung.pleura < bottom]
    for m in orders:
        step = lung.first_a_line - lung.line - (m - 2) * lung.fading
        parts.append((x0, m * lung.pleura + thick, line * us.amplitude(step)))
    dense = _PER_CELL_WHITE if lung.label == WHITE_LUNG else _PER_CELL
    for at, wide, db in lung.b_lines:
        # Neither its density along the beam nor its level changes: it does not fade.
        k = round(dense * (bottom - lung.pleura) * 2 * wide / cell)
        across = (2 * rng.random(k) - 1) * wide
        add(at + across, lung.pleura + rng.random(k) * (bottom - lung.pleura), db, dense)

    x0, depth, a = (np.concatenate(column) for column in zip(*parts, strict=True))
    # How many times its own depth lies in a point's: the bend of the pleura is imaged as often.
    times = np.ones(len(x0))
    first = len(parts[0][0])
    n_line = len(parts[1][0])
    for k, m in enumerate(orders, start=1):
        times[first + k * n_line : first + (k + 1) * n_line] = m
    out = np.empty((len(t), size, size), np.uint8)
    shift = lung.shift(t)
    for begin in range(0, len(t), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        u = x0 + shift[block, None]
        r = depth + times * (lung.depth(u) - lung.pleura)
        power = cine.film(scanner, r, u, a, gain=gain, still=still, flow=noise, rng=rng)
        out[block] = cine.to_screen(power, scanner, size=size, gain_db=gain_db)
    return out

"""The smallest GAN: eight spots on a ring, a distribution whose modes can be counted.

Notebook 04 lets it succeed and lets it collapse, by nothing but the two learning rates.
"""

from collections.abc import Collection
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import ArrayLike, NDArray

from mednb.errors import DataError, ShapeError
from mednb.models.adversarial import Adversarial
from mednb.train.adversarial import fit_adversarial

__all__ = ["CENTRES", "RingGAN", "count_modes", "play", "points"]

_MODES, _RADIUS, _SPREAD, _LATENT = 8, 2.0, 0.1, 4
_ANGLE = 2 * np.pi * np.arange(_MODES) / _MODES

#: ``(8, 2)`` centres of the spots.
CENTRES: NDArray[np.float64] = _RADIUS * np.stack([np.cos(_ANGLE), np.sin(_ANGLE)], axis=1)


class RingGAN(Adversarial):
    """Points of the plane from noise."""

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return D(real), D(generated) for D to learn from, and the same for G."""
        x = inputs["images"]
        z = keras.random.normal((ops.shape(x)[0], _LATENT), seed=self.seeds)
        return self.judge(x, self.generator([z], training=training), [], training)


def points(n: int, *, seed: int) -> NDArray[np.float32]:
    """Draw real points: a spot each, and a normal step of 0.1 from its centre.

    Returns
    -------
    ndarray
        ``(n, 2)`` float32, about -2.3 to 2.3.

    Raises
    ------
    DataError
        When ``n`` is below 1.
    """
    if n < 1:
        raise DataError(f"Expected n of 1 or more. Received: {n}.")
    rng = np.random.default_rng(seed)
    spots = CENTRES[rng.integers(_MODES, size=n)]
    return (spots + _SPREAD * rng.standard_normal((n, 2))).astype(np.float32)


def count_modes(cloud: ArrayLike) -> int:
    """Return on how many of the 8 spots a point lies, within 3 standard deviations.

    Parameters
    ----------
    cloud
        ``(N, 2)`` points.

    Raises
    ------
    ShapeError
        When they are no points of the plane.
    """
    x = np.asarray(cloud, np.float64)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ShapeError(f"Expected points (N, 2). Received: {x.shape}.")
    distance = np.linalg.norm(x[:, None] - CENTRES, axis=2)
    return int((distance.min(axis=0) < 3 * _SPREAD).sum())


def play(
    rates: tuple[float, float], *, epochs: Collection[int], n: int = 500, seed: int = 0
) -> dict[int, NDArray[np.float64]]:
    """Train G against D and return what G makes after some epochs of 100 updates.

    Parameters
    ----------
    rates
        Learning rates of G and of D.
    epochs
        After which epochs to look; training ends with the last.
    n
        Points to make, from the same noise each time.
    seed
        Of the initial weights and of all noise.

    Returns
    -------
    dict
        Epoch -> ``(n, 2)`` points.

    Raises
    ------
    DataError
        When there is no epoch to look at.
    """
    if not epochs or min(epochs) < 1:
        raise DataError(f"Expected epochs of 1 or more. Received: {epochs}.")
    keras.utils.set_random_seed(seed)
    game = RingGAN(_network("G", _LATENT, 2), _network("D", 2, 1), loss="non-saturating", seed=seed)
    game.built = True  # Keras' trainer wants to know that nothing is left to build
    game.optimize(*rates)
    z = np.random.default_rng(seed).standard_normal((n, _LATENT)).astype(np.float32)
    clouds: dict[int, NDArray[np.float64]] = {}

    def look(epoch: int) -> None:
        if epoch in epochs:
            made = ops.convert_to_numpy(game.generator([ops.convert_to_tensor(z)]))
            clouds[epoch] = np.asarray(made, np.float64)

    columns: dict[str, NDArray[Any]] = {"images": points(25_600, seed=seed + 1)}
    fit_adversarial(
        game,
        columns,
        epochs=max(epochs),
        batch_size=256,
        seed=seed,
        verbose=False,
        on_epoch=look,
    )
    return clouds


def _network(player: str, n_in: int, n_out: int) -> keras.Model:
    x = inputs = keras.Input((n_in,))
    for i in (1, 2):
        x = layers.Dense(64, "relu", name=f"{player}_{i}")(x)
    return keras.Model([inputs], layers.Dense(n_out, name=f"{player}_out")(x))

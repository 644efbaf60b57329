"""Augmentation that a gradient passes through, mild enough for grey images.

A discriminator that has seen 400 images knows them by heart after a few epochs. Showing it real
*and* generated images through the same random changes, in both players' steps, takes that away;
and as the changes are differentiable, the generator still learns what it should change.
"""

from typing import Any

import keras
from keras import ops

from mednb.errors import DataError

__all__ = ["DiffAugment"]


@keras.saving.register_keras_serializable("mednb")
class DiffAugment(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Shift, blank a square, and change gain and contrast, anew for every image. Notebook 04.

    Strong brightness and contrast changes, as photographs stand them, make a generator of grey
    images collapse: grey level is nearly all that these have.

    Parameters
    ----------
    translation
        Largest shift along each axis as a share of that axis, in 0..1; what comes in at an edge
        repeats the edge.
    cutout
        Side of the blanked square as a share of the shorter axis, in 0..1.
    brightness
        Largest addition to an image of range -1..1.
    contrast
        Largest change c of the factor 1 + c about the image's mean, in 0..1.

    Raises
    ------
    DataError
        When a number is out of range.

    References
    ----------
    Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training (2020),
    arXiv:2006.10738.
    """

    def __init__(
        self,
        *,
        translation: float = 0.125,
        cutout: float = 0.25,
        brightness: float = 0.05,
        contrast: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given = {
            "translation": translation,
            "cutout": cutout,
            "brightness": brightness,
            "contrast": contrast,
        }
        for name, value in given.items():
            if not 0 <= value < 1:
                raise DataError(f"Expected {name} in 0..1, 1 excluded. Received: {value}.")
        self.ranges = given
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Return images of the same shape ``(N, H, W, C)``, range about -1..1."""
        if not training:
            return images
        x = images
        if self.ranges["brightness"] or self.ranges["contrast"]:
            x = self._gain(x)
        if self.ranges["translation"]:
            x = self._shift(x)
        if self.ranges["cutout"]:
            x = self._blank(x)
        return x

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), **self.ranges, "seed": self.seed}

    def _uniform(self, shape: tuple[Any, ...], most: float) -> Any:
        return keras.random.uniform(shape, -most, most, seed=self.generator)

    def _gain(self, x: Any) -> Any:
        n = ops.shape(x)[0]
        mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)
        factor = 1 + self._uniform((n, 1, 1, 1), self.ranges["contrast"])
        added = self._uniform((n, 1, 1, 1), self.ranges["brightness"])
        return (x - mean) * factor + mean + added

    def _shift(self, x: Any) -> Any:
        # A shift is a matrix with a single 1 in each row. Two small products an image, and their
        # gradient is the same on every backend.
        rows, columns = (self._shift_matrix(ops.shape(x)[0], x.shape[a]) for a in (1, 2))
        x = ops.einsum("nij,njwc->niwc", rows, x)
        return ops.einsum("nij,nhjc->nhic", columns, x)

    def _shift_matrix(self, n: Any, size: int) -> Any:
        shift = ops.round(self._uniform((n, 1), self.ranges["translation"] * size))
        source = ops.clip(ops.arange(size, dtype="float32")[None] + shift, 0, size - 1)
        return ops.one_hot(ops.cast(source, "int32"), size, dtype="float32")

    def _blank(self, x: Any) -> Any:
        n, (height, width) = ops.shape(x)[0], x.shape[1:3]
        half = self.ranges["cutout"] * min(height, width) / 2
        inside = []
        for size in (height, width):
            centre = keras.random.uniform((n, 1), 0, size, seed=self.generator)
            distance = ops.abs(ops.arange(size, dtype="float32")[None] + 0.5 - centre)
            inside.append(ops.cast(distance < half, "float32"))
        keep = 1 - inside[0][:, :, None, None] * inside[1][:, None, :, None]
        return x * keep

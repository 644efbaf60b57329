"""Augmentation as layers of the model: random while training, absent from prediction."""

from collections.abc import Sequence

from keras import layers

__all__ = ["ultrasound_augmentation"]


def ultrasound_augmentation(strength: float = 1.0) -> Sequence[layers.Layer]:
    """Return layers that change an image as another examination of the same lesion would.

    Mirrored left-right (never upside down: shadows fall away from the probe), shifted, turned and
    magnified a little, with another gain and dynamic range. Every layer draws from a seed
    generator of its own, whose state is part of a checkpoint.

    Parameters
    ----------
    strength
        Multiplies every range but the mirroring; 0 leaves only that.

    Returns
    -------
    sequence of keras.layers.Layer
        ``(N, H, W, C)`` in 0..1 to the same shape and range.
    """
    s = strength
    moves = [
        layers.RandomTranslation(0.1 * s, 0.1 * s, fill_mode="reflect"),
        layers.RandomRotation(0.03 * s, fill_mode="reflect"),
        layers.RandomZoom(0.15 * s, 0.15 * s, fill_mode="reflect"),
        layers.RandomBrightness(0.1 * s, value_range=(0, 1)),
        layers.RandomContrast(0.2 * s, value_range=(0, 1)),
    ]
    return [layers.RandomFlip("horizontal"), *(moves if s > 0 else [])]

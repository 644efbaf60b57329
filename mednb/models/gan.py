"""GANs for small grey images: two networks against each other in one ``keras.Model``.

A training step of one's own, as in notebook 04, is tied to one backend. Here ``call`` gives the
three logits that both losses need, and Keras' own trainer does the rest. What keeps the players
apart are two stopped gradients:

====================== ===================================================== ==================
logit                  how                                                   who learns from it
====================== ===================================================== ==================
D(x)                   plain                                                 D
D(stop(G(z)))          the generated image is a constant                     D
D_stop(G(z))           the weights of D are constants                        G
====================== ===================================================== ==================

The sum L_D + L_G then has exactly the gradient of L_D for D and that of L_G for G. Both move at
once and not in turns; who should move more gets the higher learning rate.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import ArrayLike, NDArray

from mednb.errors import MednbError, ShapeError

__all__ = ["Adversarial", "ConditionalGAN", "conditional_gan", "generator"]

LATENT, WIDTH = 32, 16


def losses(real: Any, fake: Any, fooled: Any) -> tuple[Any, Any]:
    """Return L_D and L_G of a batch of logits D(x), D(G(z)) for D, and D(G(z)) for G."""
    # softplus(-a) = -ln sigmoid(a). L_G is the one that does not vanish when D wins.
    loss_d = ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))
    return loss_d, ops.mean(ops.softplus(-fooled))


class Adversarial(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A generator against a discriminator, an Adam for each; compiled, ready for ``fit``.

    Takes a mapping of ``images``, real ones in the range of the generator's, and, for conditional
    players, the ``condition`` ``(N, K)``.

    Parameters
    ----------
    generator, discriminator
        Built: of noise ``(N, Z)`` or ``[noise, condition]``, and of images or ``[images,
        condition]``, to logits.
    rates
        Learning rates of G and of D; 0 holds a player still.
    seed
        Of everything random in training.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        rates: tuple[float, float] = (1e-3, 1e-3),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        noise = generator.input_shape
        self.latent = (noise[0] if isinstance(noise, list) else noise)[-1]
        self.seeds = keras.random.SeedGenerator(seed)
        self.loss_d_metric = keras.metrics.Mean("loss_d")
        self.loss_g_metric = keras.metrics.Mean("loss_g")
        self.built = True  # Keras' trainer wants to know that nothing is left to build
        # Old gradients mislead where the opponent moves: a first moment far below the usual 0.9.
        adam_g, adam_d = (keras.optimizers.Adam(r, beta_1=0.5, beta_2=0.99) for r in rates)
        paths = {v.path: adam_d for v in discriminator.trainable_variables}
        if paths.keys() & {v.path for v in generator.trainable_variables}:
            raise MednbError("Expected layers of other names in G than in D. Received: the same.")
        players = keras.optimizers.OptimizerMap(adam_g, paths)
        self.compile(optimizer=keras.optimizers.MultiOptimizer(players))

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the three logits of one batch."""
        x, c, D = inputs["images"], inputs.get("condition"), self.discriminator
        n, given = ops.shape(x)[0], [] if c is None else [c]
        z = keras.random.normal((n, self.latent), seed=self.seeds)
        made = self.generator([z, *given] if given else z, training=training)
        images = self.changed(ops.concatenate([x, made]), training)
        real, fake = images[:n], images[n:]
        # One pass over both halves of the batch is faster than two.
        both = ops.concatenate([real, ops.stop_gradient(fake)])
        twice = [ops.concatenate([c, c]) for c in given]
        logits = D([both, *twice] if given else both, training=training)
        weights = [ops.stop_gradient(v.value) for v in D.trainable_variables]
        state = [ops.stop_gradient(v.value) for v in D.non_trainable_variables]
        last = [fake, *given] if given else fake
        fooled, _ = D.stateless_call(weights, state, last, training=training)
        return {"real": logits[:n], "fake": logits[n:], "fooled": fooled}

    def changed(self, images: Any, training: bool) -> Any:
        """Return what D is shown of real and generated images: here the images themselves."""
        return images

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return L_D + L_G of what ``call`` gave."""
        loss_d, loss_g = losses(y_pred["real"], y_pred["fake"], y_pred["fooled"])
        self.loss_d_metric.update_state(loss_d)
        self.loss_g_metric.update_state(loss_g)
        return loss_d + loss_g


def conditional_gan(
    shape: tuple[int, ...],
    classes: int,
    *,
    values: Sequence[tuple[float, float]] = (),
    rates: tuple[float, float] = (1e-3, 1e-3),
    seed: int = 0,
) -> "ConditionalGAN":
    """Return a conditional DCGAN for images ``(H, W, C)``, H and W multiples of 4.

    ``values`` are mean and standard deviation of each continuous condition over the training set,
    such as a radius in mm. Radford et al. (2016), arXiv:1511.06434; Miyato and Koyama (2018),
    arXiv:1802.05637.
    """
    if shape[0] % 4 or shape[1] % 4:
        raise ShapeError(f"Expected H and W as multiples of 4. Received: {shape}. Pad the images.")
    keras.utils.set_random_seed(seed)
    condition = classes + len(values)
    player, averaged = (generator(shape, condition) for _ in range(2))
    D = _discriminator(shape, condition)
    return ConditionalGAN(player, averaged, D, classes, values, rates=rates, seed=seed)


class ConditionalGAN(Adversarial):
    """G, D, and a moving average of G, from which images are made: :func:`conditional_gan`.

    :meth:`columns` makes what ``fit`` takes of uint8 images ``(N, H, W, C)``, labels ``(N,)`` and,
    with continuous conditions, values ``(N, V)``. The condition c is the class as one-hot vector,
    then the values in standard deviations.
    """

    def __init__(
        self,
        generator: keras.Model,
        averaged: keras.Model,
        discriminator: keras.Model,
        classes: int,
        values: Sequence[tuple[float, float]],
        **options: Any,
    ) -> None:
        super().__init__(generator, discriminator, **options)
        self.averaged = averaged
        averaged.trainable = False
        averaged.set_weights(generator.get_weights())
        self.classes = classes
        self.scale = np.reshape(np.array(values, "float32"), (-1, 2))
        self.moves = keras.random.SeedGenerator(options["seed"])
        self.steps = self.add_weight(name="steps", shape=(), initializer="zeros", trainable=False)

    def condition(self, labels: ArrayLike, values: ArrayLike | None = None) -> NDArray[Any]:
        """Return c ``(N, K + V)`` float32."""
        c: NDArray[Any] = np.eye(self.classes, dtype="float32")[np.asarray(labels)]
        if values is None:
            return c
        mean, sd = self.scale.T
        asked = (np.reshape(values, (len(c), -1)).astype("float32") - mean) / sd
        return np.hstack([c, asked])

    def columns(
        self, images: NDArray[np.uint8], labels: ArrayLike, values: ArrayLike | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the mapping that ``fit`` takes."""
        scaled = images.astype("float32") / 127.5 - 1
        return {"images": scaled, "condition": self.condition(labels, values)}

    def changed(self, images: Any, training: bool) -> Any:
        """Return images moved at random, and let the average follow the generator."""
        if not training:
            return images
        self.steps.assign(self.steps + 1)
        # A short memory at first, or the initial weights would stay in the average for long.
        d = ops.minimum(0.99, self.steps / (self.steps + 10))
        for a, w in zip(self.averaged.weights, self.generator.weights, strict=True):
            a.assign(d * a + (1 - d) * ops.stop_gradient(ops.convert_to_tensor(w)))
        return diff_augment(images, self.moves)

    def sample(
        self, labels: ArrayLike, *, values: Any = None, seed: int = 0, z: Any = None
    ) -> NDArray[np.uint8]:
        """Return an image ``(N, H, W, C)`` for each label ``(N,)`` and row of ``values``.

        ``z`` ``(N, 32)`` is noise of one's own, for a walk from image to image.
        """
        c = self.condition(labels, values)
        noise = np.random.default_rng(seed).standard_normal((len(c), LATENT)) if z is None else z
        made = self.averaged.predict([np.asarray(noise, "float32"), c], batch_size=256, verbose=0)
        grey: NDArray[np.uint8] = np.clip(np.round((made + 1) * 127.5), 0, 255).astype(np.uint8)
        return grey


def diff_augment(images: Any, seed: keras.random.SeedGenerator) -> Any:
    """Return images of range -1..1 with another gain, shifted, and with a square blanked.

    A discriminator that has seen 400 images knows them by heart after a few epochs; shown real
    *and* generated images through the same random changes, it does not, and a gradient passes
    through. Milder than for photographs: grey level is nearly all that grey images have. Zhao et
    al. (2020), arXiv:2006.10738.
    """
    n, (height, width) = ops.shape(images)[0], images.shape[1:3]

    def uniform(shape: tuple[Any, ...], most: float) -> Any:
        return keras.random.uniform(shape, -most, most, seed=seed)

    def shift(size: int) -> Any:
        # A shift is a matrix with a single 1 in each row, and repeats the edge.
        source = ops.arange(size, dtype="float32")[None] + ops.round(uniform((n, 1), size / 8))
        return ops.one_hot(ops.cast(ops.clip(source, 0, size - 1), "int32"), size, dtype="float32")

    def inside(size: int) -> Any:
        centre = keras.random.uniform((n, 1), 0, size, seed=seed)
        distance = ops.abs(ops.arange(size, dtype="float32")[None] + 0.5 - centre)
        return ops.cast(distance < min(height, width) / 8, "float32")

    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    x = (images - mean) * (1 + uniform((n, 1, 1, 1), 0.1)) + mean + uniform((n, 1, 1, 1), 0.05)
    x = ops.einsum("nij,njwc->niwc", shift(height), x)
    x = ops.einsum("nij,nhjc->nhic", shift(width), x)
    return x * (1 - inside(height)[:, :, None, None] * inside(width)[:, None, :, None])


def _halvings(shape: tuple[int, ...]) -> int:
    return 3 if min(shape[:2]) >= 48 and not (shape[0] % 8 or shape[1] % 8) else 2


def generator(shape: tuple[int, ...], condition: int) -> keras.Model:
    """Return G of noise ``(N, 32)`` and a condition, to images in -1..1."""
    levels = _halvings(shape)
    small = shape[0] // 2**levels, shape[1] // 2**levels
    z, c = keras.Input((LATENT,)), keras.Input((condition,))
    x: Any = layers.Concatenate()([z, c])
    channels = WIDTH * 2 ** (levels - 1)
    x = layers.Dense(small[0] * small[1] * channels, use_bias=False)(x)
    x = layers.Reshape((*small, channels))(x)
    for level in reversed(range(levels)):
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
        # Enlarged smoothly and then convolved: a transposed convolution leaves a checkerboard.
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        channels = WIDTH * 2 ** (level - 1) if level else shape[2]
        x = layers.Conv2D(channels, 3, padding="same", use_bias=not level)(x)
    return keras.Model([z, c], layers.Activation("tanh", dtype="float32")(x), name="generator")


def _discriminator(shape: tuple[int, ...], condition: int) -> keras.Model:
    """Score an image by how real it looks, w . h(x), plus how well it fits c, V c . mean h(x)."""
    image, c = keras.Input(shape), keras.Input((condition,))
    x: Any = image
    for i in range(_halvings(shape)):
        x = layers.LeakyReLU(0.2)(layers.Conv2D(WIDTH * 2**i, 4, 2, padding="same")(x))
    real = layers.Dense(1)(layers.Flatten()(x))
    asked = layers.Dense(x.shape[-1], use_bias=False)(c)
    fits = layers.Dot(axes=1)([asked, layers.GlobalAveragePooling2D()(x)])
    return keras.Model([image, c], layers.Add()([real, fits]), name="discriminator")

"""GANs for small grey images: two networks against each other in one ``keras.Model``.

The usual ways to train a GAN (two calls of ``train_on_batch``, or a ``train_step`` of one's own)
are slow or tied to one backend. Here ``call`` gives the three logits that both losses need, and
Keras' own trainer does the rest. What keeps the players apart are two stopped gradients:

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

from mednb.errors import ShapeError

__all__ = ["Adversarial", "ConditionalGAN", "SpectralConv2D", "SpectralDense", "conditional_gan"]

LATENT, WIDTH = 32, 16


def losses(real: Any, fake: Any, fooled: Any) -> tuple[Any, Any]:
    """Return L_D and L_G of a batch of logits D(x), D(G(z)) for D, and D(G(z)) for G."""
    # softplus(-a) = -ln sigmoid(a). L_G is the one that does not vanish when D wins.
    loss_d = ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))
    return loss_d, ops.mean(ops.softplus(-fooled))


class Adversarial(keras.Model):  # type: ignore[misc]  # Keras has no types
    """What every GAN here shares: the two players, their losses, an Adam for each.

    A subclass says in ``call`` what is real and what is generated, and returns :meth:`judge`.

    Parameters
    ----------
    generator, discriminator
        Built; the names of the discriminator's layers start with ``D_``, which is how each variable
        finds its optimizer.
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
        self.seeds = keras.random.SeedGenerator(seed)
        self.loss_d_metric = keras.metrics.Mean("loss_d")
        self.loss_g_metric = keras.metrics.Mean("loss_g")
        self.built = True  # Keras' trainer wants to know that nothing is left to build
        # Old gradients mislead where the opponent moves: a first moment far below the usual 0.9.
        adam_g, adam_d = (keras.optimizers.Adam(r, beta_1=0.5, beta_2=0.99) for r in rates)
        players = keras.optimizers.OptimizerMap(adam_g, {"D_.*": adam_d})
        self.compile(optimizer=keras.optimizers.MultiOptimizer(players))

    def judge(self, real: Any, fake: Any, conditions: list[Any], training: bool) -> dict[str, Any]:
        """Return the three logits of a batch; ``fake`` carries the gradient to G."""
        n, D = ops.shape(real)[0], self.discriminator
        # One pass over both halves of the batch is faster than two.
        images = ops.concatenate([real, ops.stop_gradient(fake)])
        twice = [ops.concatenate([c, c]) for c in conditions]
        logits = D([images, *twice], training=training)
        weights = [ops.stop_gradient(v.value) for v in D.trainable_variables]
        state = [ops.stop_gradient(v.value) for v in D.non_trainable_variables]
        fooled, _ = D.stateless_call(weights, state, [fake, *conditions], training=training)
        return {"real": logits[:n], "fake": logits[n:], "fooled": fooled}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
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
    generator, averaged = (_generator(shape, condition) for _ in range(2))
    D = _discriminator(shape, condition)
    return ConditionalGAN(generator, averaged, D, classes, values, rates=rates, seed=seed)


class ConditionalGAN(Adversarial):
    """G, D, and a moving average of G, from which images are made: :func:`conditional_gan`.

    Takes a mapping of ``images`` ``(N, H, W, C)`` uint8, ``labels`` ``(N,)`` and, with continuous
    conditions, ``values`` ``(N, V)``. The condition c is the class as one-hot vector, then the
    values in standard deviations.
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

    def condition(self, labels: Any, values: Any = None) -> Any:
        """Return c ``(N, K + V)``."""
        c = ops.one_hot(ops.cast(labels, "int32"), self.classes, dtype="float32")
        if not len(self.scale):
            return c
        mean, sd = self.scale.T
        return ops.concatenate([c, (ops.cast(values, "float32") - mean) / sd], axis=-1)

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the logits of one batch."""
        x = ops.cast(inputs["images"], "float32") / 127.5 - 1
        c, n = self.condition(inputs["labels"], inputs.get("values")), ops.shape(x)[0]
        z = keras.random.normal((n, LATENT), seed=self.seeds)
        images = ops.concatenate([x, self.generator([z, c], training=training)])
        if training:
            images = diff_augment(images, self.moves)
            self.steps.assign(self.steps + 1)
            # A short memory at first, or the initial weights would stay in the average for long.
            d = ops.minimum(0.99, self.steps / (self.steps + 10))
            for a, w in zip(self.averaged.weights, self.generator.weights, strict=True):
                a.assign(d * a + (1 - d) * ops.stop_gradient(ops.convert_to_tensor(w)))
        return self.judge(images[:n], images[n:], [c], training)

    def sample(
        self,
        labels: ArrayLike,
        *,
        values: ArrayLike | None = None,
        seed: int = 0,
        z: ArrayLike | None = None,
    ) -> NDArray[np.uint8]:
        """Return an image ``(N, H, W, C)`` for each label ``(N,)`` and row of ``values``.

        ``z`` ``(N, 32)`` is noise of one's own, for a walk from image to image.
        """
        y = np.asarray(labels)
        noise = np.random.default_rng(seed).standard_normal((len(y), LATENT)) if z is None else z
        given = None if values is None else np.reshape(values, (len(y), -1))
        c = ops.convert_to_numpy(self.condition(y, given))
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


class _Spectral(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A layer that uses W / sigma(W), whose largest singular value is 1.

    ``keras.layers.SpectralNormalization`` overwrites W at every forward pass, so the network moves
    even when its optimizer does not. Miyato et al. (2018), arXiv:1802.05957.
    """

    def build(self, input_shape: Any) -> None:
        """Make W, and the vector u that a power iteration improves."""
        super().build(input_shape)
        shape = (1, self.kernel.shape[-1])
        self.u = self.add_weight(
            name="u", shape=shape, initializer="random_normal", trainable=False
        )

    def normalized(self, training: bool) -> Any:
        """Return W / sigma(W), after one step of the power iteration in training."""
        W = ops.reshape(self.kernel, (-1, self.kernel.shape[-1]))
        if training:
            v = _unit(ops.matmul(self.u, ops.transpose(W)))
            self.u.assign(ops.stop_gradient(_unit(ops.matmul(v, W))))
        u = ops.stop_gradient(_unit(ops.convert_to_tensor(self.u)))
        v = ops.stop_gradient(_unit(ops.matmul(u, ops.transpose(W))))
        return self.kernel / (ops.sum(ops.matmul(v, W) * u) + 1e-12)


class SpectralConv2D(_Spectral, layers.Conv2D):  # type: ignore[misc]
    """2-D convolution with W / sigma(W), without activation; arguments as in Keras."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return ``(N, H', W', C_out)``."""
        kernel = self.normalized(training)
        x = ops.conv(inputs, kernel, strides=self.strides, padding=self.padding)
        return x + ops.convert_to_tensor(self.bias)


class SpectralDense(_Spectral, layers.Dense):  # type: ignore[misc]
    """Dense layer with W / sigma(W), without activation; arguments as in Keras."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return ``(N, units)``."""
        x = ops.matmul(inputs, self.normalized(training))
        return x if self.bias is None else x + ops.convert_to_tensor(self.bias)


def _unit(x: Any) -> Any:
    return x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-12)


def _generator(shape: tuple[int, ...], condition: int) -> keras.Model:
    height, width, channels = shape
    z, c = keras.Input((LATENT,)), keras.Input((condition,))
    x: Any = layers.Concatenate()([z, c])
    x = layers.Dense(height // 4 * (width // 4) * 2 * WIDTH, use_bias=False)(x)
    x = layers.Reshape((height // 4, width // 4, 2 * WIDTH))(x)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    # Enlarged smoothly and then convolved: a transposed convolution leaves a checkerboard.
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Conv2D(WIDTH, 3, padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Conv2D(channels, 3, padding="same")(x)
    return keras.Model([z, c], layers.Activation("tanh", dtype="float32")(x), name="generator")


def _discriminator(shape: tuple[int, ...], condition: int) -> keras.Model:
    """Score an image by how real it looks, w . h(x), plus how well it fits c, V c . sum h(x)."""
    image, c = keras.Input(shape), keras.Input((condition,))
    x: Any = image
    for i, channels in enumerate((WIDTH, 2 * WIDTH)):
        x = SpectralConv2D(channels, 4, 2, padding="same", name=f"D_down{i}")(x)
        x = layers.LeakyReLU(0.2)(x)
    w = SpectralDense(1, name="D_real")
    V = SpectralDense(2 * WIDTH, use_bias=False, name="D_condition")
    real = w(layers.Flatten()(x))
    fits = ops.sum(V(c) * ops.sum(x, axis=(1, 2)), axis=-1, keepdims=True)
    return keras.Model([image, c], real + fits, name="discriminator")

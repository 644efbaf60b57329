"""Two networks against each other in one ``keras.Model``, on every backend.

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

from typing import Any, Literal

import keras
from keras import ops

from mednb.errors import DataError, UnknownNameError
from mednb.models import wgan

__all__ = ["LOSSES", "Adversarial", "losses"]

LOSSES = ("non-saturating", "hinge", "wasserstein")
Loss = Literal["non-saturating", "hinge", "wasserstein"]


def losses(name: Loss, real: Any, fake: Any, fooled: Any) -> tuple[Any, Any]:
    """Return L_D and L_G of a batch, each a mean over the batch.

    ==================== ============================================ ======================
    name                 L_D                                          L_G
    ==================== ============================================ ======================
    ``non-saturating``   softplus(-D(x)) + softplus(D(G(z)))          softplus(-D(G(z)))
    ``hinge``            relu(1 - D(x)) + relu(1 + D(G(z)))           -D(G(z))
    ``wasserstein``      -D(x) + D(G(z)), plus a gradient penalty     -D(G(z))
    ==================== ============================================ ======================

    softplus(-a) = -log sigmoid(a): the first row is the game of Goodfellow et al. (2014) with
    the generator's loss that does not vanish when the discriminator wins.

    Parameters
    ----------
    name
        One of :data:`LOSSES`.
    real, fake, fooled
        Logits D(x), D(G(z)) for D and D(G(z)) for G, of any equal shape.

    Raises
    ------
    UnknownNameError
        When there is no such loss.
    """
    if name == "non-saturating":
        loss_d = ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))
        return loss_d, ops.mean(ops.softplus(-fooled))
    if name == "hinge":
        return ops.mean(ops.relu(1 - real)) + ops.mean(ops.relu(1 + fake)), -ops.mean(fooled)
    if name == "wasserstein":
        return ops.mean(fake) - ops.mean(real), -ops.mean(fooled)
    raise UnknownNameError("adversarial loss", name, LOSSES)


class Adversarial(keras.Model):  # type: ignore[misc]  # Keras has no types
    """What every GAN here shares: the two players, their losses, their optimizers.

    A subclass says in ``call`` what is real and what is generated, and returns :meth:`judge`.

    Parameters
    ----------
    generator, discriminator
        Built; the names of their layers start with ``G_`` and ``D_``, which is how each variable
        finds its optimizer.
    loss
        One of :data:`LOSSES`.
    penalty
        Weight lambda of the gradient penalty; None is 10 for ``"wasserstein"`` and 0 otherwise.
    seed
        Of everything random in training; None draws one from Keras' global generator.

    Raises
    ------
    UnknownNameError
        When there is no such loss.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        loss: Loss = "hinge",
        penalty: float | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if loss not in LOSSES:
            raise UnknownNameError("adversarial loss", loss, LOSSES)
        for name, player in (("G_", generator), ("D_", discriminator)):
            lost = [v.path for v in player.trainable_variables if not v.path.startswith(name)]
            if lost:
                raise DataError(
                    f"Expected every layer's name to start with {name!r}, so that its variables "
                    f"find their optimizer. Received: {lost[0]!r}. Give its layer a name."
                )
        self.generator, self.discriminator = generator, discriminator
        self.game = loss
        self.penalty = (10.0 if loss == "wasserstein" else 0.0) if penalty is None else penalty
        self.seeds = keras.random.SeedGenerator(seed)
        self.loss_d_metric = keras.metrics.Mean("loss_d")
        self.loss_g_metric = keras.metrics.Mean("loss_g")
        self.sign_metric = keras.metrics.Mean("sign_real")

    def optimize(
        self,
        rate_g: float | keras.optimizers.schedules.LearningRateSchedule,
        rate_d: float | keras.optimizers.schedules.LearningRateSchedule,
        *,
        betas: tuple[float, float] = (0.5, 0.99),
    ) -> None:
        """Compile with an Adam for each player.

        Parameters
        ----------
        rate_g, rate_d
            Learning rates of G and D, or schedules. 0 holds a player still.
        betas
            Decay of Adam's two moments. The first is far below the usual 0.9: the opponent moves,
            so old gradients mislead.
        """
        adam_g, adam_d = (
            keras.optimizers.Adam(rate, beta_1=betas[0], beta_2=betas[1])
            for rate in (rate_g, rate_d)
        )
        players = keras.optimizers.OptimizerMap(adam_g, {"D_.*": adam_d})
        self.compile(optimizer=keras.optimizers.MultiOptimizer(players))

    def judge(self, real: Any, fake: Any, conditions: list[Any], training: bool) -> dict[str, Any]:
        """Return the three logits of a batch, and the gradient penalty where there is one.

        Parameters
        ----------
        real, fake
            ``(N, H, W, C)``, as D is to see them; ``fake`` carries the gradient to G.
        conditions
            Further inputs of D, ``(N, ...)`` each.
        training
            True in a training step.
        """
        n = ops.shape(real)[0]
        # One pass over both halves of the batch is faster than two.
        images = ops.concatenate([real, ops.stop_gradient(fake)])
        twice = [ops.concatenate([c, c]) for c in conditions]
        logits = self.discriminator([images, *twice], training=training)
        said = {
            "real": logits[:n],
            "fake": logits[n:],
            "fooled": self.frozen([fake, *conditions], training),
        }
        if self.penalty and training:
            share = keras.random.uniform((n, 1, 1, 1), seed=self.seeds)
            between = share * real + (1 - share) * ops.stop_gradient(fake)
            said["penalty"] = wgan.gradient_penalty(self.discriminator, between, conditions)
        return said

    def frozen(self, inputs: list[Any], training: bool) -> Any:
        """Return D's logits with D's weights held constant; its state stays as it is."""
        D = self.discriminator
        weights = [ops.stop_gradient(v.value) for v in D.trainable_variables]
        state = [ops.stop_gradient(v.value) for v in D.non_trainable_variables]
        logits, _ = D.stateless_call(weights, state, inputs, training=training)
        return logits

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return L_D + L_G of what ``call`` gave."""
        loss_d, loss_g = losses(self.game, y_pred["real"], y_pred["fake"], y_pred["fooled"])
        if "penalty" in y_pred:
            loss_d = loss_d + self.penalty * ops.mean(y_pred["penalty"])
        self.loss_d_metric.update_state(loss_d)
        self.loss_g_metric.update_state(loss_g)
        # E sign D(x), the overfitting heuristic of Karras et al. (2020): near 1, D knows the
        # training images by heart; near 0, it cannot tell.
        self.sign_metric.update_state(ops.mean(ops.sign(y_pred["real"])))
        return loss_d + loss_g

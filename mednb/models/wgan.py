"""The gradient penalty of a Wasserstein critic.

The only second derivative of the course, and the only place where ``keras.ops`` has no word for
what is needed: the gradient of a network with respect to its *input*, which the training then
differentiates once more. Three branches, one for each backend, say the same thing.
"""

import importlib
from typing import Any

import keras
from keras import ops

__all__ = ["gradient_penalty", "input_gradient"]


def gradient_penalty(critic: keras.Model, images: Any, conditions: list[Any]) -> Any:
    """Return (|grad_x D(x)| - 1)^2 of every image, ``(N,)``.

    A critic that is 1-Lipschitz and optimal has a gradient of norm 1 along the straight lines
    between real and generated images, so ``images`` should be u x + (1 - u) G(z), u ~ U[0, 1].

    Parameters
    ----------
    critic
        ``[images, *conditions]`` to logits ``(N, 1)``, without BatchNorm: the penalty is about
        one image at a time.
    images
        ``(N, H, W, C)``.
    conditions
        Further inputs of the critic.

    References
    ----------
    Gulrajani et al., Improved Training of Wasserstein GANs (2017), arXiv:1704.00028.
    """
    g = input_gradient(lambda x: ops.sum(critic([x, *conditions], training=False)), images)
    # Without the small number the root has no derivative where the gradient is 0.
    norm = ops.sqrt(ops.sum(ops.square(g), axis=(1, 2, 3)) + 1e-12)
    return ops.square(norm - 1)


def input_gradient(function: Any, x: Any) -> Any:
    """Return the gradient of ``function(x)``, a scalar, at ``x``; differentiable once more."""
    backend = keras.backend.backend()
    library = importlib.import_module(backend)
    if backend == "tensorflow":
        with library.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)
    if backend == "jax":
        return library.grad(function)(x)
    x = x.detach().requires_grad_(True)
    return library.autograd.grad(function(x), x, create_graph=True)[0]

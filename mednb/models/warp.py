"""Fields of displacement as tensors: pull an image along one, chain two, flow along a velocity.

One convention everywhere in the course. A field ``u`` lives on the pixels of the **fixed** image
and says where in the **moving** image each of them went: ``u[..., 0]`` pixels across (x, to the
right), ``u[..., 1]`` pixels down (y), as OpenCV's optical flow has it. So the moving image is
pulled back onto the fixed one, ``warped(p) = moving(p + u(p))``, and no pixel stays empty.
"""

from typing import Any

from keras import ops

__all__ = ["compose", "exponential", "warp"]


def warp(images: Any, field: Any) -> Any:
    """Return ``images(p + field(p))``, bilinear between pixels, the edge repeated outside.

    This is the *spatial transformer* (Jaderberg et al. 2015, arXiv:1506.02025): differentiable in
    the images and, through the weights of the four neighbours, in the field. Notebook 07.

    Parameters
    ----------
    images
        ``(N, H, W, C)`` float, H and W at least 2.
    field
        ``(N, H, W, 2)`` float, pixels across and down.

    Returns
    -------
    tensor
        ``(N, H, W, C)``.
    """
    h, w, channels = images.shape[1:]
    x = _clipped(ops.arange(w, dtype=field.dtype)[None, None, :] + field[..., 0], w)
    y = _clipped(ops.arange(h, dtype=field.dtype)[None, :, None] + field[..., 1], h)
    # The neighbour up and to the left, at most the last but one: its right one must exist too.
    left = ops.minimum(ops.floor(ops.stop_gradient(x)), w - 2)
    top = ops.minimum(ops.floor(ops.stop_gradient(y)), h - 2)
    to_right, to_bottom = (x - left)[..., None], (y - top)[..., None]
    first = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None] * (h * w)
    corner = first + ops.cast(top, "int32") * w + ops.cast(left, "int32")
    flat = ops.reshape(images, (-1, channels))
    upper_left, upper_right, lower_left, lower_right = (
        ops.take(flat, corner + step, axis=0) for step in (0, 1, w, w + 1)
    )
    upper = upper_left + to_right * (upper_right - upper_left)
    lower = lower_left + to_right * (lower_right - lower_left)
    return upper + to_bottom * (lower - upper)


def compose(first: Any, second: Any) -> Any:
    """Return the field that goes along ``first`` and from there along ``second``, (N, H, W, 2)."""
    return first + warp(second, first)


def exponential(velocity: Any, *, steps: int = 7) -> Any:
    """Return where a steady flow of the given velocity carries every pixel in one unit of time.

    Scaling and squaring (Arsigny et al. 2006, doi:10.1007/11866565_113): a 2^steps-th of the way is
    a small step, which is chained with itself, and the result with itself, ``steps`` times. A
    smooth flow can be run back, so what it does cannot fold: the map is a diffeomorphism, and
    ``exponential(-v)`` undoes ``exponential(v)``.

    Parameters
    ----------
    velocity
        ``(N, H, W, 2)`` pixels across and down per unit of time.
    steps
        How often the step is doubled.
    """
    field = velocity / 2**steps
    for _ in range(steps):
        field = compose(field, field)
    return field


def _clipped(x: Any, n: int) -> Any:
    return ops.clip(x, 0, n - 1)

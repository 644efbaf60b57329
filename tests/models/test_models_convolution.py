import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.signal import correlate

from mednb.errors import DataError, ShapeError
from mednb.models.convolution import conv2d, conv2d_loop, im2col, output_size, receptive_field

small = st.integers(1, 4)


def integers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    # Whole numbers: every order of summation gives the same bits.
    return np.random.default_rng(seed).integers(-4, 5, shape)


@given(
    n=st.integers(1, 30),
    k=st.integers(1, 7),
    padding=st.integers(0, 3),
    stride=small,
    dilation=small,
)
def test_output_size_counts_the_positions_of_the_kernel(n, k, padding, stride, dilation):
    last = n + 2 * padding - 1
    positions = [i for i in range(0, last + 1, stride) if i + dilation * (k - 1) <= last]
    assume(positions)
    assert output_size(n, k, padding=padding, stride=stride, dilation=dilation) == len(positions)


@pytest.mark.parametrize(
    ("n", "k", "options", "expected"),
    [
        (28, 3, {}, 26),
        (28, 3, {"padding": 1}, 28),
        (224, 7, {"padding": 3, "stride": 2}, 112),  # first layer of a residual network
        (8, 3, {"dilation": 3}, 2),
        (3, 3, {}, 1),
    ],
)
def test_output_size_of_published_layers(n, k, options, expected):
    assert output_size(n, k, **options) == expected


@pytest.mark.parametrize(
    "options", [{"stride": 0}, {"dilation": 0}, {"padding": -1}, {"k": 0}, {"n": 0}]
)
def test_output_size_refuses_impossible_numbers(options):
    with pytest.raises(DataError, match="at least"):
        output_size(**{"n": 8, "k": 3, **options})


def test_output_size_refuses_a_kernel_that_does_not_fit():
    with pytest.raises(ShapeError, match="spans 9"):
        output_size(8, 5, dilation=2)


@given(
    height=st.integers(5, 9),
    width=st.integers(5, 9),
    k_h=st.integers(1, 3),
    k_w=st.integers(1, 3),
    padding=st.integers(0, 2),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    seed=st.integers(0, 9),
)
def test_matrix_product_equals_loop(height, width, k_h, k_w, padding, stride, dilation, seed):
    x = integers((2, height, width, 3), seed)
    w = integers((k_h, k_w, 3, 4), seed + 1)
    sizes = {"padding": padding, "stride": stride, "dilation": dilation}
    y = conv2d(x, w, **sizes)
    assert y.shape == (
        2,
        output_size(height, k_h, **sizes),
        output_size(width, k_w, **sizes),
        4,
    )
    np.testing.assert_array_equal(y, conv2d_loop(x, w, **sizes))


@pytest.mark.parametrize("convolve", [conv2d, conv2d_loop])
def test_equals_scipy(convolve):
    x, w = integers((1, 7, 8, 1), 0), integers((3, 2, 1, 1), 1)
    expected = correlate(x[0, :, :, 0], w[:, :, 0, 0], mode="valid", method="direct")
    np.testing.assert_array_equal(convolve(x, w)[0, :, :, 0], expected)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)])
def test_equals_keras(stride, dilation):
    import keras

    x, w = integers((2, 7, 8, 3), 2), integers((3, 2, 3, 4), 3)
    expected = keras.ops.conv(
        x.astype("float32"), w.astype("float32"), strides=stride, dilation_rate=dilation
    )
    y = conv2d(x, w, stride=stride, dilation=dilation)
    np.testing.assert_array_equal(y, keras.ops.convert_to_numpy(expected))


def test_im2col_rows_are_patches():
    x = np.arange(2 * 7 * 8 * 3).reshape(2, 7, 8, 3)
    patches = im2col(x, (3, 2), stride=2)
    assert patches.shape == (2, 3, 4, 18)
    np.testing.assert_array_equal(patches[1, 2, 3], x[1, 4:7, 6:8].ravel())


def test_im2col_pads_with_zeros():
    patches = im2col(np.ones((1, 4, 5, 1)), (3, 3), padding=1)
    assert patches.shape == (1, 4, 5, 9)
    np.testing.assert_array_equal(patches[0, 0, 0], [0, 0, 0, 0, 1, 1, 0, 1, 1])


@pytest.mark.parametrize("convolve", [conv2d, conv2d_loop])
@pytest.mark.parametrize(
    ("x", "w"), [((1, 7, 8, 2), (3, 3, 1, 1)), ((7, 8), (3, 3, 1, 1)), ((1, 7, 8, 1), (3, 3))]
)
def test_convolution_refuses_shapes_that_do_not_fit(convolve, x, w):
    with pytest.raises(ShapeError, match="same C"):
        convolve(np.zeros(x), np.zeros(w))


def test_im2col_refuses_one_image_without_a_batch():
    with pytest.raises(ShapeError, match=r"\(N, H, W, C\)"):
        im2col(np.zeros((7, 8, 1)), (3, 3))


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], (1, 1)),
        ([(3, 1, 1), (2, 2, 1), (3, 1, 1), (2, 2, 1)], (10, 4)),  # the textbook network
        ([(3, 1, 1), (3, 1, 2), (3, 1, 4)], (15, 1)),
        ([(7, 2, 1), (3, 2, 1)], (11, 4)),
    ],
)
def test_receptive_field_of_known_stacks(layers, expected):
    assert receptive_field(layers) == expected


@given(
    layers=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)), max_size=3)
)
def test_receptive_field_is_where_a_change_is_felt(layers):
    r, j = receptive_field(layers)
    x = np.eye(r + j)[:, :, None, None]  # one image a pixel, one pixel wide
    for k, s, d in layers:
        x = conv2d(x, np.ones((k, 1, 1, 1)), stride=s, dilation=d)
    assert x.shape[1] == 2
    felt = np.flatnonzero(x[:, 0, 0, 0])
    assert felt[-1] - felt[0] + 1 == r


def test_receptive_field_refuses_a_stride_of_zero():
    with pytest.raises(DataError, match=r"\(3, 0, 1\)"):
        receptive_field([(3, 0, 1)])

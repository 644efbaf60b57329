"""Registration: the warp against SciPy and OpenCV, losses against libraries, fields that are known.

Every method must find a motion that is known, in the one convention: pixels across, then down,
from the fixed image into the moving one.
"""

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops
from matplotlib.colors import to_rgba
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage
from sklearn.metrics import mutual_info_score

from mednb import plots, registration
from mednb.errors import DataError, ShapeError
from mednb.metrics.intervals import bootstrap
from mednb.types import Split

N, H, W, C = 2, 7, 9, 3
Y, X = np.mgrid[:H, :W]


def tensors(*values):
    return [ops.convert_to_tensor(np.asarray(v, np.float32)) for v in values]


def warped(images, field):
    return ops.convert_to_numpy(registration.warp(*tensors(images, field)))


def drawn(seed, scale=2.0):
    rng = np.random.default_rng(seed)
    images = rng.random((N, H, W, C)).astype("float32")
    return images, rng.normal(0, scale, (N, H, W, 2)).astype("float32")


# The warp


@pytest.mark.backend
@given(st.integers(0, 99))
def test_the_warp_equals_scipy(seed):
    images, u = drawn(seed)
    got = warped(images, u)
    for n, c in np.ndindex(N, C):
        at = [Y + u[n, ..., 1], X + u[n, ..., 0]]  # SciPy takes rows first
        want = ndimage.map_coordinates(images[n, ..., c], at, order=1, mode="nearest")
        np.testing.assert_allclose(got[n, ..., c], want, atol=1e-5)


def test_the_warp_has_opencvs_convention():
    images, u = drawn(0, scale=1.0)
    x, y = np.float32(X + u[0, ..., 0]), np.float32(Y + u[0, ..., 1])
    want = cv2.remap(images[0], x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(warped(images, u)[0], want, atol=0.03)  # 32nds of a pixel


def gradient(images, u, w=1.0):
    """Return d(sum of w times the warped images)/d(images, u) by the framework in use."""
    both = tensors(images, u)

    def total(images, field):
        return ops.sum(ops.multiply(w, registration.warp(images, field)))

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(both)
            value = total(*both)
        return [g.numpy() for g in tape.gradient(value, both)]
    if keras.backend.backend() == "jax":
        import jax

        return [np.asarray(g) for g in jax.grad(total, argnums=(0, 1))(*both)]
    both = [t.clone().requires_grad_(True) for t in both]
    total(*both).backward()
    return [t.grad.detach().cpu().numpy() for t in both]


@pytest.mark.backend
def test_its_gradient_in_the_field_is_that_of_finite_differences():
    images, u = drawn(2, scale=0.3)
    u = np.abs(u) % 0.8 + 0.1  # between pixels, where the slope does not jump
    u[:, -2:], u[:, :, -2:] = 0.5, 0.5
    got, step = gradient(images, u)[1], 1e-2
    for axis in (0, 1):
        e = np.zeros_like(u)
        e[..., axis] = step
        numeric = (warped(images, u + e) - warped(images, u - e)).sum(axis=-1) / (2 * step)
        np.testing.assert_allclose(got[:, :-2, :-2, axis], numeric[:, :-2, :-2], atol=2e-3)


@pytest.mark.backend
def test_its_gradient_in_the_images_is_the_adjoint():
    images, u = drawn(3)  # many places lie outside, at the repeated edge
    w = np.random.default_rng(4).normal(size=images.shape).astype("float32")
    got = gradient(np.zeros_like(images), u, w)[0]
    assert (got * images).sum() == pytest.approx((w * warped(images, u)).sum(), rel=1e-4)
    np.testing.assert_allclose(got.sum(), w.sum(), rtol=1e-4)  # the four shares are 1 in sum


def test_labels_are_those_of_the_nearest_pixel():
    rng = np.random.default_rng(0)
    masks, u = rng.integers(0, 4, (N, H, W)).astype("uint8"), rng.integers(-4, 5, (N, H, W, 2))
    u = u + 0.3 * rng.choice([-1, 1], u.shape)
    got = registration.pull(masks, u, labels=True)
    assert got.dtype == np.uint8
    for n in range(N):
        at = [Y + u[n, ..., 1], X + u[n, ..., 0]]
        want = ndimage.map_coordinates(masks[n], at, order=0, mode="nearest")
        np.testing.assert_array_equal(got[n], want)


def smooth(seed, scale):
    rough = np.random.default_rng(seed).normal(size=(1, 32, 32, 2))
    field = ndimage.gaussian_filter(rough, (0, 5, 5, 0))
    return scale * field / np.abs(field).max()


@pytest.mark.backend
def test_a_flow_can_be_run_back_and_does_not_fold():
    [v] = tensors(smooth(0, 3.0))
    there, back = registration.exponential(v), registration.exponential(-v)
    left, plain = (
        np.abs(ops.convert_to_numpy(registration.compose(*both))[:, 6:-6, 6:-6]).max()
        for both in ((there, back), (v, -v))
    )
    assert left < 0.1
    assert plain > 5 * left  # the displacement itself does not undo
    [v] = tensors(smooth(1, 12.0))
    assert registration.folded(v)[0] > 0.02
    flow = ops.convert_to_numpy(registration.exponential(v))
    assert registration.jacobian(flow)[:, 4:-4, 4:-4].min() > 0
    [v] = tensors(np.full((1, 8, 9, 2), (1.5, -0.75)))
    np.testing.assert_allclose(ops.convert_to_numpy(registration.exponential(v)), v, atol=1e-6)


# Losses


def value(loss, *args, **options):
    return ops.convert_to_numpy(loss(*tensors(*args), **options))


@pytest.mark.backend
def test_local_correlation_against_windows():
    a, b = (np.random.default_rng(s).random((2, 14, 17, 1)) for s in (0, 1))
    b = (a + b) / 2
    for n in range(2):
        x, y = (sliding_window_view(i[n, ..., 0], (9, 9))[::3, ::3] for i in (a, b))
        axes = (2, 3)
        cov = (x * y).mean(axes) - x.mean(axes) * y.mean(axes)
        want = 1 - np.mean(cov**2 / (x.var(axes) * y.var(axes) + 1e-4))
        assert value(registration.ncc, a, b)[n] == pytest.approx(want, abs=2e-3)
    for b in (0.5 * a + 0.2, 1 - a):  # knows neither brightness nor the sign of contrast
        assert value(registration.ncc, a, b, eps=1e-9) == pytest.approx(0, abs=1e-3)


@pytest.mark.backend
def test_mutual_information_of_levels_is_that_of_their_histogram():
    """On bin centres the hats are a histogram, of which scikit-learn knows the answer."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 8, (2, 14, 17, 1))
    b = np.where(rng.random(a.shape) < 0.7, (3 * a + 2) % 8, rng.integers(0, 8, a.shape))
    got = value(registration.mutual_information, a / 7, b / 7, bins=8)
    for n in range(2):
        want = mutual_info_score(a[n].ravel(), b[n].ravel())
        assert -got[n] == pytest.approx(want, abs=1e-4)
        assert want > 0.5


@pytest.mark.backend
@pytest.mark.parametrize("similarity", registration.SIMILARITIES)
def test_the_loss_is_the_sum_of_unlikeness_and_roughness(similarity):
    u = np.zeros((1, 3, 4, 2))
    u[0, 1, 2, 0] = 2.0
    # Two steps of 2 across among 3 x 3 x 2, and two down among 2 x 4 x 2.
    assert value(registration.diffusion, u + 7)[0] == pytest.approx(8 / 18 + 8 / 16)
    rng = np.random.default_rng(2)
    fixed, other = np.rint(255 * rng.random((2, 14, 17, 1))), rng.random((2, 14, 17, 1))
    u = rng.normal(size=(2, 14, 17, 2))
    unlike = value(registration.SIMILARITIES[similarity], fixed / 255, other)
    loss = registration.RegistrationLoss(similarity, 0.3)
    got = value(loss, fixed, np.concatenate([other, u], axis=-1))
    want = unlike + 0.3 * value(registration.diffusion, u)
    assert got == pytest.approx(want.mean(), rel=1e-4)
    assert registration.RegistrationLoss.from_config(loss.get_config()).weight == 0.3


# The network


def blobs(n, prefix="p"):
    """A blob, and the same one two pixels to the right: the field is (2, 0), back (-2, 0)."""
    rng = np.random.default_rng([len(prefix), n])
    y, x = np.mgrid[:16, :24]
    images = np.empty((n, 16, 24, 2), np.uint8)
    for image in images:
        cx, cy = rng.uniform(8, 14), rng.uniform(6, 10)
        for c in (0, 1):
            image[..., c] = 250 * np.exp(-((x - cx - 2 * c) ** 2 + (y - cy) ** 2) / 18)
    groups = np.array([f"{prefix}{i}" for i in range(n)])
    return Split(images, np.arange(n), groups, targets={"fixed": images[..., :1].copy()})


def test_both_ways_exchanges_fixed_and_moving():
    split = blobs(3)
    both = registration.both_ways(split)
    np.testing.assert_array_equal(both.images[:3], split.images)
    np.testing.assert_array_equal(both.images[3:], split.images[..., ::-1])
    np.testing.assert_array_equal(both.targets["fixed"], both.images[..., :1])
    assert both.groups.tolist() == 2 * split.groups.tolist()


@pytest.mark.backend
@pytest.mark.parametrize("diffeomorphic", [True, False])
def test_the_network_starts_from_the_identity_and_can_be_saved(diffeomorphic, tmp_path):
    model = registration.voxelmorph((16, 24), diffeomorphic=diffeomorphic)
    images = blobs(3).images
    out = ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(out[..., 0], images[..., 1] / 255, atol=0.01)
    assert 0 < np.abs(out[..., 1:]).max() < 0.01
    model.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(ops.convert_to_numpy(again(images)), out)
    with pytest.raises(ShapeError, match="divisible by 8"):
        registration.voxelmorph((20, 24))


@pytest.mark.backend
def test_it_finds_the_shift_either_way_without_being_told():
    train, held = registration.both_ways(blobs(48)), registration.both_ways(blobs(8, "held"))
    about = {"weight": 1e-4, "learning_rate": 1e-2}
    made = registration.train_registrar(train, epochs=12, seed=0, **about)
    assert made.history["loss"][-1] < 0.5 * made.history["loss"][0]
    u = registration.register(made.model, held.images)
    for half, want in ((np.s_[:8], 2), (np.s_[8:], -2)):
        found = u[half][held.images[half, ..., 0] > 125]
        assert found.mean(axis=0) == pytest.approx([want, 0], abs=0.6)
    assert registration.folded(u).max() == 0


# Methods without learning


def picture(seed=0):
    """A smooth random texture that fades towards the edge."""
    rough = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(48, 64)), (0, 0), 2.5)
    window = np.outer(np.hanning(48), np.hanning(64)) ** 0.5
    return np.uint8(np.clip(120 + 900 * rough * window, 0, 255))


def moved_by(image, A):
    """Return the image after p -> A p, and the field that says so."""
    A = np.float64(A)
    moving = cv2.warpAffine(image, A, (64, 48), flags=cv2.INTER_CUBIC, borderMode=2)
    y, x = np.mgrid[:48, :64]
    return moving, np.stack([x, y, np.ones_like(x)], -1) @ A.T - np.stack([x, y], -1)


@pytest.mark.parametrize("name", registration.METHODS)
def test_finds_a_shift(name):
    """3 pixels to the right and 1.5 up: unequal, so that no axis can be mistaken for the other."""
    fixed = picture()
    moving, truth = moved_by(fixed, [[1, 0, 3], [0, 1, -1.5]])
    pair = np.stack([fixed, moving], -1)[None]
    u = registration.search(registration.METHODS[name], pair)
    assert u.dtype == np.float32
    off = np.abs(u[0] - truth)[12:-12, 12:-12].mean()
    assert off > 2 if name == "identity" else off < 0.35


def test_affine_and_rigid_find_a_turn():
    fixed = picture(1)
    moving, truth = moved_by(fixed, cv2.getRotationMatrix2D((31.5, 23.5), 6, 1.0))
    for method in (registration.affine, registration.rigid):
        assert np.abs(method(fixed, moving) - truth)[10:-10, 10:-10].mean() < 0.3
    flat = np.full((48, 64), 100, "uint8")
    assert registration.affine(flat, flat).max() == 0  # gives up quietly


def test_mutual_information_sees_through_another_contrast():
    fixed = picture(2)
    moving, truth = moved_by(fixed, [[1, 0, 3], [0, 1, -2]])
    by_mi, by_mse = (
        np.abs(registration.rigid(fixed, 255 - moving, metric=m) - truth)[12:-12, 12:-12].mean()
        for m in ("mi", "mse")
    )
    assert by_mi < 0.3
    assert by_mse > 2


# Right, and possible


slopes = arrays(float, (2, 2), elements=st.floats(-3, 3, width=32))


@given(slopes, st.tuples(st.floats(-9, 9), st.floats(-9, 9)))
def test_jacobian_of_an_affine_map_is_its_determinant_everywhere(A, b):
    p = np.stack([X, Y], axis=-1)
    J = registration.jacobian((p @ A.T + b - p)[None])
    np.testing.assert_allclose(J, np.full((1, H, W), np.linalg.det(A)), atol=1e-9)


def test_folds_are_counted_case_by_case_and_flat_counts():
    u = np.zeros((3, H, W, 2))
    u[1, ..., 0] = -X  # everything lands in one column: the determinant is 0
    u[2, :, :3, 0] = -2 * np.arange(3)  # the first columns run backwards
    # Slopes -2, -2, (0 + 2) / 2, 2 at columns 0 to 3: only the first two fold.
    assert registration.folded(u).tolist() == pytest.approx([0, 1, 2 / W])
    assert registration.jacobian(u)[2, 0, :4].tolist() == [-1, -1, 2, 3]


def test_target_error_by_hand():
    u, v = np.zeros((2, 3, H, W, 2))
    u[0, 2, 3], u[0, 2, 4] = (3, 4), (0, 2)
    u[1, ..., 0] = 2
    where = np.zeros((3, H, W), bool)
    where[0, 2, 3:5] = where[1, 0, 0] = True
    found = registration.target_error(u, v, where, [[2, 1], [0.5, 9], [1, 1]])
    # (3 * 2 mm, 4 * 1 mm) and (0, 2 mm); 2 * 0.5 mm across; nothing counts.
    assert found[:2] == pytest.approx([(np.hypot(6, 4) + 2) / 2, 1])
    assert np.isnan(found[2])
    assert registration.target_error(u, v, where, [2, 3, 1])[:2] == pytest.approx([7, 6])


def hearts():
    """A cavity in a wall, two pixels to the right and one down in the moving image."""
    y, x = np.mgrid[:16, :18]
    far = np.hypot(x - 7, y - 7) - np.linspace(0, 1, 6)[:, None, None]
    masks = np.where(far < 3, 1, np.where(far < 5, 2, 0)).astype(np.uint8)
    truth = {
        "moving_masks": np.roll(masks, (1, 2), axis=(1, 2)),
        "field": np.full((6, 16, 18, 2), (2, 1), np.float32),
        "spacing_mm": np.linspace(0.5, 1.5, 6),
    }
    images, groups = np.zeros((6, 16, 18, 2), np.uint8), np.repeat(["a", "b", "c"], 2)
    return Split(images, np.zeros(6, int), groups, masks=masks, targets=truth)


def test_the_truth_is_perfect_and_nothing_is_not():
    split = hearts()
    true = registration.per_case(split.targets["field"], split)
    assert {n: set(y) for n, y in true.items()} == {
        "dice_cavity": {1}, "dice_wall": {1}, "tre_mm": {0}, "folded": {0}
    }  # fmt: skip
    still = registration.per_case(0 * split.targets["field"], split)
    np.testing.assert_allclose(still["tre_mm"], np.hypot(2, 1) * split.targets["spacing_mm"])
    assert still["dice_wall"].max() < 0.7
    with pytest.raises(DataError, match="true field"):
        registration.per_case(split.targets["field"], blobs(6))


def test_means_and_differences_have_intervals_by_patient():
    split = hearts()
    split.masks[0][split.masks[0] == 2] = 0  # a pair without a wall has no error in it
    u = np.random.default_rng(0).normal(size=(6, 16, 18, 2))
    cases = registration.per_case(u, split)
    assert np.isnan(cases["tre_mm"]).tolist() == [True] + 5 * [False]
    found = registration.means(cases, split.groups)
    y, groups = cases["tre_mm"][1:], split.groups[1:]
    want = bootstrap(lambda w: w @ y / w.sum(axis=1), 5, groups=groups)
    assert tuple(found["tre_mm"]) == pytest.approx(tuple(want))
    same = registration.minus(cases, cases, split.groups)
    assert all(tuple(e) == (0, 0, 0) for e in same.values())


def test_a_shift_and_a_growth_between_two_visits():
    first, second, wider = np.zeros((3, 1, 16, 18), np.uint8)
    first[0, 4:8, 6:10] = second[0, 7:11, 10:14] = wider[0, 4:8, 5:11] = 1
    y, x = np.mgrid[:16, :18]
    shift = np.full((1, 16, 18, 2), (4.0, 3.0))
    grow = np.stack([0.5 * (x - 7.5), 0 * y], axis=-1)[None]  # half as wide again

    def judged(other, u, mm=0.5):
        area = np.array([[first.sum(), other.sum()]]) * mm**2
        truth = {"moving_masks": other, "area_mm2": area, "spacing_mm": np.array([mm])}
        images = np.zeros((1, 16, 18, 2), np.uint8)
        case = Split(images, np.zeros(1, int), np.array(["a"]), masks=first, targets=truth)
        return {n: float(v[0]) for n, v in registration.per_visit(u, case).items()}

    good, none = judged(second, shift), judged(second, 0 * shift)
    assert good == pytest.approx({"centre_mm": 0, "dice": 1, "growth_error": 0, "folded": 0})
    assert none["centre_mm"] == pytest.approx(2.5)  # 3, 4, 5 pixels of half a mm
    assert none["dice"] < 0.3
    assert judged(wider, grow)["growth_error"] == pytest.approx(0)
    assert judged(wider, 0 * grow)["growth_error"] == pytest.approx(0.5)
    assert np.isnan(registration.growth(grow, 0 * first)).all()


# Strain


def horseshoe(mouth=12.0):
    """A cavity of radius 16 in a wall that is open below, where the atrium would be."""
    y, x = np.mgrid[:60, :70]
    far = np.hypot(x - 33, y - 28)
    mask = np.where(far < 16, 1, np.where(far < 22, 2, 0)).astype(np.uint8)
    mask[y > mouth + 28] = 0
    return mask


def length(line):
    return np.hypot(*np.diff(line, axis=0).T).sum()


def test_the_line_runs_along_the_wall_from_end_to_end_and_not_across_the_mouth():
    line = registration.wall_line(horseshoe())
    np.testing.assert_allclose(np.hypot(*(line - (33, 28)).T), 15.5, atol=0.8)
    assert length(line) == pytest.approx(15.5 * 2 * (np.pi / 2 + np.arcsin(12 / 16)), rel=0.04)
    # Both ends at the mouth, on either side; the apex in the middle; even steps.
    assert np.sort(line[[0, -1], 0]) == pytest.approx([22, 44], abs=1.5)
    assert line[20] == pytest.approx([33, 12.5], abs=0.8)
    steps = np.hypot(*np.diff(line, axis=0).T)
    assert np.ptp(steps) < 0.1 * steps.mean()
    closed = registration.wall_line(horseshoe(mouth=40))
    assert length(closed) == pytest.approx(2 * np.pi * 15.5, rel=0.05)
    for missing in (1, 2):
        with pytest.raises(DataError, match="in a wall"):
            registration.wall_line(np.where(horseshoe() == missing, 0, horseshoe()))


@given(st.floats(0.5, 1.6))
def test_a_wall_stretched_by_a_factor_has_that_strain(factor):
    y, x = np.mgrid[:60, :70]
    u = (factor - 1) * np.stack([x - 33, y - 28], axis=-1)
    line = registration.wall_line(horseshoe())
    found = registration.longitudinal(line, registration.moved(line, u))
    assert found == pytest.approx(100 * (factor - 1), abs=0.2)


def test_points_go_where_the_field_says():
    u = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(60, 70, 2)), (3, 3, 0))
    p = np.random.default_rng(1).uniform(1, 55, (50, 2))
    want = [ndimage.map_coordinates(u[..., c], p.T[::-1], order=1) for c in (0, 1)]
    np.testing.assert_allclose(registration.moved(p, u) - p, np.transpose(want), atol=0.01)


# Pictures


def test_one_pair_has_a_column_for_every_method(monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "show", lambda figure, *, alt: shown.append(figure))
    u = np.zeros((H, W, 2), np.float32)
    u[:, :3, 0] = -2 * np.arange(3)
    moving, fixed = np.uint8(X + 9 * Y), np.full((H, W), 200, np.uint8)
    mask = (X > 2) & (X < 6) & (Y > 2)
    registration.registered(fixed, moving, {"a": 0 * u, "b": u}, mask=mask, alt="all")
    boards, grids, areas = (shown[0].axes[i : i + 2] for i in (0, 2, 4))
    assert [ax.get_title() for ax in boards] == ["a", "b"]
    board = np.asarray(boards[0].images[0].get_array())
    assert (board[:2, :2] == 200).all()
    np.testing.assert_array_equal(board[:2, 2:4], moving[:2, 2:4])
    assert (np.diff(grids[1].lines[0].get_xdata()) < 0).any()  # a row that runs back: a fold
    np.testing.assert_array_equal(grids[0].lines[0].get_xdata(), np.arange(W))
    folds = areas[1].images[0]
    assert (np.asarray(folds.get_array())[:, :2] == -1).all()
    assert np.allclose(folds.to_rgba(np.array([-1.0, 0.0])), to_rgba(plots.OKABE_ITO[1]))
    plt.close("all")


def test_arrows_start_on_the_grid_and_short_ones_are_left_out(monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "show", lambda figure, *, alt: shown.append(figure))
    field = np.zeros((1, 8, 9, 2))
    field[:, :, 6, 0], field[:, :, 2, 1] = 2.0, 0.5
    about = {"titles": ["x"], "every": 4, "least": 1.0}
    registration.motion(np.zeros((1, 8, 9)), field, alt="x", **about)
    (arrows,) = shown[0].axes[0].collections
    np.testing.assert_array_equal(arrows.get_offsets(), [[6, 2], [6, 6]])
    np.testing.assert_array_equal([arrows.U, arrows.V], [[2, 2], [0, 0]])
    plt.close("all")

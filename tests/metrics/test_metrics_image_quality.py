"""PSNR, SSIM and NMSE against scikit-image and NumPy; means with intervals by group."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from mednb.errors import DataError, ShapeError, UnknownNameError
from mednb.metrics import image_quality
from mednb.metrics.image_quality import difference, mean, nmse, psnr, quality, ssim


@pytest.fixture
def images(rng):
    truth = gaussian_filter(rng.random((5, 17, 19)), (0, 1, 1))
    return truth, truth + rng.normal(scale=0.05, size=truth.shape) * np.arange(1, 6)[:, None, None]


@pytest.mark.parametrize("span", [1.0, 0.5, 255.0])
def test_psnr_is_scikit_images_and_the_formula(images, span):
    truth, made = images
    got = psnr(truth, made, data_range=span)
    assert got.shape == (5,)
    assert got.dtype == np.float64
    for i in range(5):
        theirs = peak_signal_noise_ratio(truth[i], made[i], data_range=span)
        assert got[i] == pytest.approx(theirs, rel=1e-12)
        mse = np.mean((truth[i] - made[i]) ** 2)
        assert got[i] == pytest.approx(10 * np.log10(span**2 / mse), rel=1e-12)
    np.testing.assert_array_equal(psnr(truth[..., None], made[..., None], data_range=span), got)


def test_a_perfect_image(images):
    truth, _ = images
    assert np.isposinf(psnr(truth, truth)).all()
    np.testing.assert_allclose(ssim(truth, truth), 1)
    np.testing.assert_array_equal(nmse(truth, truth), 0)
    np.testing.assert_allclose(nmse(truth, 0 * truth), 1)


@pytest.mark.parametrize("span", [1.0, 0.5])
def test_ssim_is_scikit_images_with_the_settings_stated(images, span):
    truth, made = images
    theirs = [
        structural_similarity(
            a,
            b,
            data_range=span,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            K1=0.01,
            K2=0.03,
        )
        for a, b in zip(truth, made, strict=True)
    ]
    np.testing.assert_allclose(ssim(truth, made, data_range=span), theirs, rtol=1e-12)


def test_ssim_is_the_formula_of_wang(images):
    """Gaussian window of 11 x 11, population moments, the rim of 5 pixels left out."""
    x, y = (a[0] for a in images)

    def blur(a):
        return gaussian_filter(a, 1.5, truncate=3.5)

    mx, my = blur(x), blur(y)
    vx, vy, c = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    C1, C2 = 0.01**2, 0.03**2
    s = (2 * mx * my + C1) * (2 * c + C2) / ((mx**2 + my**2 + C1) * (vx + vy + C2))
    assert ssim(*images)[0] == pytest.approx(s[5:-5, 5:-5].mean(), rel=1e-9)


def test_nmse_is_the_formula(images):
    truth, made = images
    for i, got in enumerate(nmse(truth, made)):
        want = mean_squared_error(truth[i], made[i]) / np.mean(truth[i] ** 2)
        assert got == pytest.approx(want, rel=1e-12)


def test_the_worse_the_image_the_worse_the_figure(images):
    for figure, sign in ((psnr, -1), (ssim, -1), (nmse, 1)):
        assert (sign * np.diff(figure(*images)) > 0).all()


def test_quality_cuts_to_white_and_pairs_the_cases(images):
    truth, made = images
    truth = np.clip(truth, 0, 1)
    groups = np.array(["a", "a", "b", "c", "d"])
    found = quality(truth, {"made": made, "half": 0.5 * truth}, groups=groups)
    np.testing.assert_array_equal(found.values["made"]["PSNR"], psnr(truth, np.clip(made, 0, 1)))
    assert (found.values["made"]["PSNR"] > psnr(truth, made)).any()
    for figure, function in image_quality.FIGURES.items():
        value, low, high = found.estimate("half", figure)
        assert value == pytest.approx(function(truth, 0.5 * truth).mean())
        assert low < value < high or figure == "NMSE"  # half of everything is a quarter always
        gain = found.gain("made", "half", figure)
        own = found.values["made"][figure] - found.values["half"][figure]
        assert gain.value == pytest.approx(own.mean())
    assert tuple(found.estimate("half", "NMSE")) == pytest.approx((0.25, 0.25, 0.25))
    assert tuple(found.gain("made", "made", "SSIM")) == pytest.approx((0, 0, 0))


def test_the_table_shows_what_was_found(images):
    truth, made = images
    found = quality(truth, {"made": made}, groups=np.arange(5), figures=("PSNR", "SSIM", "NMSE"))
    text = str(found.table())
    assert "5 cases: mean with 95 % interval by phantom or patient" in text
    for word in ("PSNR, dB", "SSIM", "NMSE", "made"):
        assert word in text
    psnr_, low, high = found.estimate("made", "PSNR")
    assert f"{psnr_:.1f} ({low:.1f} to {high:.1f})" in text
    only = quality(truth, {"made": made}, groups=np.arange(5), figures=("SSIM",))
    assert "PSNR" not in str(only.table())


def test_intervals_are_by_group(rng):
    """Four copies of each case in its group say nothing new: the interval stays."""
    x = rng.normal(size=25)
    alone = mean(x)
    copies = mean(x.repeat(4), groups=np.arange(25).repeat(4))
    careless = mean(x.repeat(4))
    assert [alone.value, copies.value] == pytest.approx([x.mean()] * 2)
    width = [e.high - e.low for e in (alone, copies, careless)]
    assert width[1] == pytest.approx(width[0], rel=0.15)
    assert width[2] == pytest.approx(width[0] / 2, rel=0.15)
    assert width[0] == pytest.approx(2 * 1.96 * x.std() / 5, rel=0.15)
    assert mean(x, seed=1) != alone
    assert mean(x, seed=0) == alone


def test_a_paired_difference_is_known_better_than_either(rng):
    hard = rng.normal(scale=3, size=40)
    a, b = hard + 0.5 + rng.normal(scale=0.1, size=40), hard + rng.normal(scale=0.1, size=40)
    gain = difference(a, b)
    assert gain.value == pytest.approx((a - b).mean())
    assert gain.high - gain.low < 0.1 * (mean(a).high - mean(a).low)
    assert gain.low > 0.4
    assert difference(b, a).value == -gain.value


def test_errors_teach(images):
    truth, made = images
    for figure in (psnr, ssim, nmse):
        with pytest.raises(ShapeError, match=r"\(N, H, W\).*\(5, 17, 19\) and \(4, 17, 19\)"):
            figure(truth, made[:4])
        with pytest.raises(ShapeError, match=r"\(N, H, W\)"):
            figure(truth[0], made[0])
        with pytest.raises(DataError, match="finite images"):
            figure(truth, np.where(made > 0, made, np.nan) * np.inf)
    for figure in (psnr, ssim):
        for span in (0, -1, np.nan):
            with pytest.raises(DataError, match="data_range above 0"):
                figure(truth, made, data_range=span)
    with pytest.raises(ShapeError, match=r"at least 11 pixels.*\(10, 19\)"):
        ssim(truth[:, :10], made[:, :10])
    with pytest.raises(DataError, match="a black one"):
        nmse(truth * (np.arange(5) != 2)[:, None, None], made)
    with pytest.raises(DataError, match="perfect image is infinite"):
        mean(psnr(truth, truth))
    with pytest.raises(ShapeError, match=r"one length. Received: \(5,\) and \(4,\)"):
        difference(np.zeros(5), np.zeros(4))
    with pytest.raises(ShapeError, match=r"one group a case, \(5,\). Received: \(4,\)"):
        quality(truth, {"made": made}, groups=np.arange(4))
    with pytest.raises(UnknownNameError, match=r"figure.*PSNR"):
        quality(truth, {"made": made}, groups=np.arange(5), figures=("PSRN",))
    found = quality(truth, {"made": made}, groups=np.arange(5), figures=("PSNR",))
    with pytest.raises(UnknownNameError, match=r"method.*made"):
        found.estimate("mad", "PSNR")
    with pytest.raises(UnknownNameError, match=r"figure.*PSNR"):
        found.gain("made", "made", "SSIM")

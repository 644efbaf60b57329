"""The physics has to hold, and each check has to fail on a simulator broken on purpose."""

from collections.abc import Callable
from dataclasses import replace
from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import hilbert

from mednb.errors import UnknownNameError
from mednb.simulate import hearts, lesions, looks
from mednb.simulate import ultrasound as us
from mednb.simulate.ultrasound import SCANNERS, Scanner, fwhm_axial, fwhm_lateral

LINEAR = SCANNERS["linear-5MHz"]
SECTOR = SCANNERS["phased-2.5MHz"]
#: A probe with the textbook figures: 2.5 MHz, 60 %, 19.2 mm; small, so that the tests are quick.
SMALL_SECTOR = replace(SECTOR, depth_mm=60.0, angle_deg=50.0)
BOTH = pytest.mark.parametrize("scanner", [LINEAR, SMALL_SECTOR], ids=["linear", "sector"])


def speckle(scanner: Scanner = LINEAR, *, per_cell: float = 15, seed: int = 3) -> np.ndarray:
    """Envelope of uniform tissue without attenuation or noise, edges cut off."""
    rng = np.random.default_rng(seed)
    r, u, a = us.draw_scatterers(scanner, rng, per_cell=per_cell)
    return np.abs(us.image_iq(scanner, r, u, a, loss_db=0.0))[8:-8, 8:-8]


def full_width(y: np.ndarray, step: float) -> float:
    above = np.flatnonzero(y >= y.max() / 2)
    i, j, h = above[0], above[-1], y.max() / 2
    left = i - (y[i] - h) / (y[i] - y[i - 1])
    right = j + (y[j] - h) / (y[j] - y[j + 1])
    return float((right - left) * step)


def point(scanner: Scanner, r: float, u: float) -> np.ndarray:
    return us.image_iq(scanner, np.array([r]), np.array([u]), np.ones(1), loss_db=0.0)


# --- the checks: each raises AssertionError when the physics is wrong -------------------------


def check_rayleigh(scanner: Scanner) -> None:
    E = speckle(scanner)
    assert 1.8 < E.mean() / E.std() < 2.0  # sqrt(pi / (4 - pi)) = 1.913


def check_log_envelope(scanner: Scanner) -> None:
    E = speckle(scanner)
    grey = us.log_compress(E, reference=E.max(), dynamic_range_db=100.0)
    db = grey * (100.0 / 255)
    assert 5.3 < db.std() < 6.0  # (10 / ln 10) pi / sqrt 6 = 5.57


def check_level(scanner: Scanner) -> None:
    E = speckle(scanner)
    assert 0.93 < np.sqrt(np.mean(E**2)) < 1.07


def stroboscope(scanner: Scanner, axis: int) -> float:
    """Measured width of a point, mm or rad, from 8 positions within one grid step.

    Three samples a width are enough to image but not to measure a width: samples taken at eight
    sub-steps together make a profile eight times as fine.
    """
    g = us.grid(scanner)
    axes, steps, middle = (g.r, g.u), (g.dr, g.du), (60, len(g.u) // 2)
    away, level = [], []
    for s in np.arange(8) / 8:
        # Across, where the bilinear splat has exactly its mean variance: q (1 - q) = 1 / 6.
        at = [g.r[60] + g.dr * (3 - 3**0.5) / 6, g.du * (3 - 3**0.5) / 6]
        at[axis] = (g.r[60] if axis == 0 else 0.0) + s * steps[axis]
        E = np.abs(point(scanner, *at))
        line = E[:, middle[1]] if axis == 0 else E[middle[0]]
        away.append(axes[axis] - at[axis])
        level.append(line)
    order = np.argsort(np.concatenate(away))
    x, y = np.concatenate(away)[order], np.concatenate(level)[order]
    assert y.max() == pytest.approx(1, abs=0.1)
    return full_width(y, float(np.median(np.diff(x))))


def check_axial_width(scanner: Scanner) -> None:
    assert stroboscope(scanner, 0) == pytest.approx(fwhm_axial(scanner), rel=0.1)


def check_lateral_width(scanner: Scanner) -> None:
    assert stroboscope(scanner, 1) == pytest.approx(fwhm_lateral(scanner), rel=0.1)


def check_attenuation(scanner: Scanner) -> None:
    g = us.grid(scanner)
    level = np.zeros(len(g.r))
    for seed in range(6):
        r, u, a = us.draw_scatterers(scanner, np.random.default_rng(seed))
        iq = us.image_iq(scanner, r, u, a, loss_db=us.round_trip_loss_db(scanner, r))
        level += np.mean(np.abs(iq)[:, 6:-6] ** 2, axis=1)
    k = slice(8, -8)
    slope = np.polyfit(g.r[k] / 10, 10 * np.log10(level[k]), 1)[0]
    assert slope == pytest.approx(-2 * 0.5 * scanner.f0 / 1e6, abs=0.1)  # dB/cm


def check_tgc(scanner: Scanner) -> None:
    """TGC has to make attenuated tissue as bright at the bottom as at the top."""
    g = us.grid(scanner)
    level = np.zeros(len(g.r))
    for seed in range(6):
        r, u, a = us.draw_scatterers(scanner, np.random.default_rng(seed))
        iq = us.image_iq(scanner, r, u, a, loss_db=us.round_trip_loss_db(scanner, r))
        iq *= us.tgc(scanner)
        level += np.mean(np.abs(iq)[:, 6:-6] ** 2, axis=1)
    k = slice(8, -8)
    slope = np.polyfit(g.r[k] / 10, 10 * np.log10(level[k]), 1)[0]
    assert abs(slope) < 0.1  # dB/cm


def check_subsample_phase(scanner: Scanner) -> None:
    """Moving a point by lambda / 16 turns its echo by -4 pi / 16, though no sample moves."""
    g = us.grid(scanner)
    step = scanner.wavelength_mm / 16
    start = g.r[60] + 0.1 * g.dr
    E = np.abs(point(scanner, start, 0.0))
    where = np.unravel_index(E.argmax(), E.shape)
    turn = np.angle(point(scanner, start + step, 0.0)[where] / point(scanner, start, 0.0)[where])
    assert turn == pytest.approx(-pi / 4, abs=1e-9)


def check_noise(scanner: Scanner) -> None:
    loud = replace(scanner, noise_db=-10.0)
    none = np.zeros(0)
    white = us.noise(loud, np.random.default_rng(0))
    iq = us.image_iq(loud, none, none, none, loss_db=none, noise=white)
    E = np.abs(iq)[8:-8, 8:-8]
    assert 20 * np.log10(np.sqrt(np.mean(E**2))) == pytest.approx(-10, abs=0.4)
    assert 1.8 < E.mean() / E.std() < 2.0  # complex Gaussian


CHECKS = [f for name, f in list(globals().items()) if name.startswith("check_")]


@BOTH
@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_physics(check: Callable[[Scanner], None], scanner: Scanner) -> None:
    check(scanner)


# --- broken simulators -------------------------------------------------------------------------

_draw, _kernel, _noise = us.draw_scatterers, us.blur_kernel, us.noise


def one_per_cell(scanner, rng, *, per_cell=15.0):
    return _draw(scanner, rng, per_cell=1.0)


def gaussian_amplitudes_two_per_cell(scanner, rng, *, per_cell=15.0):
    r, u, a = _draw(scanner, rng, per_cell=2.0)
    return r, u, a * rng.standard_normal(len(a))


def unnormalised(scanner, rng, *, per_cell=15.0):
    r, u, a = _draw(scanner, rng, per_cell=per_cell)
    return r, u, np.sign(a)


def wider(scanner):
    return _kernel(replace(scanner, samples=1.3 * scanner.samples))


def one_way_aperture(scanner):
    return _kernel(replace(scanner, samples=1.206 / 0.886 * scanner.samples))


def rounded_phase(scanner, r):
    dr = us.grid(scanner).dr
    return np.exp(-4j * pi * np.rint(r / dr) * dr / scanner.wavelength_mm)


def one_way_phase(scanner, r):
    return np.exp(-2j * pi * r / scanner.wavelength_mm)


def no_loss(scanner, r, *, alpha=0.5):
    return 0.0 * r


def one_way_loss(scanner, r, *, alpha=0.5):
    return alpha * scanner.f0 / 1e6 / 10 * r


def natural_log(E, *, reference, dynamic_range_db):
    return np.clip(np.log(E / reference) + dynamic_range_db, 0, None) * 255 / dynamic_range_db


def power_as_amplitude(E, *, reference, dynamic_range_db):
    return (
        np.clip(10 * np.log10(E / reference) + dynamic_range_db, 0, None) * 255 / dynamic_range_db
    )


def no_tgc(scanner, *, alpha=0.5):
    return np.ones((len(us.grid(scanner).r), 1))


def real_noise(scanner, rng):
    return _noise(scanner, rng) * np.array([1, 0])[:, None, None]


BROKEN = [
    (check_rayleigh, "draw_scatterers", one_per_cell),
    (check_rayleigh, "draw_scatterers", gaussian_amplitudes_two_per_cell),
    (check_log_envelope, "log_compress", natural_log),
    (check_log_envelope, "log_compress", power_as_amplitude),
    (check_level, "draw_scatterers", unnormalised),
    (check_axial_width, "blur_kernel", wider),
    (check_lateral_width, "blur_kernel", one_way_aperture),
    (check_attenuation, "round_trip_loss_db", no_loss),
    (check_attenuation, "round_trip_loss_db", one_way_loss),
    (check_tgc, "tgc", no_tgc),
    (check_subsample_phase, "phasor", rounded_phase),
    (check_subsample_phase, "phasor", one_way_phase),
    (check_noise, "noise", real_noise),
]


@BOTH
@pytest.mark.parametrize(
    ("check", "name", "broken"), BROKEN, ids=[f"{c.__name__}-{b.__name__}" for c, _, b in BROKEN]
)
def test_check_fails_on_a_broken_simulator(
    monkeypatch: pytest.MonkeyPatch, check: Callable, name: str, broken: Callable, scanner: Scanner
) -> None:
    monkeypatch.setattr(us, name, broken)
    with pytest.raises(AssertionError):
        check(scanner)


# --- single functions --------------------------------------------------------------------------


def test_snr_below_one_and_a_half_with_one_scatterer_a_cell() -> None:
    E = speckle(per_cell=1.0)
    assert E.mean() / E.std() < 1.5


def test_widths_are_those_of_the_textbook() -> None:
    assert fwhm_axial(SECTOR) == pytest.approx(0.453, abs=1e-3)  # 2.5 MHz, 60 %
    assert fwhm_lateral(SECTOR) == pytest.approx(0.0284, abs=1e-4)  # rad
    assert fwhm_lateral(LINEAR) == pytest.approx(0.886 * 1.54 / 5 * 4)


def test_envelope_is_the_modulus_of_the_hilbert_transform() -> None:
    fine = replace(LINEAR, samples=24.0, width_mm=4.0)
    g = us.grid(fine)
    line = point(fine, 16.0, 0.0)[:, len(g.u) // 2]
    rf = (line * np.exp(4j * pi * g.r / fine.wavelength_mm)).real
    assert np.abs(hilbert(rf)) == pytest.approx(np.abs(line), abs=2e-3)
    assert np.abs(line).max() == pytest.approx(1, abs=0.01)


@given(st.lists(st.floats(0, 200), min_size=1, max_size=20))
def test_phasor_is_the_complex_exponential(depths: list[float]) -> None:
    r = np.array(depths)
    expected = np.exp(-4j * pi * r / LINEAR.wavelength_mm)
    # 4 pi 200 / lambda is 8000 rad: the argument itself is only known to 1e-12.
    assert us.phasor(LINEAR, r) == pytest.approx(expected, abs=5e-12)


def test_phasor_at_whole_and_half_turns() -> None:
    r = np.array([0, 0.25, 0.5, 1.0]) * LINEAR.wavelength_mm
    assert us.phasor(LINEAR, r) == pytest.approx(np.array([1, -1, 1, 1]), abs=1e-14)


@given(
    st.lists(
        st.tuples(st.floats(0.5, 31), st.floats(-15, 15), st.floats(-3, 3)),
        min_size=1,
        max_size=9,
    )
)
def test_spreading_keeps_sum_and_centre(points: list[tuple[float, float, float]]) -> None:
    g = us.grid(LINEAR)
    r, u, a = np.array(points).T
    real, imaginary = us.spread(LINEAR, r, u, a)
    w = a * us.phasor(LINEAR, r)
    assert real.sum() + 1j * imaginary.sum() == pytest.approx(w.sum(), abs=1e-9)
    assert (real * g.r[:, None]).sum() == pytest.approx((w.real * r).sum(), abs=1e-9)
    assert (imaginary * g.u).sum() == pytest.approx((w.imag * u).sum(), abs=1e-9)


def test_spreading_leaves_out_what_is_outside() -> None:
    far = np.array([-1.0, 99.0, 5.0, 5.0]), np.array([0.0, 0.0, -99.0, 99.0])
    assert not us.spread(LINEAR, *far, np.ones(4)).any()


def test_image_is_the_sum_of_its_scatterers() -> None:
    rng = np.random.default_rng(0)
    r, u, a = us.draw_scatterers(LINEAR, rng, per_cell=3)
    half = len(r) // 2 + 7
    whole = us.image_iq(LINEAR, r, u, a, loss_db=r)
    parts = us.image_iq(LINEAR, r[:half], u[:half], a[:half], loss_db=r[:half])
    parts = parts + us.image_iq(LINEAR, r[half:], u[half:], a[half:], loss_db=r[half:])
    assert whole == pytest.approx(parts, abs=1e-12)


def test_a_layer_of_extra_attenuation_shades_only_what_is_below() -> None:
    g = us.grid(LINEAR)
    layer = np.zeros(g.shape)
    layer[50:100, 7:9] = 0.8
    loss = us.extra_loss_db(LINEAR, layer)
    assert not loss[:50].any()
    assert not loss[:, :7].any()
    # 2 * 0.8 dB/cm/MHz * 5 MHz * thickness
    assert loss[-1, 7] == pytest.approx(2 * 0.8 * 5 * 50 * g.dr / 10)
    assert loss[100, 8] == loss[-1, 8]


@pytest.mark.parametrize("change", [-6.0, 6.0])
def test_gain_moves_the_grey_level_by_its_decibels(change: float) -> None:
    E = np.full((7, 9), 0.1)
    grey = [
        us.log_compress(E, reference=us.reference(LINEAR, gain_db=db), dynamic_range_db=50.0)
        for db in (0.0, change)
    ]
    assert grey[1] - grey[0] == pytest.approx(np.full((7, 9), change * 255 / 50))


def test_log_compression_ends_in_black_and_white() -> None:
    E = np.array([[0.0, 1e-9, 1.0, 50.0]])
    grey = us.log_compress(E, reference=1.0, dynamic_range_db=40.0)
    assert grey.tolist() == [[0, 0, 255, 255]]
    middle = us.log_compress(np.array([0.1]), reference=1.0, dynamic_range_db=40.0)
    assert middle == pytest.approx(np.array([127.5]))


@BOTH
@pytest.mark.parametrize("size", [61, 112, 223])
def test_a_point_lands_on_its_pixel(scanner: Scanner, size: int) -> None:
    x0, z0 = 4.3, 20.1
    r, u = us.to_beam(scanner, np.array([x0]), np.array([z0]))
    E = np.abs(us.image_iq(scanner, r, u, np.ones(1), loss_db=0.0))
    image = us.scan_convert(E, scanner, size=size)
    x, z = us.pixel_centres(scanner, size)
    assert (image * x).sum() / image.sum() == pytest.approx(x0, abs=0.1)
    assert (image * z).sum() / image.sum() == pytest.approx(z0, abs=0.1)


def test_scan_conversion_keeps_a_flat_image_and_blackens_outside() -> None:
    flat = np.full(us.grid(SMALL_SECTOR).shape, 7.0)
    image = us.scan_convert(flat, SMALL_SECTOR, size=64)
    x, z = us.pixel_centres(SMALL_SECTOR, 64)
    r, theta = us.to_beam(SMALL_SECTOR, *np.broadcast_arrays(x, z))
    inside = (r < 58) & (np.abs(theta) < np.radians(23)) & (r > 30)
    outside = (r > 62) | ((np.abs(theta) > np.radians(26)) & (r > 30))
    assert image[inside] == pytest.approx(7.0)
    assert not image[outside].any()


def test_averaging_speckle_follows_the_number_of_cells() -> None:
    """Without area averaging a 28-pixel image would be as grainy as a large one."""
    rng = np.random.default_rng(1)
    r, u, a = us.draw_scatterers(LINEAR, rng)
    iq = us.image_iq(LINEAR, r, u, a, loss_db=us.round_trip_loss_db(LINEAR, r))
    small = us.to_screen(iq, LINEAR, size=28)[2:-2].std()
    large = us.to_screen(iq, LINEAR, size=224)[16:-16].std()
    full = 5.57 * 255 / LINEAR.dynamic_range_db
    assert 0.8 * full < large < 1.05 * full
    assert 0.3 * full < small < 0.7 * full  # averaged, and still visible


def test_noise_darkens_nothing_and_grows_with_depth_after_tgc() -> None:
    old = SCANNERS["linear-3.5MHz-old"]
    none = np.zeros(0)
    white = us.noise(old, np.random.default_rng(2))
    iq = us.image_iq(old, none, none, none, loss_db=none, noise=white)
    power = np.mean(np.abs(iq * us.tgc(old)) ** 2, axis=1)
    n = len(power) // 4
    gain = 10 * np.log10(power[-n:].mean() / power[:n].mean())
    assert gain == pytest.approx(2 * 0.5 * 3.5 * 3.3 * 0.75, abs=2.5)


def test_grid_has_three_samples_per_width() -> None:
    for scanner in SCANNERS.values():
        g = us.grid(scanner)
        assert fwhm_axial(scanner) / g.dr >= 3 - 1e-12
        assert fwhm_lateral(scanner) / g.du >= 3 - 1e-12
        assert g.r[-1] > scanner.depth_mm
        assert g.u[-1] > scanner.span / 2
        assert g.u[0] == -g.u[-1]


@pytest.mark.parametrize(
    ("make", "fits"), [(lesions, "linear-5MHz"), (looks, "linear-5MHz"), (hearts, "cardiac-2MHz")]
)
@pytest.mark.parametrize("name", ["cardiac-2Mhz", "linear-5", "phased"])
def test_wrong_scanner(make: Callable, fits: str, name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"scanner among .*{fits}"):
        make(1, seed=0, scanner=name)
    with pytest.raises(UnknownNameError, match="Did you mean 'linear-5MHz'"):
        lesions(1, seed=0, scanner="linear-5Mhz ")

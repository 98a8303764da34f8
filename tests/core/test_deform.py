"""Deformation: the definition against SciPy, the compiled twin against the definition, byte for byte."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fnnet
from fnnet.core import deform as definition
from fnnet.core.deform import Deformation, deform
from fnnet.core.table import NUMPY
from fnnet.errors import ArgumentTypeError, FnnetError, UsageError
from fnnet.kernels import deform as compiled
from fnnet.training import steps

STRONG = Deformation(shift=2.0, rotation=20.0, scale=0.2, shear=0.3, elastic=1.5, correlation=4.0)
GOLDEN = "c65bea8dac5197c6c06f9057da22061310bab34f19c36627676fa8e12be7599d"


def images(n, shape=(28, 28), seed=0):
    """Smooth blots, so that a place a little off is a value a little off."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).random((n, *shape))
    smooth = gaussian_filter(noise, (0, 2, 2))
    low, high = smooth.min(initial=0), smooth.max(initial=1)
    return ((smooth - low) / (high - low) * 255).astype(np.uint8).reshape(n, shape[0] * shape[1])


def same(found, wanted):
    assert found.dtype == wanted.dtype == np.uint8
    assert found.shape == wanted.shape
    assert (found == wanted).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n=st.integers(0, 9),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 2**40),
    figures=st.tuples(
        st.sampled_from([0.0, 2.5, 60.0]),
        st.sampled_from([0.0, 15.0, 179.0]),
        st.sampled_from([0.0, 0.2, 0.9]),
        st.sampled_from([0.0, 0.3, 10.0]),
        st.sampled_from([0.0, 1.3, 50.0]),
        st.sampled_from([2.0, 5.0, 100.0]),
    ),
    threads=st.integers(1, 3),
)
def test_the_compiled_twin_gives_the_same_bytes(numba_kernels, n, shape, seed, epoch, figures, threads):
    x = np.random.default_rng(0).integers(0, 256, (n, shape[0] * shape[1]), dtype=np.uint8)
    numbers = np.random.default_rng(1).integers(0, 2**40, n)
    options = {"seed": seed, "epoch": epoch, "samples": numbers}
    kernels = numba_kernels._replace(threads=threads)
    same(
        deform(x, shape, Deformation(*figures), kernels=kernels, **options),
        deform(x, shape, Deformation(*figures), **options),
    )


def test_the_comparison_sees_one_wrong_byte():
    x = deform(images(3), (28, 28), STRONG, seed=0, epoch=0)
    wrong = x.copy()
    wrong[1, 400] ^= 1
    with pytest.raises(AssertionError):
        same(wrong, x)


def test_threads_share_the_images_and_change_no_byte(numba_kernels):
    x = images(1500)
    options = {"seed": 5, "epoch": 2}
    found = [deform(x, (28, 28), STRONG, kernels=numba_kernels._replace(threads=n), **options) for n in (1, 2, 3, 8)]
    for each in found[1:]:
        same(each, found[0])
    same(found[0][:20], deform(x[:20], (28, 28), STRONG, **options))


@pytest.mark.parametrize("shape", [(9, 6), (2, 1), (40, 1), (33, 4), (7, 3), (1, 5), (3, 17), (28, 28)], ids=str)
@pytest.mark.parametrize("deformation", [Deformation(), STRONG], ids=["none", "strong"])
def test_no_thread_writes_into_another_s_images(shape, deformation, numba_kernels, monkeypatch):
    """Whichever is the last to write: a vector's end reaches over many of the narrowest rows."""
    x = np.random.default_rng(0).integers(0, 256, (50, shape[0] * shape[1]), dtype=np.uint8)
    wanted = deform(x, shape, deformation, seed=0, epoch=0)
    monkeypatch.setattr(compiled, "IMAGES_A_THREAD", 1)
    for order in (1, -1):
        monkeypatch.setattr(compiled, "run_team", lambda calls, order=order: [call() for call in calls[::order]])
        found = deform(x, shape, deformation, seed=0, epoch=0, kernels=numba_kernels._replace(threads=7))
        same(found, wanted)


def test_large_images_may_be_shifted(kernels):
    """Where nothing bends, the knots of the grid do not matter."""
    x = np.random.default_rng(0).integers(0, 256, (1, 700 * 700), dtype=np.uint8)
    deform(x, (700, 700), Deformation(shift=1.0), seed=0, epoch=0, kernels=kernels)
    with pytest.raises(UsageError, match="at most 4096 knots"):
        deform(x, (700, 700), Deformation(elastic=1.0), seed=0, epoch=0, kernels=kernels)


def test_golden_bytes(kernels):
    """Other machines and versions give the same bytes."""
    x = np.random.default_rng(0).integers(0, 256, (20, 784), dtype=np.uint8)
    found = deform(x, (28, 28), STRONG, seed=7, epoch=3, kernels=kernels)
    assert hashlib.sha256(found.tobytes()).hexdigest() == GOLDEN


def test_an_image_s_deformation_is_a_function_of_seed_epoch_and_number(kernels):
    x, options = images(12), {"seed": 3, "epoch": 4, "kernels": kernels}
    whole = deform(x, (28, 28), STRONG, **options)
    order = np.random.default_rng(0).permutation(12)
    same(deform(x[order], (28, 28), STRONG, samples=order, **options), whole[order])
    same(deform(x[7:8], (28, 28), STRONG, samples=[7], **options), whole[7:8])
    for other in ({"seed": 4}, {"epoch": 5}, {"samples": np.arange(1, 13)}):
        assert (deform(x, (28, 28), STRONG, **options | other) != whole).any(axis=1).all()


def test_no_deformation_is_the_image(kernels):
    x = images(5, (17, 30))
    same(deform(x, (17, 30), Deformation(), seed=0, epoch=0, kernels=kernels), x)


@pytest.mark.parametrize("figure", ["shift", "rotation", "scale", "shear"])
def test_affine_maps_are_those_of_scipy(figure):
    """The same map applied by SciPy: within one grey level, which is rounding."""
    from scipy.ndimage import affine_transform

    n, shape = 8, (24, 31)
    deformation = Deformation(**{figure: {"shift": 4.0, "rotation": 40.0, "scale": 0.4, "shear": 0.5}[figure]})
    x = images(n, shape)
    found = deform(x, shape, deformation, seed=1, epoch=1)
    words = definition._words(definition.AFFINE_WORDS, np.arange(n), (1, 1), 0)
    share = (words[:, :6] >> np.uint64(11)) / 2.0**52 - 1
    centre = (np.array(shape) - 1) / 2
    for number in range(n):
        shift_x, shift_y, turn, across, along, shear = share[number]
        # Forward, in (x, y): scale, then shear, then turn; by a tangent of half the angle, as the definition draws it.
        half = np.arctan(np.tan(np.radians(deformation.rotation) / 2) * turn)
        cos, sin = np.cos(2 * half), np.sin(2 * half)
        turned = np.array([[cos, -sin], [sin, cos]])
        sheared = np.array([[1, deformation.shear * shear], [0, 1]])
        scaled = np.diag([1 + deformation.scale * across, 1 + deformation.scale * along])
        inverse = np.linalg.inv(turned @ sheared @ scaled)[::-1, ::-1]
        moved = deformation.shift * np.array([shift_y, shift_x])
        offset = centre - inverse @ (centre + moved)
        wanted = affine_transform(
            x[number].reshape(shape).astype(float), inverse, offset, order=1, mode="grid-constant", cval=0.0
        )
        assert np.abs(found[number].reshape(shape) - wanted).max() <= 1.01


def test_elastic_is_the_root_mean_square_and_correlation_the_bell():
    """Of displacements in the middle of large images: their size, and how fast neighbours come to differ."""
    shape, n = (48, 48), 400
    figures = definition._figures(Deformation(elastic=1.5, correlation=3.0), shape)
    knots = figures.by.shape[1] * figures.bx.shape[0]
    bends = definition._bends(definition._words(knots, np.arange(n), (0, 0), definition.AFFINE_WORDS), figures)
    for bend in bends:
        assert np.sqrt(np.mean(bend**2)) == pytest.approx(1.5, rel=0.05)
        assert abs(bend.mean()) < 0.1
        # Noise smoothed by a bell of standard deviation s has the correlation exp(-d^2 / (4 s^2)) over the distance d.
        for distance in (2, 4):
            close = np.mean(bend[:, :, distance:] * bend[:, :, :-distance]) / np.mean(bend**2)
            assert close == pytest.approx(np.exp(-(distance**2) / (4 * 3.0**2)), abs=0.06)
    assert abs(np.mean(bends[0] * bends[1])) < 0.1


def test_layouts_purity_and_ownership(kernels):
    x = images(6)
    x.flags.writeable = False
    wanted, before = deform(x, (28, 28), STRONG, seed=0, epoch=0, kernels=kernels), x.tobytes()
    wide = np.zeros((6, 1568), np.uint8)
    wide[:, ::2] = x
    for laid in (np.asfortranarray(x), wide[:, ::2], x[::-1].copy()[::-1]):
        same(deform(laid, (28, 28), STRONG, seed=0, epoch=0, kernels=kernels), wanted)
    assert x.tobytes() == before
    assert not wanted.flags.writeable
    assert not np.shares_memory(wanted, x)


def test_nothing_outside_the_buffers_is_read_or_written(numba_kernels, monkeypatch):
    zones = []

    def aligned(count, dtype, zero=True):
        raw = np.empty(count + 2 * 64, dtype)
        raw.view(np.uint8)[...] = 0xFF
        raw[64 : 64 + count] = 0
        zones.append((raw, count))
        return raw[64 : 64 + count]

    monkeypatch.setattr(compiled, "aligned", aligned)
    for shape in ((28, 28), (1, 1), (5, 33), (16, 16)):
        room = np.full((9, shape[0] * shape[1]), 255, np.uint8)
        room[2:-2] = images(5, shape)
        kernels = numba_kernels._replace(threads=2)
        found = deform(room[2:-2], shape, STRONG, seed=0, epoch=0, kernels=kernels)
        same(found, deform(room[2:-2].copy(), shape, STRONG, seed=0, epoch=0))
    assert zones
    for raw, count in zones:
        assert (raw[:64].view(np.uint8) == 0xFF).all()
        assert (raw[64 + count :].view(np.uint8) == 0xFF).all()


@pytest.mark.parametrize(
    ("figures", "part"),
    [
        ({"shift": -1.0}, "shift"),
        ({"rotation": 180.0}, "0 to 179"),
        ({"scale": 0.95}, "0 to 0.9"),
        ({"shear": float("nan")}, "shear"),
        ({"elastic": float("inf")}, "elastic"),
        ({"correlation": 0.0}, "correlation"),
        ({"fade": 1.5}, "0 to 1"),
        ({"correlation": 0.4}, "at least 0.5"),
    ],
)
def test_figures_out_of_range(figures, part):
    with pytest.raises(UsageError, match=part):
        deform(images(1), (28, 28), Deformation(**figures), seed=0, epoch=0)


@pytest.mark.parametrize(
    "change",
    [
        {"x": np.zeros((2, 784))},
        {"x": np.zeros((2, 783), np.uint8)},
        {"x": np.zeros(784, np.uint8)},
        {"image_shape": None},
        {"image_shape": (28, 28, 1)},
        {"image_shape": (-28, -28)},
        {"image_shape": (28.0, 28.0)},
        {"image_shape": (True, 784)},
        {"image_shape": 784},
        {"image_shape": "ab"},
        {"kernels": "numba"},
        {"deformation": {"shift": 1.0}},
        {"samples": [0]},
        {"samples": [0, -1]},
        {"samples": [0.0, 1.0]},
        {"seed": -1},
        {"seed": 2**64},
        {"epoch": -1},
    ],
)
def test_arguments_that_cannot_be(change, kernels):
    given = {"x": images(2), "image_shape": (28, 28), "deformation": STRONG, "seed": 0, "epoch": 0, "samples": None}
    with pytest.raises((FnnetError, ArgumentTypeError)):
        deform(**{"kernels": kernels} | given | change)


def test_the_image_shape_may_be_of_numpy_s_integers(kernels):
    x, shape = images(2), (np.uint8(28), np.uint8(28))
    same(deform(x, shape, STRONG, seed=0, epoch=0, kernels=kernels), deform(x, (28, 28), STRONG, seed=0, epoch=0))


def test_training_on_deformed_images_is_the_same_in_both_paths(numba_kernels):
    """Of one epoch: the images that the course trains on are those of `deform`, by their numbers."""
    from fnnet.core import rng
    from fnnet.core.state import Examples
    from fnnet.training import epochs
    from fnnet.training.plan import Plan
    from tests.tools.tolerance import assert_trained

    x, labels = images(40, (8, 8)), np.arange(40) % 3
    plan = Plan(epochs=2, batch_size=7, learning_rate=0.1, deformation=STRONG)
    params = fnnet.init((64, 5, 3), 1)
    wanted = steps.start(params, 9)
    for epoch in (1, 2):
        moved = deform(x, (8, 8), STRONG, seed=9, epoch=epoch)
        rows = rng.order(9, "shuffle", 40, epoch=epoch)
        wanted, _, _ = fnnet.train_block(wanted, Examples(moved, labels), rows, 7, 0.1)
    for kernels in (NUMPY, numba_kernels):
        start = epochs.start(params, 9, plan)
        *_, found = epochs.epochs(start, Examples(x, labels), plan, image_shape=(8, 8), kernels=kernels)
        assert_trained(found.state.params, wanted.params, wanted.step)


def test_a_deformation_fades_in_a_straight_line_at_the_end_of_training():
    whole = STRONG._replace(fade=0.4)
    shares = [definition.faded(whole, epoch, 10).rotation / STRONG.rotation for epoch in range(1, 11)]
    assert shares == pytest.approx([1, 1, 1, 1, 1, 1, 3.5 / 4, 2.5 / 4, 1.5 / 4, 0.5 / 4], rel=1e-12)
    for epoch, share in enumerate(shares, 1):
        found = definition.faded(whole, epoch, 10)
        assert found == (*(pytest.approx(share * limit) for limit in STRONG[:5]), STRONG.correlation, 0.0)
    assert [definition.faded(STRONG, epoch, 10) for epoch in (1, 10)] == [STRONG, STRONG]
    assert definition.faded(STRONG._replace(fade=1.0), 1, 1).shift == STRONG.shift / 2
    with pytest.raises(UsageError, match="epochs out of range"):
        definition.faded(whole, 11, 10)


def test_a_fading_deformation_of_one_epoch_is_that_of_no_fade():
    x = images(9, (28, 28))
    same(deform(x, (28, 28), STRONG._replace(fade=0.5), seed=1, epoch=3), deform(x, (28, 28), STRONG, seed=1, epoch=3))

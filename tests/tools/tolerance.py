"""The only tolerances there are. Change a rule here, never one test.

| comparison                                          | rule                                          |
|-----------------------------------------------------|-----------------------------------------------|
| relu, leaky_relu, their gradients; update, argmax   | bitwise                                       |
| the other activations                               | |difference| <= 4 eps (1 + |value|)           |
| their gradients, from da                            | |difference| <= 4 eps (|da| + |value|)        |
| erf, the normal distribution, float64               | ERF_ULPS, SHARE_ULPS spacings of floats there |
| the same, float32                                   | ROUNDED_ULPS: computed in float64             |
| affine and its gradients, K terms                   | |difference| <= K eps sum |terms| per element |
| softmax over C classes                              | rtol = atol = 8 C eps                         |
| mean loss over n rows                               | rtol = atol = 8 (C + sqrt n) eps              |
| parameters after s steps of training                | |difference| <= 16 (s + 4) eps (1 + |value|)  |
| gradients, float64                                  | limits in fnnet.gradcheck                     |

An activation and its slope are a few roundings of numbers of their own size or of size 1: measured against mpmath,
each path is off by at most 0.9 eps (1 + |value|), and the product with da rounds once more.
"""

import numpy as np

from fnnet.core.gradcheck import CENTRAL_LIMIT, COMPLEX_LIMIT

__all__ = [
    "CENTRAL_LIMIT",
    "COMPLEX_LIMIT",
    "ERF_ULPS",
    "ROUNDED_ULPS",
    "SHARE_ULPS",
    "assert_activated",
    "assert_bitwise",
    "assert_loss",
    "assert_probs",
    "assert_stepped",
    "assert_sums",
    "assert_trained",
    "assert_ulps",
]


ERF_ULPS, SHARE_ULPS, ROUNDED_ULPS = 1.0, 6.0, 0.500001


def assert_bitwise(found, wanted):
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    assert np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(wanted).tobytes()


def assert_activated(found, wanted, unit=1.0):
    """`unit` is |da| where these are gradients."""
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    limit = 4 * np.finfo(wanted.dtype).eps * (unit + np.abs(wanted))
    assert (np.abs(found.astype(np.float64) - wanted) <= limit).all()


def assert_ulps(found, exact, ulps):
    """`exact` are numbers of mpmath. Near 0 the spacing is that of subnormal numbers."""
    assert len(found) == len(exact)
    off = ulps_off(found, exact)
    assert off.max() <= ulps, f"{off.max():.2f} ulp at number {off.argmax()}"


def ulps_off(found, exact):
    """How far numbers are off, in units of the spacing of their dtype there."""
    spacing = np.spacing(np.abs(np.array([float(each) for each in exact], found.dtype)))
    pairs = zip(found.tolist(), exact, spacing.tolist(), strict=True)
    return np.array([float(abs(each - wanted) / unit) for each, wanted, unit in pairs])


def assert_sums(found, wanted, terms, magnitude):
    """`found` and `wanted` are sums of `terms` products whose absolute values sum to `magnitude`."""
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    limit = terms * np.finfo(wanted.dtype).eps * magnitude
    assert (np.abs(found.astype(np.float64) - wanted) <= limit).all()


def assert_probs(found, wanted, classes):
    assert found.dtype == wanted.dtype
    limit = 8 * classes * np.finfo(wanted.dtype).eps
    np.testing.assert_allclose(found, wanted, rtol=limit, atol=limit)


def assert_loss(found, wanted, classes, rows, dtype=np.float32):
    limit = 8 * (classes + rows**0.5) * np.finfo(dtype).eps
    np.testing.assert_allclose(found, wanted, rtol=limit, atol=limit)


def assert_trained(found, wanted, steps):
    """The parameters after `steps` steps, however they were made, for rates of at most 1."""
    for ours, theirs in zip(found.layers, wanted.layers, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert_stepped(a, b, steps)


def share_of_limit(found, wanted, steps):
    """The largest part of its limit by which a parameter differs after `steps` steps."""
    pairs = [pair for layers in zip(found.layers, wanted.layers, strict=True) for pair in zip(*layers, strict=True)]
    return max(float((np.abs(a - b) / _step_limit(b, steps)).max()) for a, b in pairs)


def assert_stepped(found, wanted, steps):
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    limit = _step_limit(wanted, steps)
    assert (np.abs(found - wanted) <= limit).all(), (np.abs(found - wanted) / limit).max()


def _step_limit(wanted, steps):
    return 16 * (steps + 4) * np.finfo(wanted.dtype).eps * (1 + np.abs(wanted))

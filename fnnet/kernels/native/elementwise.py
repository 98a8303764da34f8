"""The operations of `core.operations` other than matrix products, over flat arrays."""

from __future__ import annotations

from fnnet.kernels.native import compiled
from fnnet.kernels.native.products import exp_row, row_max


@compiled
def relu(z, a):
    """Store a = max(z, 0)."""
    zero = z.dtype.type(0)
    for i in range(z.size):
        # NaN fails the test and is passed on; max() would lose it.
        a[i] = zero if z[i] <= zero else z[i]  # noqa: FURB136


@compiled
def relu_backward(da, z, dz):
    """Store dz = da where z > 0, else 0."""
    zero = z.dtype.type(0)
    for i in range(z.size):
        value = da[i]
        dz[i] = value if z[i] > zero else zero


@compiled
def softmax(probs, n, classes, line):
    """Replace rows of logits, `line` apart, by their softmax."""
    for i in range(n):
        row = probs[i * line : i * line + line]
        total = exp_row(row, classes, row_max(row, classes))
        for j in range(classes):
            row[j] /= total


@compiled
def cross_entropy(dlogits, n, classes, line, labels, shares, smoothing, totals, shifted):
    """Replace rows of logits by dlogits; the loss of each row is log(totals) - shifted.

    shares   the weight of each row divided by the sum of all weights.
    """
    real = dlogits.dtype.type
    hot, even = real(1) - smoothing, smoothing / real(classes)
    for i in range(n):
        row = dlogits[i * line : i * line + line]
        score = row[labels[i]]
        top = row_max(row, classes)
        depth = real(0)
        for j in range(classes):
            depth += row[j] - top
        total = exp_row(row, classes, top)
        totals[i], shifted[i] = total, hot * (score - top)
        if smoothing:
            shifted[i] += even * depth
        for j in range(classes):
            row[j] = row[j] / total - even
        row[labels[i]] -= hot
        for j in range(classes):
            row[j] *= shares[i]


@compiled
def column_sums(dz, n, columns, sums):
    """Store in sums[j] the sum of dz[i, j] over i, i ascending."""
    for j in range(columns):
        sums[j] = 0
    for i in range(n):
        row = dz[i * columns : (i + 1) * columns]
        for j in range(columns):
            sums[j] += row[j]


@compiled
def update(value, gradient, rate, stepped):
    """Store stepped = value - rate gradient, rounded twice as the definition is."""
    for i in range(value.size):
        stepped[i] = value[i] - rate * gradient[i]

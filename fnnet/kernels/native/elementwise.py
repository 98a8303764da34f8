"""The operations of `core.operations` other than matrix products, over flat arrays."""

from __future__ import annotations

from fnnet.kernels.native import compiled
from fnnet.kernels.native.products import exp_row, row_max


@compiled
def relu(z, a):
    """a = max(z, 0)."""
    zero = z.dtype.type(0)
    for i in range(z.size):
        # NaN fails the test and is passed on; max() would lose it.
        a[i] = zero if z[i] <= zero else z[i]  # noqa: FURB136


@compiled
def relu_backward(da, z, dz):
    """dz = da where z > 0, else 0."""
    zero = z.dtype.type(0)
    for i in range(z.size):
        value = da[i]
        dz[i] = value if z[i] > zero else zero


@compiled
def softmax(probs, n, classes, line):
    """Rows of logits, `line` apart, become their softmax."""
    for i in range(n):
        row = probs[i * line : i * line + line]
        total = exp_row(row, classes, row_max(row, classes))
        for j in range(classes):
            row[j] /= total


@compiled
def cross_entropy(rows, n, classes, line, labels, smoothing, totals, shifted):
    """totals and shifted are what the loss of each of the rows of logits needs: log(total) - shifted. The rows are
    overwritten."""
    hot, even = rows.dtype.type(1) - smoothing, smoothing / rows.dtype.type(classes)
    for i in range(n):
        row = rows[i * line : i * line + line]
        score = row[labels[i]]
        top = row_max(row, classes)
        depth = rows.dtype.type(0)
        for j in range(classes):
            depth += row[j] - top
        totals[i], shifted[i] = exp_row(row, classes, top), hot * (score - top)
        if smoothing:
            shifted[i] += even * depth


@compiled
def cross_entropy_backward(rows, n, classes, line, labels, shares, smoothing):
    """Rows of probabilities become dlogits, the shares of the rows being their weights over the sum of all."""
    hot, even = rows.dtype.type(1) - smoothing, smoothing / rows.dtype.type(classes)
    for i in range(n):
        row = rows[i * line : i * line + line]
        for j in range(classes):
            row[j] -= even
        row[labels[i]] -= hot
        for j in range(classes):
            row[j] *= shares[i]


@compiled
def column_sums(dz, n, columns, sums):
    """sums[j] = the sum of dz[i, j] over i, i ascending."""
    for j in range(columns):
        sums[j] = 0
    for i in range(n):
        row = dz[i * columns : (i + 1) * columns]
        for j in range(columns):
            sums[j] += row[j]


@compiled
def update(value, gradient, rate, stepped):
    """stepped = value - rate gradient, rounded twice as the definition is."""
    for i in range(value.size):
        stepped[i] = value[i] - rate * gradient[i]

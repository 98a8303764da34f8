"""A committee of networks as one plain network: its logits are the mean of the members' logits."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnnet.core.check_network import check_params, check_sizes
from fnnet.core.checks import calm
from fnnet.core.params import Array, Layer, Params, freeze_params, layer_sizes
from fnnet.errors import ArgumentTypeError, UsageError


@calm
def join(networks: Sequence[Params]) -> Params:
    """Return one plain network whose logits are the mean of those of `networks`.

    The hidden layers stand side by side. The first layer's weights stand side by side too, as all members see the same
    input; the weights between two hidden layers are block-diagonal, so that no member feeds another. The last layer's
    weights, one member's below another's, are divided by the number of members, and its biases are averaged.

    It holds for every activation of single units, as each member's units keep their own sums. Members may have hidden
    layers of different widths. One network alone comes back as it is, to the last bit. The one difference from
    averaging afterwards: an activation that overflows to infinity makes the logits of all members NaN (0 * inf), where
    the mean may be infinite.

    networks   with the same number of layers, inputs, outputs and dtype, and finite weights.
    Raises     UsageError that names the first network that does not fit; its subclass ArgumentTypeError for a wrong
               type or dtype.

    >>> import fnnet, numpy as np
    >>> one, other = fnnet.init((4, 3, 2), seed=1), fnnet.init((4, 5, 2), seed=2)
    >>> joined, x = fnnet.join((one, other)), np.ones((1, 4), np.float32)
    >>> fnnet.core.params.layer_sizes(joined)
    (4, 8, 2)
    >>> mean = (fnnet.scores(one, x) + fnnet.scores(other, x)) / 2
    >>> bool(np.allclose(fnnet.scores(joined, x), mean))
    True
    """
    members = _check_members(networks)
    *hidden, last = zip(*(member.layers for member in members), strict=True)
    layers = [
        Layer((_side_by_side if number == 0 else _diagonal)([each.W for each in row]), _side_by_side(_biases(row)))
        for number, row in enumerate(hidden)
    ]
    shares = [each.W / len(members) for each in last]
    W = np.concatenate(shares) if hidden else functools.reduce(np.add, shares)
    # Divided first: the sum of the biases may be too large where their mean is not.
    b = functools.reduce(np.add, [bias / len(members) for bias in _biases(last)])
    return freeze_params(Params((*layers, Layer(W, b))))


def _biases(row: Sequence[Layer]) -> list[Array]:
    return [each.b for each in row]


def _side_by_side(arrays: Sequence[Array]) -> Array:
    joined: Array = np.concatenate(arrays, axis=-1)
    return joined


def _diagonal(blocks: Sequence[Array]) -> Array:
    rows, columns = np.sum([block.shape for block in blocks], axis=0)
    joined = np.zeros((rows, columns), blocks[0].dtype)
    row = column = 0
    for block in blocks:
        joined[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return joined


def _check_members(networks: Any) -> list[Params]:
    """Return the networks if they can be joined, else an error that names the first that cannot."""
    if isinstance(networks, Params) or not isinstance(networks, (tuple, list)):
        fix = "put it in a list, as join([params])" if isinstance(networks, Params) else ""
        found, expected = type(networks).__name__, "a tuple or list of Params"
        raise ArgumentTypeError("networks is not a sequence", expected=expected, found=found, fix=fix)
    if not networks:
        raise UsageError("networks is empty", expected="at least 1 network", found="none")
    members: list[Params] = []
    for number, network in enumerate(networks):
        try:
            members.append(check_params(network))
            _check_fits(members[0], members[-1])
        except UsageError as error:
            raise error.at(f"networks[{number}]") from None
    sizes = [layer_sizes(member) for member in members]
    check_sizes(
        (sizes[0][0], *(sum(widths) for widths in zip(*(each[1:-1] for each in sizes), strict=True)), sizes[0][-1])
    )
    return members


def _check_fits(first: Params, member: Params) -> None:
    sizes, wanted = layer_sizes(member), layer_sizes(first)
    for what, found, expected in (
        ("layers", len(member), len(first)),
        ("inputs", sizes[0], wanted[0]),
        ("outputs", sizes[-1], wanted[-1]),
    ):
        if found != expected:
            problem = f"number of {what} is not that of networks[0]"
            raise UsageError(problem, expected=expected, found=found, fix="join networks of one task and depth")
    if member[0].W.dtype != first[0].W.dtype:
        dtypes: dict[str, Any] = {"expected": first[0].W.dtype, "found": member[0].W.dtype}
        fix = "load or train all with one dtype"
        raise ArgumentTypeError("dtype is not that of networks[0]", fix=fix, **dtypes)
    for number, layer in enumerate(member, 1):
        for name, array in zip(layer._fields, layer, strict=True):
            if not np.isfinite(array).all():
                problem = f"{name} is not finite"
                raise UsageError(problem, place=f"layer {number}", expected="finite numbers", fix="leave it out")

"""A committee of networks, whose logits are the mean of its members' logits: as one plain network, or held apart."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fnnet.core.check_network import check_params, check_sizes
from fnnet.core.checks import calm
from fnnet.core.params import Array, Layer, Params, count_parameters, freeze_params, layer_sizes
from fnnet.core.state import Committee
from fnnet.errors import ArgumentTypeError, UsageError

MOST_JOINED_BYTES: Final = 100_000_000
"""A committee of more bytes as one plain network is held apart."""


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
    check_sizes(_joined_sizes(members))
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


def assemble(networks: Sequence[Params]) -> Params | Committee:
    """Return the network whose logits are the mean of those of `networks`: joined, or beyond 100 MB a Committee.

    networks   as `join` takes them.
    Raises     as `join`.

    >>> import fnnet
    >>> assemble([fnnet.init((4, 3, 2), seed) for seed in range(3)])
    Params(4-9-2, float32, 65 parameters)
    >>> type(assemble([fnnet.init((4, 2000, 2000, 2), seed) for seed in range(3)])).__name__
    'Committee'
    """
    members = _check_members(networks)
    if count_parameters(_joined_sizes(members)) * members[0][0].W.itemsize <= MOST_JOINED_BYTES:
        return join(members)
    return Committee(tuple(members))


def check_committee(committee: Committee) -> Committee:
    """Return a committee whose members fit one another, else UsageError that names the first that does not."""
    members: Any = committee.members
    if isinstance(members, Params) or not isinstance(members, (tuple, list)):
        found, expected = type(members).__name__, "a tuple of Params"
        raise ArgumentTypeError("members of the committee are not a sequence", expected=expected, found=found)
    return Committee(tuple(_check_fitting(members, "members")))


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
    members = _check_fitting(networks, "networks")
    for number, member in enumerate(members):
        _check_finite(member, f"networks[{number}]")
    return members


def _check_fitting(networks: Sequence[Any], name: str) -> list[Params]:
    """Return networks that have the same depth, inputs, outputs and dtype, else UsageError at the first other one."""
    if not networks:
        raise UsageError(f"{name} is empty", expected="at least 1 network", found="none")
    members: list[Params] = []
    for number, network in enumerate(networks):
        try:
            members.append(check_params(network))
            _check_fits(members[0], members[-1], f"{name}[0]")
        except UsageError as error:
            raise error.at(f"{name}[{number}]") from None
    return members


def _joined_sizes(members: Sequence[Params]) -> tuple[int, ...]:
    """Return the sizes of the layers of the joined network."""
    sizes = [layer_sizes(member) for member in members]
    hidden = (sum(widths) for widths in zip(*(each[1:-1] for each in sizes), strict=True))
    return (sizes[0][0], *hidden, sizes[0][-1])


def _check_fits(first: Params, member: Params, where: str) -> None:
    sizes, wanted = layer_sizes(member), layer_sizes(first)
    for what, found, expected in (
        ("layers", len(member), len(first)),
        ("inputs", sizes[0], wanted[0]),
        ("outputs", sizes[-1], wanted[-1]),
    ):
        if found != expected:
            problem = f"number of {what} is not that of {where}"
            raise UsageError(problem, expected=expected, found=found, fix="join networks of one task and depth")
    if member[0].W.dtype != first[0].W.dtype:
        dtypes: dict[str, Any] = {"expected": first[0].W.dtype, "found": member[0].W.dtype}
        fix = "load or train all with one dtype"
        raise ArgumentTypeError(f"dtype is not that of {where}", fix=fix, **dtypes)


def _check_finite(member: Params, where: str) -> None:
    for number, layer in enumerate(member, 1):
        for name, array in zip(layer._fields, layer, strict=True):
            if not np.isfinite(array).all():
                place, fix = f"layer {number}", "leave it out"
                raise UsageError(f"{name} is not finite", where=where, place=place, expected="finite numbers", fix=fix)

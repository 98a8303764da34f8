"""Parameters as one flat vector, laid out as `kernels.layout` describes, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fnnet.core.params import Array, Layer, Params, freeze
from fnnet.kernels.layout import IN, PAD, PANEL_VECTORS, W_AT, Layout, aligned, round_up


def pack(networks: Sequence[Params], plan: Layout) -> Array:
    """Return the parameters of networks, or trees of their shape, as one vector."""
    flat = aligned(plan.parameters, plan.dtype)
    for params, rows in zip(networks, _rows(plan), strict=True):
        for number, (layer, row) in enumerate(zip(params.layers, rows, strict=True)):
            inputs, outputs, pad, panel, weights, bias, transposed = row[:7]
            if number == 0 and plan.networks > 1:
                _columns(flat, row, plan)[:, :outputs] = layer.W
            else:
                _put(layer.W, flat[weights : weights + inputs * pad], pad, panel)
            flat[bias : bias + outputs] = layer.b
            if number:
                wide = round_up(inputs, plan.lanes)
                _put(layer.W.T, flat[transposed : transposed + outputs * wide], wide, plan.lanes * PANEL_VECTORS)
    return flat


def unpack(flat: Array, plan: Layout) -> tuple[Params, ...]:
    """Return the parameters of the networks in a vector, as new read-only arrays."""
    return tuple(_unpack(flat, plan, rows) for rows in _rows(plan))


def _unpack(flat: Array, plan: Layout, rows: list[list[int]]) -> Params:
    layers = []
    for number, row in enumerate(rows):
        inputs, outputs, pad, panel, weights, bias = row[:6]
        W = np.empty((inputs, outputs), plan.dtype)
        if number == 0 and plan.networks > 1:
            W[...] = _columns(flat, row, plan)[:, :outputs]
        else:
            for columns, place in _panels(flat[weights : weights + inputs * pad], inputs, pad, panel):
                wide = place.reshape(inputs, -1)
                W[:, columns] = wide[:, : W[:, columns].shape[1]]
        layers.append(Layer(freeze(W), freeze(flat[bias : bias + outputs].copy())))
    return Params(tuple(layers))


def _rows(plan: Layout) -> list[list[list[int]]]:
    """Return the rows of `Layout.shape` of each network."""
    rows, layers = plan.shape.tolist(), len(plan.sizes) - 1
    return [rows[at : at + layers] for at in range(0, len(rows), layers)]


def _columns(flat: Array, row: list[int], plan: Layout) -> Array:
    """Return a view of the first W of one of several networks, whose first layers are one panel: (inputs, pad)."""
    wide = int(plan.whole[PAD])
    start = int(plan.whole[W_AT])
    whole = flat[start : start + row[IN] * wide].reshape(row[IN], wide)
    return whole[:, row[W_AT] - start :][:, : row[PAD]]


def _panels(flat: Array, rows: int, pad: int, panel: int) -> list[tuple[slice, Array]]:
    """Return the columns of a matrix (rows, pad) in panels, and views of where they lie: (rows, panels, width) each."""
    full = pad // panel
    parts = [(slice(0, full * panel), flat[: rows * full * panel].reshape(full, rows, panel).swapaxes(0, 1))]
    if rest := pad - full * panel:
        parts.append((slice(full * panel, pad), flat[rows * full * panel :].reshape(1, rows, rest).swapaxes(0, 1)))
    return [part for part in parts if part[1].size]


def _put(matrix: Array, flat: Array, pad: int, panel: int) -> None:
    """Copy `matrix` into its panels in `flat`, zeros behind its last column."""
    for columns, place in _panels(flat, len(matrix), pad, panel):
        piece = matrix[:, columns]
        if piece.shape[1] == columns.stop - columns.start:
            place[...] = piece.reshape(place.shape)
        else:
            padded = np.zeros((len(matrix), columns.stop - columns.start), flat.dtype)
            padded[:, : piece.shape[1]] = piece
            place[...] = padded.reshape(place.shape)

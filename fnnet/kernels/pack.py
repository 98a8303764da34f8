"""Parameters as one flat vector, laid out as `kernels.layout` describes, and back."""

from __future__ import annotations

import numpy as np

from fnnet.core.params import Array, Layer, Params, freeze
from fnnet.kernels.layout import PANEL_VECTORS, Layout, aligned, round_up


def pack(params: Params, plan: Layout) -> Array:
    """Return `params`, or a tree of their shape, as one vector."""
    flat = aligned(plan.parameters, plan.dtype)
    for number, (layer, row) in enumerate(zip(params.layers, plan.shape.tolist(), strict=True)):
        inputs, outputs, pad, panel, weights, bias, transposed = row[:7]
        _put(layer.W, flat[weights : weights + inputs * pad], pad, panel)
        flat[bias : bias + outputs] = layer.b
        if number:
            wide = round_up(inputs, plan.lanes)
            _put(layer.W.T, flat[transposed : transposed + outputs * wide], wide, plan.lanes * PANEL_VECTORS)
    return flat


def unpack(flat: Array, plan: Layout) -> Params:
    """Return the parameters in a vector, as new read-only arrays."""
    layers = []
    for inputs, outputs, pad, panel, weights, bias, *_ in plan.shape.tolist():
        W = np.empty((inputs, outputs), plan.dtype)
        for columns, place in _panels(flat[weights : weights + inputs * pad], inputs, pad, panel):
            wide = place.reshape(inputs, -1)
            W[:, columns] = wide[:, : W[:, columns].shape[1]]
        layers.append(Layer(freeze(W), freeze(flat[bias : bias + outputs].copy())))
    return Params(tuple(layers))


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

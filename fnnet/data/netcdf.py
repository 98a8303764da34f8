"""What netCDF says beside the numbers in HDF5: what codes stand for, the names of axes, coordinates along them.

h5py, xarray and netCDF's own library write names of axes as dimension scales, or as labels of them. Codes are those of
the CF conventions (https://cfconventions.org), 8.1: value = code * scale_factor + add_offset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from fnnet.core.params import Array
from fnnet.data.arrays import COLOURS
from fnnet.data.axes import axis_called, order_called
from fnnet.data.named import roles_of
from fnnet.data.opened import AnyPath
from fnnet.data.reader import Wanted
from fnnet.files.disk import refuse

SCALE, OFFSET, UNSIGNED = "scale_factor", "add_offset", "_Unsigned"
MISSING: Final = ("_FillValue", "missing_value")
"""Attributes of the codes of missing values."""
SIGNS: Final = {"true": "u", "false": "i"}


def is_scaled(dataset: Any) -> bool:
    """Return True if the values of a dataset are others than its codes."""
    return SCALE in dataset.attrs or OFFSET in dataset.attrs


def decoded(codes: Array, dataset: Any, name: str, path: AnyPath) -> Array:
    """Return the values that the codes in a dataset stand for, by its attributes; any others as they are.

    Raises   DataError for a missing value, and for attributes that are not numbers.
    """
    if codes.dtype.kind not in "iuf":
        return codes
    values = _signed(codes, dataset)
    for each in MISSING:
        numbers = np.ravel(dataset.attrs[each]) if each in dataset.attrs else np.empty(0)
        if numbers.dtype.kind in "iuf" and numbers.size:
            _check_there(np.isin(codes, numbers) | np.isin(values, numbers), codes, f"{name}: attribute {each}", path)
    scale, offset = (_number(dataset, each, default, name, path) for each, default in ((SCALE, 1), (OFFSET, 0)))
    if scale == 1 and offset == 0:
        return values
    # Of the type of the attributes, as CF has it: 255 * float32(1 / 255) is 1 in 32 bits alone.
    own = values.dtype if values.dtype.kind == "f" else np.float32
    found = values.astype(np.result_type(np.float32, own, scale.dtype, offset.dtype))
    found *= scale
    found += offset
    return found


def _signed(codes: Array, dataset: Any) -> Array:
    """Return whole numbers with or without a sign, as an attribute of files says whose kind has no other."""
    if UNSIGNED not in dataset.attrs or codes.dtype.kind == "f":
        return codes
    said = np.ravel(dataset.attrs[UNSIGNED]).tolist()[:1]
    text = "".join(each.decode("latin-1") if isinstance(each, bytes) else str(each) for each in said)
    kind = SIGNS.get(text.lower(), codes.dtype.kind)
    return codes.view(np.dtype(f"{kind}{codes.dtype.itemsize}").newbyteorder(codes.dtype.byteorder))


def _check_there(missing: Array, codes: Array, place: str, path: AnyPath) -> None:
    if missing.any():
        at = tuple(map(int, np.argwhere(missing)[0]))
        found = f"{codes[at]} at {list(at)}" if at else codes[at]
        fix = "fill them; if none is missing, remove the attribute (xarray: encoding={name: {'_FillValue': None}})"
        refuse("values are missing", path, place, "a number in each place", found, fix)


def _number(dataset: Any, attribute: str, default: int, name: str, path: AnyPath) -> Any:
    """Return the number in an attribute, with its type; `default` where there is none."""
    values = np.asarray(dataset.attrs.get(attribute, np.int8(default)))
    if values.size != 1 or values.dtype.kind not in "iuf":
        fix = "store the values themselves"
        refuse("not a number", path, f"{name}: attribute {attribute}", "one number", values.tolist(), fix)
    return values.reshape(-1)[0]


def is_by_row(dataset: Any, name: str, path: AnyPath, wanted: Wanted) -> bool:
    """Return True if the names of the axes of images say that they are stored row by row.

    Raises   DataError if they say that the images do not lie along the first axis, or column by column where nothing
             else does.
    """
    names = [_name(axis) for axis in dataset.dims]
    shown = f"axes {', '.join(each or '?' for each in names)}"
    picture = not wanted.labelled and (len(names) < 3 or (len(names) == 3 and dataset.shape[2] in COLOURS))
    if len(names) > 2 and axis_called(names[0]) and not picture:
        expected, fix = "images along the first axis", "store axes (image, row, column)"
        refuse("the images lie along another axis, by its name", path, name, expected, shown, fix)
    order = order_called(names)
    if order == "columns first" and wanted.upright and not wanted.transpose:
        problem, expected = "columns come before rows, by the names of the axes", "axes (image, row, column)"
        fix = "say --transpose if they do, or --no-transpose if each image is stored row by row"
        refuse(problem, path, name, expected, shown, fix)
    return order == "rows first"


def _name(axis: Any) -> str:
    """Return the name of an axis: its label, or that of a scale along it; rather one that says rows or columns."""
    names = [axis.label]
    for key, scale in axis.items():
        names += [(scale.name or "").rpartition("/")[2], key]
    names = [each for each in names if each]
    return next((each for each in names if axis_called(each)), names[0] if names else "")


def without_scales(there: Sequence[str], datasets: Mapping[str, Any]) -> list[str]:
    """Return the names of datasets without those of scales: the numbers along an axis of others.

    A scale along the first axis is kept as labels, by its name, where no other dataset is.
    """
    import h5py

    scales = [name for name in there if datasets[name].ndim < 2 and h5py.h5ds.is_scale(datasets[name].id)]
    others = [name for name in there if name not in scales]
    along = [each for name in others for axis in [*datasets[name].dims][1:] for each in axis.values()]
    labelled = {role.part for role in roles_of(others) if role and role.labels}
    kept = []
    for name in scales:
        role = roles_of([*others, name])[-1]
        if role and role.labels and role.part not in labelled and datasets[name] not in along:
            kept.append(name)
    return [name for name in there if name in others or name in kept]

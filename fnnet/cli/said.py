"""What options say about the images and classes of --data PATH."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fnnet.errors import UsageError

READING: Final = (
    "pixel_max", "ink", "transpose", "first_label", "label_column", "image", "table", "first_index", "size",
)  # fmt: skip
"""Options that are fields of `fnnet.data.Reading`."""


def reading_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the values of `reading_options` say, as fields of `fnnet.data.Reading`.

    Raises   UsageError for one, --class-names or --image-size, that is given for MNIST or digits.
    """
    if options["data_choice"] in ("auto", "mnist", "digits"):
        check_unsaid(options, f"--data {options['data_choice']}", but="classes")
    return {name: value for name, value in _said(options).items() if name in READING}


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is given about the images and classes of --data PATH."""
    falsy = {"first_index": 0, "transpose": False}
    return {
        name: value
        for name in (*READING, "class_names", "image_size", "classes")
        if (value := options.get(name)) or (value is not None and name in falsy)
    }


def check_unsaid(options: Mapping[str, Any], found: str, but: str = "") -> None:
    """Raise UsageError for an option about the images or classes of --data PATH that is given for the data `found`.

    but   the option that may be.
    """
    if given := [name for name in _said(options) if name != but]:
        where = f"--{given[0].replace('_', '-')}"
        raise UsageError("has no effect", where=where, expected="--data PATH", found=found)

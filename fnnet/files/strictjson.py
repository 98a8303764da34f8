"""Strict JSON: UTF-8, finite numbers only, each key once, no lone surrogates."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from fnnet.errors import DataError

SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises   DataError for a key stored twice or a number that is not finite, such as 1e999; ValueError or
             RecursionError for text that is not JSON in UTF-8 or has a lone surrogate.
    """
    # json.loads would decode bytes that look like UTF-16 or UTF-32.
    text = text if isinstance(text, str) else text.decode()
    value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_refuse, parse_float=_finite)
    if SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def dumps(value: Any) -> str:
    """Return `value` as JSON on one line; any mapping becomes an object, floats keep every bit.

    Raises   TypeError for a value that JSON cannot represent, ValueError for a number that is not finite.
    """
    return json.dumps(value, allow_nan=False, default=_plain)


def without_nan(value: Any) -> Any:
    """Return `value` with NaN and infinity as None, mappings as dicts and sequences as lists."""
    if isinstance(value, Mapping):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} in the description")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DataError("key stored twice", place="JSON", expected="each key once", found=repr(twice[:40]))
    return dict(pairs)


def _refuse(text: str) -> float:
    raise DataError("number is not finite", place="JSON", expected="finite numbers", found=text[:20])


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)

"""JSON values as a flat list of keys, so that two of them can be compared key by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fnnet.files import strictjson


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values inside as ("outer.inner", JSON text); an empty mapping is a value.

    >>> dict(flat({"a": 1, "b": {"c": [2, 3], "d": {}}}))
    {'a': '1', 'b.c': '[2, 3]', 'b.d': '{}'}
    """
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from flat(each, f"{name}.{key}" if name else key)
    else:
        yield name, strictjson.dumps(strictjson.without_nan(value))


def differences(old: Any, new: Any) -> dict[str, tuple[str | None, str | None]]:
    """Return the keys whose JSON texts differ, with both texts, None for a missing one: first in the order of `new`.

    >>> differences({"a": 1, "b": 2, "c": 3}, {"b": 5, "a": 1})
    {'b': ('2', '5'), 'c': ('3', None)}
    """
    before, after = dict(flat(old)), dict(flat(new))
    keys = (*after, *(key for key in before if key not in after))
    values = {key: (before.get(key), after.get(key)) for key in keys}
    return {key: (one, other) for key, (one, other) in values.items() if one != other}

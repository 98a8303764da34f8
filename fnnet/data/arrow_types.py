"""Types of columns of Arrow: which hold packed pictures, lists of numbers, numbers."""

from __future__ import annotations

from typing import Any


def holds_images(kind: Any) -> bool:
    """Return True for packed pictures and for lists of numbers."""
    return bytes_of(kind) is not None or numbers_of(kind) is not None


def bytes_of(kind: Any) -> str | None:
    """Return the field of a column that holds packed pictures, "" for the column itself; None if none does."""
    from pyarrow import types

    if is_bytes(kind):
        return ""
    if types.is_struct(kind):
        fields = [kind.field(number) for number in range(kind.num_fields)]
        return next((each.name for each in fields if each.name == "bytes" and bytes_of(each.type) == ""), None)
    return None


def is_bytes(kind: Any) -> bool:
    """Return True for bytes, however Arrow stores them; Polars writes views of them."""
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def numbers_of(kind: Any) -> Any:
    """Return the type of the numbers in lists; None for other types."""
    from pyarrow import types

    if hasattr(kind, "storage_type"):
        kind = kind.storage_type
    if not is_list(kind):
        return None
    while is_list(kind):
        kind = kind.value_type
    return kind if is_number(kind) or types.is_boolean(kind) else None


def is_list(kind: Any) -> bool:
    """Return True for lists, of whatever length."""
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def is_text(kind: Any) -> bool:
    """Return True for text."""
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def shown_as(kind: Any) -> str:
    """Return a cell of CSV that shows what a column of a type holds: a name, several numbers, or one."""
    from pyarrow import types

    if is_text(kind.value_type if types.is_dictionary(kind) else kind):
        return "a"
    return "0 0" if types.is_nested(kind) else "0"


def is_number(kind: Any) -> bool:
    """Return True for integers, floats and truth values."""
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))

"""The quick way to read whole numbers: what it takes, and that nothing else passes it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fnnet.data.csv_columns import Columns
from fnnet.data.csv_numbers import _parse_digits


def columns(width, labels):
    pixels = np.array([column for column in range(width) if column not in labels])
    return Columns(width, pixels, pixels, tuple(labels), labels[0] if len(labels) == 1 else None, header=False)


def expected(text, about):
    """By the definition: rows of `width` cells of 1 to 3 digits up to 255, up to 6 digits for a label; None if not."""
    rows = [line.split(b",") for line in text.split(b"\n")[:-1]]
    for cells in rows:
        if len(cells) != about.width or not all(cell.isdigit() and cell.isascii() for cell in cells):
            return None
        for column in about.pixels_at:
            if len(cells[column]) > 3 or int(cells[column]) > 255:
                return None
        if any(len(cells[column]) > 6 for column in about.labels_at):
            return None
    table = np.array([[int(cell) for cell in cells] for cells in rows])
    return table[:, about.pixels_at], table[:, list(about.labels_at)]


def check(text, about):
    found, wanted = _parse_digits(np.frombuffer(text, np.uint8), about), expected(text, about)
    assert (found is None) == (wanted is None), text
    if found is not None and wanted is not None:
        assert found.x.dtype == np.uint8
        assert found.x.tolist() == wanted[0].tolist()
        assert found.labels.tolist() == wanted[1].tolist()


def test_every_number_of_up_to_four_digits_with_leading_zeros():
    about = columns(2, [1])
    for digits in (1, 2, 3, 4):
        for number in range(0, 10**digits, 1 if digits < 4 else 7):
            check(b"%0*d,7\n" % (digits, number), about)


ODD = ["0", "00", "007", "255", "256", "0255", "1000", "", "1.0", " 1", "-1"]
CELLS = st.one_of(st.integers(0, 300).map(str), st.sampled_from(ODD))


@given(st.data())
def test_tables_as_they_come(data):
    width = data.draw(st.integers(2, 6))
    labels = sorted(data.draw(st.sets(st.integers(0, width - 1), max_size=2)))
    about = columns(width, labels)
    rows = data.draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=4))
    for row in rows:
        for column in labels:
            row[column] = data.draw(st.integers(0, 9_999_999).map(str) | CELLS)
    check("".join(",".join(row) + "\n" for row in rows).encode(), about)


@given(st.lists(st.sampled_from(list(b"0123,\n9")), min_size=1, max_size=40), st.integers(1, 4))
def test_any_order_of_digits_and_separators(codes, width):
    check(bytes(codes) + b"\n", columns(width, []))

"""Every row of docs/data.md: a file as a library writes it, read to the right bytes or refused."""

import numpy as np
import pytest

from tests.campaigns.data import CLASSES, LABELS, Case, X, cases, run
from tests.campaigns.data.__main__ import PAGE

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group[:8]}, {case.by}: {case.what}")
def test_a_row(case, tmp_path):
    if case.missing:
        pytest.skip(f"needs {case.missing}")
    outcome = run(case, tmp_path)
    assert outcome.right, outcome.text


def test_the_page_has_every_row():
    page = PAGE.read_text()
    assert len(CASES) >= 120
    assert [case.what for case in CASES if f"| {case.what} |" not in page] == []
    assert page.count("\n| ") == len(CASES) + page.count("| variant |")


def test_a_wrong_row_is_seen(tmp_path):
    """Other bytes, other labels, a note that does not come, and a refusal that does not."""

    def write(folder):
        np.savez(folder / "a.npz", x_train=X.reshape(-1, 28, 28), y_train=LABELS)
        return folder / "a.npz"

    right = Case("", "", "numpy", write)
    assert run(right, tmp_path).right
    for wrong in (
        right._replace(expected=(X // 2, LABELS)),
        right._replace(expected=(X, LABELS[::-1])),
        right._replace(codes=("blank",)),
        right._replace(refused="damaged"),
        right._replace(reading={"classes": CLASSES[:5]}),
    ):
        assert not run(wrong, tmp_path).right

"""Pixels from -1 to 1, as generators of images keep them: read as bytes, alike in every format that has fractions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from fnnet import data
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError

DIGITS = data.load("digits").train
LABELS = ["first", "last", "named first", "named last"]
few = with_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def csv_of(path, x, labels, where):
    """Save one image a line with its label at one end, with names of columns or without."""
    names = [f"pixel{i}" for i in range(x.shape[1])]
    cells = [labels[:, None].astype(object), x.astype(object)]
    names = ["label", *names] if where.endswith("first") else [*names, "label"]
    table = pd.DataFrame(np.hstack(cells if where.endswith("first") else cells[::-1]), columns=names)
    table.to_csv(path, index=False, header=where.startswith("named"))
    return path, table.astype({name: int if name == "label" else float for name in names})


@few
@given(st.sampled_from(LABELS), st.sampled_from(["digits", "mask", "dense"]), st.integers(3, 8), st.integers(0, 1000))
def test_they_are_read_as_npz_reads_them(tmp_path_factory, where, kind, places, seed):
    folder, generator = tmp_path_factory.mktemp("in"), np.random.default_rng(seed)
    n = 200
    x = {"digits": DIGITS.x[:n], "mask": DIGITS.x[:n] // 128 * 255}.get(kind)
    if x is None:  # black in one image alone, far behind the first block
        x = generator.integers(100, 256, (n, 784))
        x[n - 1, 400] = 0
    signed = np.round(x / 127.5 - 1, places)
    want = np.floor((signed + 1) / 2 * 255 + 0.5)
    labels = DIGITS.labels[:n]
    np.savez(folder / "a.npz", x=signed, y=labels)
    np.savez(folder / "b.npz", x=signed.astype(np.float32).reshape(-1, 28, 28), y=labels)
    path, frame = csv_of(folder / "a.csv", signed, labels, where)
    asked = Reading(image=kind == "dense")  # noise does not look like images
    reads = [lambda name=name: data.load(folder / name) for name in ("a.npz", "b.npz")]
    for read in (*reads, lambda: data.load(path, reading=asked)):
        try:
            found = read()
        except DataError as error:
            assert "column is the labels" in error.problem, "where the values do not show it"
            assert not where.startswith("named")
            assert kind != "digits"
            continue
        assert np.array_equal(found.train.x, want)
        assert np.array_equal(found.train.labels, labels)
        assert "unit-pixels" in [note.code for note in found.notes]
        (note,) = [str(note) for note in found.notes if note.code == "unit-pixels"]
        assert "pixels from -1 to 1 are scaled to 0 to 255" in note
    if where.startswith("named"):
        assert np.array_equal(data.from_frame(frame).train.x, want)


@pytest.mark.parametrize("least", [-0.99, -0.5, -1e-9, -1.001, -2])
@pytest.mark.parametrize("where", LABELS[2:])
def test_other_ranges_are_refused(least, where, tmp_path):
    x = DIGITS.x[:20] / 255
    x[3, 400] = least
    np.savez(tmp_path / "a.npz", x=x, y=DIGITS.labels[:20])
    with pytest.raises(DataError, match="value out of range; expected 0 to 255"):
        data.load(tmp_path / "a.npz")
    path, frame = csv_of(tmp_path / "a.csv", x, DIGITS.labels[:20], where)
    for read in (lambda: data.load(path), lambda: data.from_frame(frame)):
        with pytest.raises(DataError, match="not a pixel"):
            read()


@pytest.mark.parametrize("most", [0, 1.5, 255])
def test_negative_numbers_beside_large_or_no_ink(most, tmp_path):
    x = np.full((20, 784), -1.0)
    x[3, 400] = most
    np.savez(tmp_path / "a.npz", x=x, y=DIGITS.labels[:20])
    with pytest.raises(DataError, match="value out of range; expected 0 to 255"):
        data.load(tmp_path / "a.npz")
    path, _ = csv_of(tmp_path / "a.csv", x, DIGITS.labels[:20], "named first")
    with pytest.raises(DataError, match="not a pixel"):
        data.load(path)


@pytest.mark.parametrize("pixels", [[0.5, 0.25], [1, 0]])
def test_labels_below_zero_are_no_pixels(pixels, tmp_path):
    """Their column and another one may be the labels, by their place."""
    rows = [[-1 if row % 2 else 1, *([pixels[row % 2]] * 64)] for row in range(20)]
    (tmp_path / "a.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    with pytest.raises(DataError):
        data.load(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text(
        "label," + ",".join(f"pixel{i}" for i in range(64)) + "\n" + (tmp_path / "a.csv").read_text()
    )
    with pytest.raises(DataError, match="not a label"):
        data.load(tmp_path / "b.csv")


@pytest.mark.parametrize("first", [True, False])
def test_a_part_of_the_file_that_has_only_0_and_1(first, tmp_path):
    """Half grey and white, since other lines have pixels of -1."""
    generator = np.random.default_rng(0)
    plain, signed = generator.integers(0, 2, (400, 784)), DIGITS.x[:40].astype(int) / 127.5 - 1
    x = np.concatenate([plain, signed] if first else [signed, plain])
    names = ",".join(["label", *(f"pixel{i}" for i in range(784))])
    rows = "".join(",".join(["3", *(f"{v:g}" for v in row)]) + "\n" for row in x)
    (tmp_path / "a.csv").write_text(f"{names}\n{rows}")
    assert np.array_equal(data.load(tmp_path / "a.csv").train.x, np.floor((x + 1) / 2 * 255 + 0.5))

"""A model keeps that its pixels were from -1 to 1: images of it that do not show the range are not taken for others."""

import numpy as np
import pandas
import pytest

import fnnet
from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError
from tests.data.test_ranges import BYTES, DARK, LABELS, LIGHT, SIGNED, folder_of, n, table_of, tiff

TRAINED = Preprocessing(signed=True)
KINDS = ["npy", "tif", "csv", "parquet", "svm", "arff", "frame"]
PART = range(2, 7)


def stored(path, kind, x):
    """Write images without labels, (n, 8, 8), as a file of a kind; return what is read."""
    path, flat = path / f"a.{kind}", x.reshape(len(x), -1)
    if kind == "npy":
        np.save(path, x)
    elif kind == "tif":
        path.write_bytes(tiff(x[0]))
    elif kind in ("csv", "parquet"):
        table_of(path, flat, LABELS[: len(x)])
    elif kind == "svm":
        rows = (" ".join(["1", *(f"{at}:{value}" for at, value in enumerate(row, 1))]) for row in flat.tolist())
        path.write_text("\n".join(rows) + "\n")
    elif kind == "arff":
        names = "\n".join(f"@attribute pixel{at} numeric" for at in range(64))
        rows = "\n".join(",".join(map(repr, row)) for row in flat.tolist())
        path.write_text(f"@relation a\n{names}\n@data\n{rows}\n")
    else:
        return pandas.DataFrame({f"pixel{at}": flat[:, at] for at in range(64)})
    return path


def read(path, preprocessing, notes=None, **options):
    return data.read_images(path, (8, 8), preprocessing, notify=notes.append if notes is not None else print, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_below_0_of_which_none_is_minus_1(kind, tmp_path):
    path, notes = stored(tmp_path, kind, SIGNED["grey"][PART]), []
    with pytest.raises(DataError, match=r"expected 0 to 255, 0 to 1, or -1 to 1 with -1 among them"):
        read(path, Preprocessing())
    found = read(path, TRAINED, notes)
    assert np.array_equal(found, BYTES["grey"][PART].reshape(5, -1)[: len(found)])
    assert any("pixels from -1 to 1 are scaled to 0 to 255" in note for note in notes)


@pytest.mark.parametrize("kind", KINDS)
def test_no_number_below_0_may_be_of_either_range(kind, tmp_path):
    path = stored(tmp_path, kind, SIGNED["light"][PART])
    assert (read(path, Preprocessing()) != LIGHT[PART].reshape(5, -1)[: 1 if kind == "tif" else 5]).any()
    message = "the range of the pixels is not clear; expected numbers from -1 to 1, some below 0, .* from 0 to 1"
    with pytest.raises(DataError, match=message):
        read(path, TRAINED)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preprocessing", [TRAINED, Preprocessing()], ids=["signed", "plain"])
def test_what_is_clear_is_read_as_it_is(kind, preprocessing, tmp_path):
    for x, want in ((SIGNED["dark"], DARK), (LIGHT.astype(float), LIGHT)):
        found = read(stored(tmp_path, kind, x), preprocessing)
        assert np.array_equal(found, want.reshape(n, -1)[: len(found)])
    if kind in ("npy", "frame"):
        assert np.array_equal(read(stored(tmp_path, kind, LIGHT), preprocessing), LIGHT.reshape(n, -1))


@pytest.mark.parametrize("kind", ["npz", "folder", "csv", "frame"])
def test_the_training_set_shows_it(kind, tmp_path):
    def loaded(x, name, **options):
        path = tmp_path / name
        if kind == "npz":
            np.savez(tmp_path / f"{name}.npz", x=x, y=LABELS)
            path = tmp_path / f"{name}.npz"
        elif kind == "folder":
            folder_of(path, x)
        elif kind == "csv":
            table_of(tmp_path / f"{name}.csv", x.reshape(n, -1))
            path = tmp_path / f"{name}.csv"
        else:
            names = ["label", *(f"pixel{at}" for at in range(64))]
            return data.from_frame(
                pandas.DataFrame(dict(zip(names, [LABELS, *x.reshape(n, -1).T], strict=True))), **options
            )
        return data.load(path, **options)

    known = loaded(SIGNED["dark"], "dark").preprocessing
    assert known.signed
    assert not loaded(LIGHT / 255, "unit").preprocessing.signed
    assert loaded(SIGNED["grey"], "grey", preprocessing=known).train.x.min() == BYTES["grey"].min()
    with pytest.raises(DataError, match="the range of the pixels is not clear"):
        loaded(SIGNED["light"], "light", preprocessing=known)
    fnnet.save_model(tmp_path / "m", fnnet.Model(fnnet.init((64, 10)), image_shape=(8, 8), preprocessing=known))
    assert fnnet.load_model(tmp_path / "m").preprocessing == known


def test_pixel_max_and_ink_are_of_the_scaled_bytes(tmp_path):
    np.savez(tmp_path / "a.npz", x=SIGNED["dark"], y=LABELS)
    found = data.load(tmp_path / "a.npz", reading=Reading(ink="light")).preprocessing
    assert found == Preprocessing(signed=True, faint=found.faint)

"""A model keeps that its pixels were from -1 to 1: images of it that do not show the range are not taken for others."""

import numpy as np
import pandas
import pytest
from PIL import Image

import fnnet
from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError
from tests.data.test_ranges import BYTES, DARK, LABELS, LIGHT, SIGNED, folder_of, in_folders, n, table_of, tiff

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


BITS = (DARK > 99).astype(np.uint8)
SIXTEENTHS = DARK // 17


def picture(path, kind, image):
    path = path / f"a.{kind}"
    if kind == "pgm":
        path.write_bytes(b"P5 8 8 15\n" + image.tobytes())
    elif kind == "txt.pgm":
        path.write_text("P2 8 8 15\n" + " ".join(map(str, image.ravel().tolist())) + "\n")
    else:
        Image.fromarray(image.astype(bool)).save(path)
    return path


def bits(path, kind):
    """Write BITS in a form in which 1 is the largest by itself."""
    if kind == "bool":
        np.save(path / "a.npy", BITS.astype(bool))
        return path / "a.npy"
    if kind in ("png", "tif", "bmp", "pbm"):
        return picture(path, kind, BITS[0])
    if kind in ("frame of bool", "parquet of bool"):
        frame = pandas.DataFrame({f"pixel{at}": BITS.reshape(n, -1)[:, at].astype(bool) for at in range(64)})
        if kind == "frame of bool":
            return frame
        frame.to_parquet(path / "a.parquet")
        return path / "a.parquet"
    return stored(path, kind.split()[-1], BITS * 0.999 if "floats" in kind else BITS * 2.0 - 1)


@pytest.mark.parametrize("ink", ["light", "dark"])
@pytest.mark.parametrize(
    "kind",
    ["bool", "png", "tif", "bmp", "pbm", "frame of bool", "parquet of bool"]
    + [f"{what} {kind}" for kind in KINDS for what in ("floats", "signed")],
)
def test_what_is_scaled_where_it_is_read_is_not_compared_with_the_largest_pixel(kind, ink, tmp_path):
    np.savez(tmp_path / "a.npz", x=BITS, y=LABELS)
    model = data.load(tmp_path / "a.npz", reading=Reading(pixel_max=1, ink=ink)).preprocessing
    assert model.pixel_max == 1
    found = read(bits(tmp_path, kind), model)
    want = BITS.reshape(n, -1) * 255 if ink == "light" else 255 - BITS.reshape(n, -1) * 255
    assert np.array_equal(found, want[: len(found)])


@pytest.mark.parametrize("kind", ["pgm", "txt.pgm"])
def test_a_picture_of_fewer_levels_than_a_byte(kind, tmp_path):
    model = Preprocessing(pixel_max=15, paper=15, ink=1, blank=1)
    path = picture(tmp_path, kind, SIXTEENTHS[0])
    want = ((15.0 - SIXTEENTHS[0]) / 14 * 255).clip(0, 255)
    want[SIXTEENTHS[0] >= 14] = 0
    assert np.abs(read(path, model).reshape(8, 8) - want).max() <= 1


def test_a_byte_above_the_largest_pixel_is_refused_beside_pictures_of_bits(tmp_path):
    folder, most = tmp_path / "a", Preprocessing(pixel_max=1, ink=1)
    for number, image in enumerate(BITS):
        (folder / str(number % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(bool)).save(folder / str(number % 2) / f"{number:02}.png")
    known = data.load(folder, preprocessing=most)
    assert np.array_equal(known.train.x, in_folders(BITS.reshape(n, -1) * 255))
    Image.fromarray(BITS[3] * 255).save(folder / "1" / "03.png")
    with pytest.raises(DataError, match="pixel above the largest; expected 0 to 1, found 255"):
        data.load(folder, preprocessing=most)


def test_the_largest_pixel_of_training_is_not_that_of_what_is_scaled(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=BITS.astype(bool), y=LABELS)
    for most in (1, 255, "auto", None):
        assert data.load(path, reading=Reading(pixel_max=most)).train.x.max() == 255
    message = "pixel above the largest; expected 0 to 16, found pixels that are scaled to 0 to 255; leave --pixel-max"
    with pytest.raises(DataError, match=message):
        data.load(path, reading=Reading(pixel_max=16))
    np.savez(path, x=BITS * 0.2, y=LABELS)
    for most in ("auto", None):
        found = data.load(path, reading=Reading(pixel_max=most))
        assert found.train.x.max() == 51
        assert [str(note) for note in found.notes if note.code == "dim-pixels"] == [
            "the largest pixel is 51 of 255: images so dim train badly; scale them in the file"
        ]


def test_dim_images_that_are_scaled_are_of_255(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=BITS, y_train=LABELS, x_test=BITS * 0.2, y_test=LABELS)
    found = data.load(tmp_path / "a.npz", reading=Reading(pixel_max=1))
    assert any("the largest pixel of the test images is 51 of 255" in note for note in found.notes)

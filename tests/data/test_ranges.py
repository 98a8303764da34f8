"""All images of a data set are read in one range, though some of them look as if they were of another."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import ranges
from fnnet.data.arrays import as_content
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError

n = 24
LIGHT = np.random.default_rng(5).integers(128, 256, (n, 8, 8)).astype(np.uint8)
"""No number below 0 where they are stored from -1 to 1, and so like those from 0 to 1."""
DARK = 255 - LIGHT
DARK[:, 0, :2] = 0, 255
LABELS = np.arange(n) % 2
GREY = LIGHT - 120
"""Some numbers below 0, and none is -1: alone they may be noise."""
SIGNED = {"light": LIGHT / 127.5 - 1, "dark": DARK / 127.5 - 1, "grey": GREY / 127.5 - 1}
BYTES = {"light": LIGHT, "dark": DARK, "grey": GREY}
ORDERS = [["light", "dark"], ["dark", "light"], ["grey", "dark"], ["dark", "grey"]]


def tiff(image):
    into = io.BytesIO()
    Image.fromarray(image.astype(np.float32)).save(into, "TIFF")
    return into.getvalue()


def folder_of(path, images, part=""):
    for number, image in enumerate(images):
        folder = path / part / str(LABELS[number])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:02}.tif").write_bytes(tiff(image))
    return path


def noted(found):
    return [str(note) for note in found.notes if note.code == "unit-pixels"]


def in_folders(images):
    """Return images in the order in which class folders hold them."""
    return np.concatenate([images[: len(images)][LABELS[: len(images)] == label] for label in (0, 1)])


def check(found, first, second=None):
    both = [np.asarray(each).reshape(-1, 64) for each in (first, second) if each is not None]
    assert np.array_equal(found.train.x, both[0])
    if second is not None:
        assert np.array_equal(found.test.x, both[1])
    assert noted(found)
    assert all("from -1 to 1 are scaled" in note for note in noted(found))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("part", ["pictures", "test"])
def test_a_folder_of_pictures(order, part, tmp_path):
    first, second = order
    if part == "test":
        folder_of(folder_of(tmp_path, SIGNED[first], "train"), SIGNED[second], "test")
        return check(data.load(tmp_path), in_folders(BYTES[first]), in_folders(BYTES[second]))
    images, stored = (np.stack([each[first], each[second]], 1).reshape(-1, 8, 8)[:n] for each in (BYTES, SIGNED))
    return check(data.load(folder_of(tmp_path, stored)), in_folders(images))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["npz", "npy", "h5", "mat"])
def test_train_and_test_in_arrays(order, kind, tmp_path):
    first, second = order
    arrays = {"x_train": SIGNED[first], "y_train": LABELS, "x_test": SIGNED[second], "y_test": LABELS}
    path = tmp_path / f"a.{kind}"
    if kind == "npz":
        np.savez(path, **arrays)
    elif kind == "npy":
        for name, array in arrays.items():
            np.save(tmp_path / f"{name}.npy", array)
        path = tmp_path / "x_train.npy"
    elif kind == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as archive:
            for name, array in arrays.items():
                archive[name] = array
    else:
        pytest.importorskip("scipy.io").savemat(path, arrays)
    check(data.load(path), BYTES[first], BYTES[second])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["lists", "pictures"])
@pytest.mark.parametrize("parts", [["train-00000-of-00002", "train-00001-of-00002"], ["train", "test"]])
def test_pieces_of_parquet(order, kind, parts, tmp_path):
    for name, part in zip(parts, order, strict=True):
        x = [tiff(image) if kind == "pictures" else image.tolist() for image in SIGNED[part]]
        pq.write_table(pa.table({"image": x, "label": LABELS}), tmp_path / f"{name}.parquet")
    found = data.load(tmp_path / f"{parts[0]}.parquet")
    first, second = (BYTES[part] for part in order)
    if parts[1] == "test":
        return check(found, first, second)
    return check(found, np.concatenate([first, second]))


def table_of(path, x, labels=LABELS):
    names = ["label", *(f"pixel{i}" for i in range(64))]
    if path.suffix == ".csv":
        rows = [[str(label), *map(repr, row)] for label, row in zip(labels.tolist(), x.tolist(), strict=True)]
        path.write_text("\n".join(",".join(row) for row in [names, *rows]) + "\n")
    else:
        pq.write_table(pa.table(dict(zip(names, [labels, *x.T], strict=True))), path)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("order", ORDERS)
def test_tables_of_which_one_shows_the_range(kind, order, tmp_path):
    names = ("a", "a-test") if kind == "csv" else ("train", "test")
    for name, part in zip(names, order, strict=True):
        table_of(tmp_path / f"{name}.{kind}", SIGNED[part].reshape(n, -1))
    check(data.load(tmp_path / f"{names[0]}.{kind}"), *(BYTES[part] for part in order))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_that_show_several_ranges_are_refused(kind, tmp_path):
    """Nothing shows that all of them are of one."""
    first, second = ("a", "a-test") if kind == "csv" else ("train", "test")
    table_of(tmp_path / f"{first}.{kind}", (LIGHT / 255).reshape(n, -1))
    table_of(tmp_path / f"{second}.{kind}", (LIGHT.astype(float) // 200).reshape(n, -1))
    message = (
        f"{first}.{kind}: the images: pixels of several ranges; expected one range for all images of the set, found"
    )
    with pytest.raises(DataError, match=message) as caught:
        data.load(tmp_path / f"{first}.{kind}")
    assert {*caught.value.found.split(" and ")} == {"0 to 1", "0 to 255"}
    table_of(tmp_path / f"{second}.{kind}", LIGHT.reshape(n, -1))  # clear, though of another
    assert np.array_equal(data.load(tmp_path / f"{first}.{kind}").test.x, LIGHT.reshape(n, -1))


PAGES = np.where(LIGHT > 200, LIGHT, 0) / 255
"""On paper of 0, as no images from -1 to 1 are."""


@pytest.mark.parametrize("other", ["dark", "grey"])
@pytest.mark.parametrize("kind", ["npz", "csv", "pictures", "test"])
def test_paper_of_0_is_not_of_minus_1_to_1_whatever_others_are(kind, other, tmp_path):
    shown = SIGNED[other].copy()
    shown[0] = SIGNED["dark"][0]
    path = tmp_path / f"a.{kind}"
    if kind == "npz":
        np.savez(path, x_train=shown, y_train=LABELS, x_test=PAGES, y_test=LABELS)
    elif kind == "csv":
        table_of(path, shown.reshape(n, -1))
        table_of(tmp_path / "a-test.csv", PAGES.reshape(n, -1))
    elif kind == "test":
        path = folder_of(folder_of(path, PAGES, "train"), shown, "test")
    else:
        path = folder_of(path, np.concatenate([shown[:5], PAGES[5:6], shown[6:]]))
    with pytest.raises(DataError, match="the images: pixels of several ranges; expected one range") as caught:
        data.load(path)
    assert {"-1 to 1", "0 to 1, with 0 common"} <= {*caught.value.found.split(" and ")}
    assert caught.value.fix == "store bytes from 0 to 255"


@pytest.mark.parametrize("other", [LIGHT / 255, LIGHT / 1.0], ids=["0 to 1", "0 to 255"])
def test_paper_of_0_among_others_from_0(other, tmp_path):
    x = other.copy()
    x[3] = PAGES[3] * 255 if x.max() > 1 else PAGES[3]
    want = np.where(np.arange(n)[:, None, None] == 3, np.rint(PAGES * 255), LIGHT)
    assert np.array_equal(data.load(folder_of(tmp_path, x)).train.x, in_folders(want.reshape(n, -1)))


def test_a_model_of_minus_1_to_1_does_not_take_paper_of_0(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(PAGES[0]))
    with pytest.raises(DataError, match=r"the range of the pixels is not clear.*numbers from 0 to 1; store bytes"):
        data.read_images(tmp_path / "a.tif", (8, 8), Preprocessing(signed=True))


@pytest.mark.parametrize("kind", ["npz", "csv", "pictures"])
def test_a_mark_of_minus_1_in_images_from_0_to_1(kind, tmp_path):
    x = PAGES.copy()
    x[5, 3, 4] = -1
    path, place = tmp_path / f"a.{kind}", "a.csv: image 6"
    if kind == "npz":
        np.savez(path, x=x, y=LABELS)
        place = r"a.npz: x\[5, 3, 4\]"
    elif kind == "csv":
        table_of(path, x.reshape(n, -1))
    else:
        path, place = folder_of(path, x), r"05\.tif: the pixels\[0, 3, 4\]"
    message = f"{place}: -1 is the only number below 0; expected numbers from 0 to 1, .*; replace -1 if it marks"
    with pytest.raises(DataError, match=message):
        data.load(path)


def test_minus_1_and_1_alone_are_pixels(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.where(PAGES, 1.0, -1.0), y=LABELS)
    assert np.array_equal(data.load(tmp_path / "a.npz").train.x, np.where(PAGES, 255, 0).reshape(n, -1))


def idx_of(path, array, kind):
    code = {"f": 0x0D, "u": 0x08, "i": 0x08}[kind]
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    content = array.astype(">f4" if kind == "f" else np.uint8).tobytes()
    path.write_bytes(bytes([0, 0, code, array.ndim]) + sizes + content)


def test_floats_in_idx_files_that_show_several_ranges_are_refused(tmp_path):
    for part, x in (("train", SIGNED["dark"]), ("t10k", SIGNED["light"])):
        idx_of(tmp_path / f"{part}-images-idx3-ubyte", x, "f")
        idx_of(tmp_path / f"{part}-labels-idx1-ubyte", LABELS, "u")
    with pytest.raises(DataError, match="the images: pixels of several ranges"):
        data.load(tmp_path)


def test_a_picture_of_0_and_1_among_those_up_to_255(tmp_path):
    x = LIGHT.astype(float)
    x[3] = LIGHT[3] // 200
    found = data.load(folder_of(tmp_path, x))
    assert np.array_equal(found.train.x, in_folders(x.reshape(n, -1)))
    assert not noted(found)


@pytest.mark.parametrize(
    ("stored", "place", "message"),
    [
        (
            LIGHT / 255,
            r"0\d\.tif: the pixels\[0, \d, \d\]",
            "pixel is not a whole number; expected whole numbers",
        ),
        (
            SIGNED["dark"],
            r"0\d\.tif: the pixels\[0, \d, \d\]",
            "value out of range; expected -1 to 1, as others",
        ),
    ],
    ids=["0 to 1", "-1 to 1"],
)
def test_pictures_that_are_of_no_one_range_are_refused(stored, place, message, tmp_path):
    x = LIGHT.astype(float)
    x[4] = stored[4]
    with pytest.raises(DataError, match=f"({place}): {message}.*store bytes from 0 to 255"):
        data.load(folder_of(tmp_path, x))


@pytest.mark.parametrize(("other", "byte"), [(LIGHT / 255, 0), (LIGHT / 1.0, 0), (SIGNED["dark"], 128)])
def test_black_is_of_any_range(other, byte, tmp_path):
    x = other.copy()
    x[5] = 0
    found = data.load(folder_of(tmp_path, x))
    assert (found.train.x[n // 2 + 2] == byte).all()
    want = DARK if byte else LIGHT
    assert np.array_equal(found.train.x[:12], in_folders(want.reshape(n, -1))[:12])


def test_bytes_are_of_any_range(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=SIGNED["dark"], y_train=LABELS, x_test=DARK, y_test=LABELS)
    check(data.load(tmp_path / "a.npz"), DARK, DARK)


@pytest.mark.parametrize(("x", "text"), [(LIGHT / 255, "0 to 1"), (SIGNED["dark"], "-1 to 1"), (LIGHT, "")])
def test_a_picture_to_predict_is_noted(x, text, tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(x[0]))
    told = []
    data.read_images(tmp_path / "a.tif", (8, 8), notify=told.append)
    assert [(note.code, str(note)) for note in told] == (
        [("unit-pixels", f"TIFF of floats: pixels from {text} are scaled to 0 to 255")] if text else []
    )


@pytest.mark.parametrize("suffix", ["npy", "tif", "csv", "txt"])
def test_numbers_that_do_not_reach_minus_1(suffix, tmp_path):
    """An inverted digit whose largest pixel is 254."""
    image = 255 - np.minimum(DARK[0], 254)
    stored, path = (image / 127.5 - 1).astype(np.float32), tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, stored)
    elif suffix == "tif":
        path.write_bytes(tiff(stored))
    elif suffix == "csv":
        np.savetxt(path, stored.reshape(1, -1), delimiter=",")
    else:
        path.write_text("1 " + " ".join(f"{i}:{x:.6f}" for i, x in enumerate(stored.ravel(), 1)) + "\n")
    message = r"expected 0 to 255, 0 to 1, or -1 to 1 with -1 among them, found .*-0\.99"
    with pytest.raises(DataError, match=message) as caught:
        data.read_images(path, (8, 8))
    x = stored
    store = "((x + 1) * 127.5).round().astype(np.uint8)"
    assert caught.value.fix == f"undo what shifted them; if they are from -1 to 1, store {store}"
    assert np.array_equal(((x + 1) * 127.5).round().astype(np.uint8), image)


BINARY = (DARK > 127).astype(np.uint8)
LIKE = Preprocessing()


@pytest.mark.parametrize("written", [int, float])
@pytest.mark.parametrize("kind", ["csv", "arff", "parquet", "frame"])
def test_a_table_of_0_and_1_is_not_called_blank(written, kind, tmp_path):
    """Training says that it is dim; to a model of 255 levels it is blank, and its ink may be 1."""
    x, path = BINARY.reshape(n, -1).astype(written), tmp_path / f"a.{kind}"
    if kind == "arff":
        names = [f"@attribute pixel{i} numeric" for i in range(64)]
        lines = ["@relation a", *names, "@attribute class {0,1}", "@data"]
        rows = [",".join([*map(repr, row), str(label)]) for row, label in zip(x.tolist(), LABELS.tolist(), strict=True)]
        path.write_text("\n".join([*lines, *rows]) + "\n")
    elif kind != "frame":
        table_of(path, x)
    else:
        pd = pytest.importorskip("pandas")
        path = pd.DataFrame(x, columns=[f"pixel{i}" for i in range(64)]).assign(label=LABELS)
    load, told = data.from_frame if kind == "frame" else data.load, []
    assert np.array_equal(data.read_images(path, (8, 8), LIKE, notify=told.append), BINARY.reshape(n, -1))
    (note,) = (str(note) for note in told if note.code == "binary-pixels")
    assert note.endswith("pixels are 0 and 1 alone, of 0 to 255: nearly blank; if 1 is the ink, multiply by 255")
    trained = load(path)
    assert np.array_equal(trained.train.x, BINARY.reshape(n, -1))
    assert any("is 1 of 255" in note for note in trained.notes)
    told = load(path, reading=Reading(pixel_max=1))
    assert np.array_equal(told.train.x, BINARY.reshape(n, -1) * 255)
    heard = []
    for model, times in ((trained.preprocessing, 1), (told.preprocessing, 255)):
        found = data.read_images(path, (8, 8), model, notify=heard.append)
        assert np.array_equal(found, BINARY.reshape(n, -1) * times)
    assert "binary-pixels" not in [note.code for note in heard]


def test_predict_does_not_call_a_row_of_0_and_1_blank(run, tmp_path):
    np.savez(tmp_path / "a.npz", x_train=LIGHT, y_train=LABELS)
    trained = run("train", "--data", tmp_path / "a.npz", "--epochs", 1, "--out", tmp_path / "m", "-q")
    assert trained.code == 0
    np.savetxt(tmp_path / "a.csv", BINARY[:1].reshape(1, -1), fmt="%.1f", delimiter=",")
    found = run("predict", tmp_path / "m", tmp_path / "a.csv")
    assert found.code == 1
    assert "a.csv: pixels are 0 and 1 alone, of 0 to 255: nearly blank; if 1 is the ink, multiply by" in found.err
    assert not found.out


def test_a_blank_row_of_a_table_is_blank(tmp_path):
    table_of(tmp_path / "a.csv", np.zeros((n, 64), int))
    told = []
    assert not data.read_images(tmp_path / "a.csv", (8, 8), LIKE, notify=told.append).any()
    assert [note.code for note in told] == ["blank"]


def test_numbers_outside_the_range_of_the_others_are_refused_with_their_place():
    pixels = SIGNED["dark"].copy()
    pixels[3, 2, 1] = 1.5
    with pytest.raises(DataError, match=r"x\[3, 2, 1\]: value out of range; expected -1 to 1, as others .*found 1\.5"):
        as_content(pixels, LABELS, "a.npz", "x", None, pixel_range=ranges.SIGNED)


ROUNDED = "rounding has moved them: store x.clip"
STANDARD = "they look standardised: store x * deviation + mean, as bytes from 0 to 255"
PHOTO = np.random.default_rng(6).uniform(0, 255, (n, 8, 8))
MISSES = {
    "above 1": (DARK / 255 * 1.0000001, f"{ROUNDED}(0, 1)"),
    "below 0": (DARK / 255 - 1e-9, f"{ROUNDED}(0, 1)"),
    "above 1 and below -1": (SIGNED["dark"] * 1.0000001, f"{ROUNDED}(-1, 1)"),
    "above 255": (DARK * (255.00002 / 255), "round them: store x.clip(0, 255).round()"),
    "fractions up to 255": (PHOTO, "round them: store x.clip(0, 255).round()"),
    "of deviation 1": ((PHOTO - PHOTO.mean()) / PHOTO.std(), STANDARD),
    "of another deviation": ((DARK / 255 - 0.1307) / 0.3081, STANDARD),
    "shifted": (DARK / 255 - 0.5, "undo what shifted them; if they are from -1 to 1, store ((x + 1) * 127.5).round()"),
}


@pytest.mark.parametrize("name", MISSES)
@pytest.mark.parametrize("kind", ["npz", "tif", "csv", "parquet", "frame"])
def test_what_to_do_with_floats_of_no_range(kind, name, tmp_path):
    x, fix = MISSES[name]
    path = tmp_path / f"a.{kind}"
    if kind == "npz":
        np.savez(path, x=x, y=LABELS)
    elif kind == "tif":
        path = folder_of(tmp_path / "a", np.float64(np.float32(x)) if name != "below 0" else x - 1e-8)
    elif kind == "frame":
        pd = pytest.importorskip("pandas")
        path = pd.DataFrame(x.reshape(n, -1), columns=[f"pixel{i}" for i in range(64)]).assign(label=LABELS)
    else:
        table_of(path, x.reshape(n, -1))
    load = data.from_frame if kind == "frame" else data.load
    with pytest.raises(DataError) as caught:
        load(path)
    assert caught.value.fix.startswith(fix)
    if "clip" in fix:  # and what it makes is read
        least, most = map(int, fix.partition("clip(")[2].partition(")")[0].split(","))
        np.savez(tmp_path / "b.npz", x=x.clip(least, most).round(0 if most == 255 else 9), y=LABELS)
        want = np.rint(x) if "255" in fix else DARK
        assert np.array_equal(data.load(tmp_path / "b.npz").train.x, want.reshape(n, -1))


@pytest.mark.parametrize(
    ("x", "fix"),
    [
        (LIGHT / 100, "divide them by the largest that there can be"),
        (LIGHT * 2.5, "store bytes from 0 to 255"),
        (np.where(LIGHT > 200, -1.0, 0), "store bytes from 0 to 255"),
        (LIGHT - 300.5, STANDARD),
    ],
)
def test_floats_that_show_no_range(x, fix, tmp_path):
    np.savez(tmp_path / "a.npz", x=x, y=LABELS)
    with pytest.raises(DataError) as caught:
        data.load(tmp_path / "a.npz")
    assert caught.value.fix == fix


def test_what_misses_0_by_rounding_beside_numbers_from_minus_1_to_1(tmp_path):
    """They are not scaled as those if 0 is common."""
    np.savez(tmp_path / "a.npz", x_train=SIGNED["dark"], y_train=LABELS, x_test=PAGES - 1e-9, y_test=LABELS)
    with pytest.raises(DataError, match="the images: pixels of several ranges"):
        data.load(tmp_path / "a.npz")
    x = SIGNED["dark"] * 1.0000001
    np.savez(tmp_path / "a.npz", x_train=SIGNED["grey"], y_train=LABELS, x_test=x, y_test=LABELS)
    with pytest.raises(DataError, match=r"expected -1 to 1, as others of the set show, .* store x\.clip\(-1, 1\)"):
        data.load(tmp_path / "a.npz")


def test_text_of_pairs_that_misses_a_range_by_rounding(tmp_path):
    x = (PAGES - 1e-9).reshape(n, -1).tolist()
    rows = ["1 " + " ".join(f"{i}:{v:.12f}" for i, v in enumerate(row, 1)) for row in x]
    (tmp_path / "a.svm").write_text("\n".join(rows) + "\n")
    with pytest.raises(DataError, match=r"pixels of no known range; .* store x\.clip\(0, 1\)"):
        data.read_images(tmp_path / "a.svm", (8, 8))


def test_a_table_of_images_of_two_ranges_is_not_to_be_rounded(tmp_path):
    x = np.where(np.arange(n)[:, None, None] % 2, LIGHT / 255, LIGHT)
    table_of(tmp_path / "a.csv", x.reshape(n, -1))
    with pytest.raises(DataError, match=r"not a pixel: a fraction; .* scale all images alike"):
        data.load(tmp_path / "a.csv")


def test_a_table_of_standardised_numbers_within_the_bounds_of_a_cell(tmp_path):
    x = np.where(LIGHT > 200, 2.0, -0.42)
    table_of(tmp_path / "a.csv", x.reshape(n, -1))
    with pytest.raises(DataError, match=f"not a pixel: a number below 0; .* {STANDARD[:20]}"):
        data.load(tmp_path / "a.csv")


DIGITS = data.load("digits").train.x[:400]


def mixed(x):
    np.savez("a.npz", x=x.reshape(-1, 28, 28), y=np.arange(len(x)) % 10)
    return [str(note) for note in data.load("a.npz").notes if note.code == "mixed-ranges"]


@pytest.mark.parametrize("shift", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("part", [0.05, 0.1, 0.5, 0.9])
def test_images_of_a_smaller_range_among_others_are_noted_with_their_number(shift, part, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    x, few = DIGITS.copy(), np.random.default_rng(0).permutation(400) < 400 * part
    x[few] >>= shift
    notes = mixed(x)
    if shift > 3 and part < 0.5:
        assert any(note.code == "blank" for note in data.load("a.npz").notes)
        return
    (note,) = notes
    reached = f"{int(400 * part)} of 400 images looked at reach only {255 >> shift}, the others up to 255"
    assert note.startswith(f"the largest pixels of {reached}; ")
    assert note.endswith("a network learns them badly: scale them alike")


def test_a_class_of_pictures_of_a_smaller_range_is_noted(tmp_path):
    for number, image in enumerate(DIGITS[:60].reshape(-1, 28, 28)):
        folder = tmp_path / str(number % 3)
        folder.mkdir(exist_ok=True)
        Image.fromarray(image // (1 + (number % 3 == 1))).save(folder / f"{number}.png")
    (note,) = [str(each) for each in data.load(tmp_path).notes if each.code == "mixed-ranges"]
    assert note.startswith("the largest pixels of 20 of 60 images looked at reach only 127")


@pytest.mark.parametrize(
    "case", ["digits", "inverted", "JPEG", "dim", "one grey", "greys", "greys of photos", "few", "blank"]
)
def test_images_of_one_range_are_not_noted(case, monkeypatch, tmp_path):
    """Ink of any grey leaves no gap between the largest pixels."""
    monkeypatch.chdir(tmp_path)
    rng, x = np.random.default_rng(1), DIGITS.copy()
    if case == "JPEG":
        images = [io.BytesIO() for _ in x]
        for into, image in zip(images, x.reshape(-1, 28, 28), strict=True):
            Image.fromarray(image).save(into, "JPEG", quality=40)
        x = np.stack([np.asarray(Image.open(each)) for each in images])
    elif case in ("greys", "greys of photos"):
        most = rng.integers(30, 256, (400, 1)) if case == "greys" else rng.normal(128, 50, (400, 1)).clip(30, 255)
        x = (x * (most / 255)).astype(np.uint8)
    elif case == "few":
        x[:9] >>= 3
    elif case == "blank":
        x[:40] = rng.integers(0, 19, (40, 784))
    x = {"inverted": 255 - x, "dim": x // 8, "one grey": (x * (100 / 255)).astype(np.uint8)}.get(case, x)
    assert mixed(x) == []

"""Columns and arrays that say of which part each image is: images of several parts are never one set."""

import zlib

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from fnnet import data
from fnnet.data import Reading, splits
from fnnet.errors import DataError
from tests.data.test_listed import N, put, rows, table
from tests.tools.samples import missing_parts, npy, png_bytes, raw_npz
from tests.tools.written import matlab_7, parquet

pa = pytest.importorskip("pyarrow")
h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.usefixtures("inside")

X = np.random.default_rng(5).integers(0, 256, (30, 8, 8), dtype=np.uint8)
Y = np.arange(30) % 10
PARTS = np.array(["train"] * 20 + ["test"] * 10)
DIVIDED = {
    "split": PARTS,
    "Subset": np.array(["training"] * 20 + ["validation"] * 10),
    "Usage": np.array(["Training"] * 10 + ["PublicTest"] * 10 + ["PrivateTest"] * 10),
    "anything": np.array(["TRAIN"] * 20 + ["dev"] * 10),
    "set": np.array([1.0] * 20 + [3.0] * 10),
    "fold": Y % 5,
    "is_test": np.arange(30) > 20,
    "train_mask": np.arange(30) < 20,
}
INDICES = {
    "train_idx": np.arange(20),
    "testIdx": np.arange(20, 30)[None],
    "folds": np.ones((5, 30)),
    "val": np.array([7]),
}
ALONE = {"split": PARTS[:1].repeat(30), "is_test": np.zeros(30, bool), "fold": np.full(30, 3), "usage": None}


def refused(path, message, **options):
    with pytest.raises(DataError, match=message) as raised:
        data.load(path, **options)
    assert missing_parts(raised.value) == []
    return str(raised.value)


def pictures(**columns):
    return pa.table({"image": [png(each) for each in X], "label": Y} | columns)


def png(image):
    return png_bytes(8, 8, 0, 8, zlib.compress(b"".join(b"\0" + row.tobytes() for row in image)))


def saved(form, path, **arrays):
    if form == "npz":
        np.savez(path, **arrays)
    elif form == "hdf5":
        with h5py.File(path, "w") as file:
            for name, each in arrays.items():
                file[name] = each.astype(bytes) if each.dtype.kind == "U" else each
    elif form == "matlab":
        savemat(path, {name: each.astype(object) if each.dtype.kind == "U" else each for name, each in arrays.items()})
    elif form == "matlab 7.3":
        matlab_7(path, **arrays)
    else:
        savemat(path, {"images": arrays})
    return path


FORMS = ["npz", "hdf5", "matlab", "matlab 7.3", "structure"]


@pytest.mark.parametrize("name", DIVIDED)
@pytest.mark.parametrize("kind", ["parquet", "categories", "frame", "lists"])
def test_a_column_beside_pictures_that_says_several_parts(kind, name, tmp_path):
    values = pa.array(DIVIDED[name])
    columns = pictures(**{name: values.dictionary_encode() if kind == "categories" else values})
    message = f"column {name}: images of several parts in one set; expected images of one part, found .*; keep only"
    if kind == "frame":
        with pytest.raises(DataError, match=message):
            data.from_frame(columns.to_pandas())
        return
    if kind == "lists":
        columns = columns.set_column(0, "image", pa.array(X.reshape(30, -1).tolist()))
    path = tmp_path / "a"
    path.write_bytes(parquet(columns))
    refused(path, message)
    assert len(data.read_images(path, (8, 8))) == 30


def test_a_column_of_parts_with_empty_cells(tmp_path):
    path = tmp_path / "a"
    for values in (["train"] * 20 + [None] * 10, ["train"] * 20 + [" "] * 10):
        path.write_bytes(parquet(pictures(origin=values)))
        refused(path, "column origin: images of several parts in one set; .* found train; ")


def test_columns_of_one_part_and_of_other_things_are_noted(tmp_path):
    path = tmp_path / "a"
    columns = {
        name: values if values is not None else ["PublicTest", "PrivateTest"] * 15 for name, values in ALONE.items()
    }
    columns |= {"set": np.arange(30), "width": Y, "caption": [None, *"ab"] * 10, "fold_id": np.full(30, np.nan)}
    path.write_bytes(parquet(pictures(**columns)))
    dataset = data.load(path)
    assert len(dataset.train.x) == 30
    assert [(note.code, str(note)) for note in dataset.notes] == [
        (
            "not-used",
            "split, is_test, fold, usage, set and 3 more not used: image holds the images, label their classes",
        )
    ]
    path.write_bytes(parquet(pictures()))
    assert data.load(path).notes == ()


def test_pieces_of_several_parts(tmp_path):
    whole = pictures(split=PARTS, text=[None] * 20 + ["a"] * 10)
    first, second = tmp_path / "all-00000-of-00002.parquet", tmp_path / "all-00001-of-00002.parquet"
    first.write_bytes(parquet(whole.slice(0, 20)))
    second.write_bytes(parquet(whole.slice(20)))
    refused(
        first, f"{second.name}: column split: images of several parts in one set; expected train, .* found test; move"
    )
    second.write_bytes(parquet(whole.slice(10, 10)))
    assert len(data.load(first).train.x) == 30


def test_a_table_of_pixels_with_a_column_of_parts():
    frame = pd.DataFrame(X.reshape(30, -1), columns=[f"pixel{number}" for number in range(64)])
    with pytest.raises(DataError, match=r"unknown column; .* found 'split'; keep only the rows of one part, and leave"):
        data.from_frame(frame.assign(label=Y, split=PARTS))


@pytest.mark.parametrize("name", [*DIVIDED, *INDICES])
@pytest.mark.parametrize("form", FORMS)
def test_an_array_beside_images_that_says_several_parts(form, name, tmp_path):
    values = (DIVIDED | INDICES)[name]
    if form.startswith(("matlab", "struct")):
        name = {"anything": "split", "val": "is_val"}.get(name, name)
    if form == "matlab 7.3" and values.dtype.kind == "U":
        pytest.skip("a cell of text: see below")
    path = saved(form, tmp_path / "a.npz", data=X, labels=Y, **{name: values})
    refused(path, f"{name}: images of several parts in one set; expected images of one part, .*; store the")
    assert len(data.read_images(path, (8, 8))) == 30


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_one_part_and_of_other_things(form, tmp_path):
    texts = {} if form == "matlab 7.3" else {"split": PARTS[:1].repeat(30), "sets": np.array(["train", "test"])}
    beside = {"fold": np.full(30, 3), "train_mask": np.ones(30, bool), "train_idx": np.arange(30), "set": np.arange(30)}
    path = saved(form, tmp_path / "a.npz", data=X, labels=Y, subset=np.zeros((0, 2)), usage=Y[:7], **beside, **texts)
    dataset = data.load(path)
    assert np.array_equal(dataset.train.x, X.reshape(30, -1))
    (note,) = dataset.notes
    assert note.code == "not-used"
    assert all(name in note for name in (*beside, "usage", *texts))
    assert "subset" not in note


@pytest.mark.parametrize("second", [("x_extra", "y_extra"), ("Xt", "yt"), ("images2", "labels2"), ("query_x",)])
@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_other_names_are_noted(form, second, tmp_path):
    others = dict(zip(second, (X[:9], Y[:9]), strict=False))
    path = saved(form, tmp_path / "a", x_train=X, y_train=Y, version=np.array([3]), **others)
    path = path if path.exists() else path.with_suffix(".npz")
    dataset = data.load(path)
    assert np.array_equal(dataset.train.x, X.reshape(30, -1))
    assert dataset.test is None
    (note,) = dataset.notes
    names = [f"{'images.' * (form == 'structure')}{name}" for name in (*second, "y_test")][: len(second)]
    assert sorted(note.removeprefix(f"{path}: ").partition(" not used: neither images nor")[0].split(", ")) == sorted(
        names
    )


@pytest.mark.parametrize("form", FORMS)
def test_labels_without_images_of_their_part_are_noted(form, tmp_path):
    path = saved(form, tmp_path / "a.npz", x_train=X, y_train=Y, y_test=Y[:9])
    assert [(note.code, "y_test not used" in note) for note in data.load(path).notes] == [("not-used", True)]


@pytest.mark.parametrize("form", FORMS)
def test_parts_by_their_short_names(form, tmp_path):
    path = saved(form, tmp_path / "a.npz", Xtr=X, ytr=Y, Xte=X[:20], yte=Y[:20], x_eval=X[:4], y_eval=Y[:4])
    dataset = data.load(path)
    assert np.array_equal(dataset.train.x, X.reshape(30, -1))
    assert np.array_equal(dataset.test.x, X[:20].reshape(20, -1))
    (note,) = dataset.notes
    assert note.endswith("not used: validation takes images of training")
    assert len(data.read_images(path, (8, 8))) == 20


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_images_to_predict_beside_others_of_their_size_are_refused(form, flat, tmp_path):
    x = X.reshape(30, -1) if flat else X
    path = saved(form, tmp_path / "a.npz", X=x, X2=x[:20], weights=np.ones((30, 3)))
    with pytest.raises(
        DataError, match=r"several arrays may be the images; expected one, or x_test, found .*X and .*X2;"
    ):
        data.read_images(path, (8, 8))
    path = saved(form, tmp_path / "b.npz", x_test=x, X2=x[:20], scores=np.ones((30, 10)))
    assert len(data.read_images(path, (8, 8))) == 30
    path = saved(form, tmp_path / "c.npz", X=x, scores=np.ones((30, 3)), places=np.ones((20, 8)), ids=Y)
    assert len(data.read_images(path, (8, 8))) == 30


def test_objects_that_are_not_used_are_noted(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y, meta=np.array([{"a": 1}], object))
    (note,) = data.load(tmp_path / "a.npz").notes
    assert "meta not used" in note


@pytest.mark.parametrize("form", FORMS)
def test_arrays_that_are_of_parts_themselves(form, tmp_path):
    arrays = {"x_train": X, "y_train": Y, "train_ids": np.arange(20), "test_ids": np.arange(9)}
    path = saved(form, tmp_path / "a.npz", **arrays)
    assert data.load(path).test is None
    path = saved(form, tmp_path / "b.npz", **arrays, x_test=X[:9], y_test=Y[:9], fold=Y)
    assert len(data.load(path).test.x) == 9
    path = saved(form, tmp_path / "c.npz", **arrays, fold=Y)
    refused(path, "fold: images of several parts in one set; ")


def test_objects_in_an_archive_that_may_say_parts(tmp_path):
    members = {"x.npy": npy(X), "y.npy": npy(Y), "other.npy": npy(np.array(["a", None]))}
    assert len(data.load(raw_npz(tmp_path / "a.npz", **members)).train.x) == 30
    path = raw_npz(tmp_path / "a.npz", **members, **{"split.npy": npy(PARTS.astype(object))})
    refused(path, "split: images of several parts in one set; .* found pickled objects, which are never opened; store")


def test_the_attribute_of_fuel_that_says_parts(tmp_path):
    path = saved("hdf5", tmp_path / "a", features=X, targets=Y)
    with h5py.File(path, "a") as file:
        file.attrs["split"] = np.array([(b"train", 0, 20), (b"test", 20, 30)], "S5, i8, i8")
    refused(path, r"attribute split: images of several parts in one set; .* found shape \(2,\); store")
    with h5py.File(path, "a") as file:
        file.attrs["split"] = 0.8
    assert len(data.load(path).train.x) == 30


def test_text_in_a_cell_of_version_7_that_says_parts(tmp_path):
    path = matlab_7(tmp_path / "a", X=X, y=Y)
    with h5py.File(path, "a") as file:
        texts = [
            file.create_dataset(f"#refs#/{number}", data=np.array([*map(ord, text)], "u2")[:, None])
            for number, text in enumerate(PARTS)
        ]
        file["split"] = np.array([each.ref for each in texts], h5py.ref_dtype)[None]
        file["split"].attrs["MATLAB_class"] = np.bytes_("cell")
    refused(path, "split: images of several parts in one set; .* found test and train; store")
    with h5py.File(path, "a") as file:
        del file["split"]
        file["split"] = np.zeros(2)
        file["split"].attrs["MATLAB_class"] = np.bytes_("cell")
    assert len(data.load(path).train.x) == 30


def test_imdb_of_matconvnet(tmp_path):
    path = tmp_path / "imdb.mat"
    images = {
        "data": np.moveaxis(X, 0, -1)[:, :, None],
        "labels": Y[None] + 1,
        "set": np.repeat([1.0, 3.0], [20, 10])[None],
    }
    savemat(path, {"images": images, "meta": {"sets": np.array(["train", "val", "test"], object)}})
    refused(
        path, "images.set: images of several parts in one set; .*numbers from 1 to 3", reading=Reading(first_label=1)
    )


@pytest.mark.parametrize("name", ["split", "set", "fold", "origin"])
def test_a_table_beside_pictures_that_says_several_parts(name, tmp_path):
    put(tmp_path)
    values = [str(number % 5) if name == "fold" else ["train", "Test"][number % 2] for number in range(N)]
    cells = [(*row, value) for row, value in zip(rows(), values, strict=True)]
    table(tmp_path / "labels.csv", cells, f"filename,label,{name}")
    refused(
        str(tmp_path), f"column {name}: images of several parts in one set; .*; keep only the rows of one part, or put"
    )


def test_a_table_beside_pictures_of_parts_alone(tmp_path):
    put(tmp_path)
    cells = [(file, ["train", "test"][number % 2]) for number, (file, _) in enumerate(rows())]
    table(tmp_path / "labels.csv", cells, "filename,kind")
    refused(str(tmp_path), "column kind: images of several parts in one set; ")
    table(tmp_path / "labels.csv", cells, "filename,label")
    assert data.load(str(tmp_path)).classes == ("test", "train")


def test_other_columns_of_a_table_beside_pictures_are_noted(tmp_path):
    put(tmp_path)
    cells = [(*row, "train", str(number)) for number, row in enumerate(rows())]
    table(tmp_path / "labels.csv", cells, "filename,label,split,width")
    notes = [str(note) for note in data.load(str(tmp_path)).notes if note.code == "not-used"]
    assert [note.partition(": ")[2] for note in notes] == ["not used: column split and column width"]


def test_names_of_parts():
    for name in (
        "split",
        "Split_ID",
        "SETS",
        "usage",
        "data/fold",
        "trainIdx",
        "test mask",
        "is-train",
        "in_val",
        "dev",
    ):
        assert splits.says_parts(name)
    for name in ("id", "width", "settings", "dataset", "training_time", "latest", "folder"):
        assert not splits.says_parts(name)


@pytest.mark.parametrize(
    "name",
    [
        "idx_test", "idxTrain", "mask_train", "ids_test", "ind_test", "idx_tr", "tr_idx", "trainval_idx", "test_loc",
        "train_samples", "is_in_train", "cv_fold", "fold_ids", "fold_assignment", "crossval_fold", "split_type",
        "split1", "set_type", "imdb_set", "part", "is_holdout", "oof_fold", "original_split",
    ],
)  # fmt: skip
def test_further_names_of_what_says_parts(name, tmp_path):
    assert splits.says_parts(name)
    path = saved("npz", tmp_path / "a.npz", data=X, labels=Y, **{name: np.arange(30) % 2})
    refused(path, f"{name}: images of several parts in one set")


@pytest.mark.parametrize("name", ["dataset", "datasets", "offset", "id", "ids", "rows", "settings", "trees", "latest"])
def test_names_that_say_something_else(name):
    assert not splits.says_parts(name)


def test_further_words_for_parts():
    words = {"trn": "train", "tst": "test", "holdout": "test", " Evaluation ": "val", "eval": "val", "cat": ""}
    assert {word: splits.part_called(word) for word in words} == words


@pytest.mark.parametrize("values", [np.linspace(0.9, 0.1, 7), np.arange(7) * 100, X[:7], -np.arange(7)])
@pytest.mark.parametrize("name", ["train", "test_set"])
@pytest.mark.parametrize("form", ["npz", "hdf5", "matlab", "matlab 7.3"])
def test_an_array_that_is_called_as_a_part_and_says_of_no_image_that_it_is_of_it(form, name, values, tmp_path):
    """Losses, or images without labels: what is said of them is true."""
    path = saved(form, tmp_path / "a.npz", x=X, y=Y, **{name: values})
    options = {"reading": Reading(transpose=False)} if form.startswith("matlab") else {}
    message = (
        f"{name}: called as a part; expected flags of the 30 images, or their numbers, found shape .*, numbers from"
    )
    said = refused(path, message, **options)
    assert said.endswith(
        "; if it holds images of a part, call it so, as x_train, and their labels y_train; if it says something else, "
        "leave it out"
    )

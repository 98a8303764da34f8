"""Files hold images row by row or column by column, whatever a model was trained on."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

import fnnet
from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data.order import order_of
from fnnet.data.preprocess import Reading
from fnnet.errors import DataError
from tests.conftest import idx_bytes
from tests.tools.samples import csv_file, write

few = with_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DIGITS = data.load("digits").train
X, LABELS = DIGITS.x[:40].reshape(-1, 28, 28), DIGITS.labels[:40]
SETS = ["balanced", "byclass", "bymerge", "digits", "letters", "mnist"]
KINDS = ["idx file", "idx folder", "csv", "mat", "npz", "pictures"]


def stored(path, kind, images, name):
    """Save images, with labels, so that the files have `name`; return what to give as --data."""
    rows = images.reshape(len(images), -1)
    if kind.startswith("idx"):
        for part, array in (("images-idx3", images), ("labels-idx1", LABELS.astype(np.uint8))):
            write(path / f"{name}-train-{part}-ubyte", idx_bytes(np.ascontiguousarray(array)))
        return path if kind == "idx folder" else path / f"{name}-train-images-idx3-ubyte"
    if kind == "csv":
        return csv_file(path / f"{name}-train.csv", np.column_stack([LABELS, rows]).tolist())
    if kind == "mat":
        train = {"images": rows, "labels": LABELS[:, None], "writers": LABELS[:, None]}
        savemat(path / f"{name}.mat", {"dataset": {"train": train}})
        return path / f"{name}.mat"
    if kind == "npz":
        np.savez(path / f"{name}.npz", x=images, y=LABELS)
        return path / f"{name}.npz"
    for number, (image, label) in enumerate(zip(images, LABELS.tolist(), strict=True)):
        (path / name / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path / name / str(label) / f"{number:02}.png")
    return path / name


def sorted_rows(x):
    rows = np.asarray(x).reshape(len(x), -1)
    return rows[np.lexsort(rows.T)].tolist()


@few
@given(
    st.sampled_from(KINDS),
    st.sampled_from([*(f"emnist-{name}" for name in SETS), "EMNIST_letters", "my-emnist", "other"]),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, True, False]),
)
def test_the_user_s_word_decides_then_the_kind_then_the_name_then_the_model(
    tmp_path_factory, kind, name, told, trained
):
    """What is not certain is noted, and the note names the option that decides."""
    path = stored(tmp_path_factory.mktemp("in") / "", kind, X, name)
    its_own = name.startswith("emnist-") and kind != "pictures"
    turned = told if told is not None else False if kind == "pictures" else its_own or bool(trained)
    known = None if trained is None else Preprocessing(transpose=trained)
    reading = Reading(transpose=told)
    if kind == "mat" and told is None and trained is None and not its_own:
        with pytest.raises(DataError, match=r"say --transpose .* or --no-transpose"):
            data.load(path, reading=reading, preprocessing=known)
        return
    found = data.load(path, reading=reading, preprocessing=known)
    assert sorted_rows(found.train.x) == sorted_rows(X.transpose(0, 2, 1) if turned else X)
    assert found.preprocessing.transpose == turned
    codes = {note.code for note in found.notes}
    if told is not None or kind == "pictures":
        assert not codes & {"transposed", "transpose-name"}
        assert ("turned-pictures" in codes) == (kind == "pictures" and bool(told) and trained is None)
    elif its_own:
        assert ("transpose-name" in codes) == (not trained)
    elif trained:
        assert "transposed" in codes
    else:
        assert ("transpose-name" in codes) == ("emnist" in name.lower())  # the name of a folder is a hint
    for note in found.notes:
        assert note.code not in ("transposed", "transpose-name") or "transpose" in note.split("say ")[1]


@few
@given(st.sampled_from(["png", "npy", "idx"]), st.sampled_from([None, True, False]), st.booleans())
def test_images_to_predict(tmp_path_factory, kind, told, trained):
    path = tmp_path_factory.mktemp("in") / f"a.{kind}"
    if kind == "png":
        Image.fromarray(X[0]).save(path)
    else:
        np.save(path, X[:1]) if kind == "npy" else write(path, idx_bytes(X[:1]))
    notes = []
    known = Preprocessing(transpose=trained)
    x = data.read_images(path, (28, 28), known, transpose=told, notify=notes.append)
    turned = told if told is not None else trained and kind != "png"
    assert x.reshape(28, 28).tolist() == (X[0].T if turned else X[0]).tolist()
    assert ("transposed" in [note.code for note in notes]) == (trained and kind != "png" and told is None)


@pytest.mark.parametrize("trained", [True, False])
def test_images_that_are_turned_as_those_of_training_are_warned_of(trained, tmp_path):
    np.save(tmp_path / "a.npy", X[:1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.read_images(tmp_path / "a.npy", (28, 28), Preprocessing(transpose=trained))
    texts = [str(each.message) for each in caught]
    assert any("a.npy: read column by column, as what the model was trained on" in text for text in texts) == trained
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.read_images(tmp_path / "a.npy", (28, 28), Preprocessing(transpose=trained), transpose=trained)


def test_oblong_pictures_are_upright_for_a_model_of_turned_files(tmp_path):
    image = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    Image.fromarray(image).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", image.T[None])
    for path in (tmp_path / "a.png", tmp_path / "a.npy"):
        x = data.read_images(path, (4, 6), Preprocessing(transpose=True), notify=str)
        assert x.tolist() == [image.ravel().tolist()]


@pytest.mark.parametrize("name", ["emnist-lettersworld.csv", "emnist-net", "emnist", "my-emnist-digits.csv"])
def test_names_that_are_not_those_of_its_own_files_decide_nothing(name):
    order = order_of("a", [name], None, None)
    assert (order.transpose, [note.code for note in order.notes]) == (None, ["transpose-name"])
    assert order_of("a", [name], None, False).transpose is False


@pytest.mark.parametrize("name", ["emnist-digits", "emnist"])
def test_the_name_of_a_folder_is_a_hint_alone(name, tmp_path):
    path = tmp_path / name
    path.mkdir()
    found = data.load(stored(path, "idx folder", X, "a"))
    assert np.array_equal(found.train.x, X.reshape(40, -1))
    assert [note.code for note in found.notes] == ["transpose-name"]


def test_the_commands_take_the_user_s_word(run, tmp_path):
    """A model of column-by-column files, and one of others that is trained further on them."""
    np.savez(tmp_path / "columns.npz", x=X.transpose(0, 2, 1), y=LABELS)
    np.savez(tmp_path / "rows.npz", x=X, y=LABELS)
    train = ["train", "--epochs", 20, "--dev", 0, "--quiet"]
    run(*train, "--data", "columns.npz", "--transpose", "--out", "turned")
    run(*train, "--data", "rows.npz", "--out", "upright")
    turned, upright = fnnet.load_model(tmp_path / "turned"), fnnet.load_model(tmp_path / "upright")
    assert turned.params == upright.params
    losses = []
    for model in ("turned", "upright"):
        for name, option in (("columns.npz", "--transpose"), ("rows.npz", "--no-transpose")):
            found = run("evaluate", model, "--data", name, option, "--json").json
            losses.append(found["loss"])
            assert found["notes"] == []
    assert len(set(losses)) == 1
    Image.fromarray(X[3]).save(tmp_path / "a.png")
    answers = [
        run("predict", *arguments, "--json").json["predictions"][0]["probabilities"]
        for arguments in (
            ("turned", "a.png"),
            ("upright", "a.png"),
            ("turned", "a.png", "--no-transpose"),
        )
    ]
    assert answers[0] == answers[1] == answers[2]
    assert (
        run("predict", "upright", "a.png", "--transpose", "--json").json["predictions"][0]["probabilities"]
        != answers[0]
    )
    for model, name, option in (
        ("upright", "columns.npz", "--transpose"),
        ("turned", "rows.npz", "--no-transpose"),
    ):
        further = run(*train, "--start", model, "--data", name, option, "--dev-data", name, "--out", "further")
        assert further.code == 0, further.err
        assert fnnet.load_model(tmp_path / "further").preprocessing.transpose == (option == "--transpose")
        other = run(*train, "--start", "upright", "--data", "rows.npz", "--dev-data", "rows.npz", "--out", "same")
        assert other.code == 0
        assert fnnet.load_model(tmp_path / "further").params == fnnet.load_model(tmp_path / "same").params
    run("evaluate", "turned", "--data", "digits", "--transpose").failed(2, "--transpose: has no effect")


@pytest.mark.parametrize("told", [None, True, False])
def test_tables_that_name_the_row_and_the_column_of_each_pixel(told, tmp_path):
    """They are row by row to a model of turned files, to predict too, unless the user says otherwise."""
    image = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    names = [f"{row}x{column}" for row in range(1, 5) for column in range(1, 7)]
    path = tmp_path / "emnist-digits.csv"
    path.write_text("\n".join([",".join(names), ",".join(map(str, image.ravel().tolist()))]) + "\n")
    notes = []
    shape = (6, 4) if told else (4, 6)
    x = data.read_images(path, shape, Preprocessing(transpose=True), transpose=told, notify=notes.append)
    assert x.tolist() == [(image.T if told else image).ravel().tolist()]
    assert [note.code for note in notes] == ["other-ink"]  # of a shade, which is no ink

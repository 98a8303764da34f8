"""Tables of pictures in the folders of parts, each beside its own pictures."""

import pytest

from fnnet import data
from fnnet.data.folders import is_data_of
from fnnet.errors import DataError
from tests.data.test_listed import CLASSES, N, load, put, refused, right, rows, table

NO = "no table in it names its pictures and their label"


def two_parts(folder, inside="."):
    for part in ("train", "test"):
        put(folder / part, inside)
        table(folder / part / "labels.csv", rows())


def right_test(found):
    pairs = zip(found.test.x[:, 0].tolist(), found.test.labels.tolist(), strict=True)
    return all(found.classes[label] == CLASSES[pixel // 9 % 4] for pixel, label in pairs)


@pytest.mark.parametrize("inside", [".", "images"])
def test_each_part_has_the_labels_of_its_own_table(inside, tmp_path, run):
    two_parts(tmp_path, inside)
    found, codes = load(tmp_path)
    assert right(found)
    assert right_test(found)
    assert len(found.test.x) == N
    assert codes == ["labels-in-table"] * 2
    assert is_data_of(tmp_path, tmp_path / "test" / "labels.csv")
    assert is_data_of(tmp_path, tmp_path / "test" / "img_0.png")
    assert not is_data_of(tmp_path, tmp_path / "train" / "a.txt")
    assert not is_data_of(tmp_path / "train", tmp_path / "test" / "labels.csv")
    run("train", "--data", tmp_path, "--out", tmp_path / "test" / "labels.csv").failed(2, "would replace")
    with pytest.raises(DataError, match="no such column"):
        load(tmp_path, reading=data.Reading(label_column="dx"))


def test_the_classes_of_a_test_set_are_those_of_training(tmp_path):
    two_parts(tmp_path)
    path = table(tmp_path / "test" / "labels.csv", [row for row in rows() if row[1] in ("k10", "dog")], "id,Label")
    found, codes = load(tmp_path)
    assert right(found)
    assert right_test(found)
    assert codes == ["labels-in-table"] * 2 + ["not-used", "classes-missing"]
    table(path, [(name, label + "s") for name, label in rows()])
    refused(tmp_path, "test.labels.csv: column label: classes of test and train differ; .* found cats, dogs, k2s")


@pytest.mark.parametrize("header", ["id", "id,width"])
def test_a_test_set_without_labels_is_not_used(header, tmp_path):
    two_parts(tmp_path)
    table(tmp_path / "test" / "labels.csv", [(f"img_{k}", "28")[: header.count(",") + 1] for k in range(N)], header)
    found, codes = load(tmp_path)
    assert found.test is None
    assert right(found)
    assert codes == ["labels-in-table", "unlabelled-part"]
    assert found.notes[1].endswith(f"test: not used: {NO}")


def test_tables_without_headers_have_the_label_in_their_other_column(tmp_path):
    two_parts(tmp_path)
    for part in ("train", "test"):
        table(tmp_path / part / "labels.csv", rows(), "")
    assert right_test(load(tmp_path)[0])


def test_other_folders_are_noted_and_a_training_set_may_be_alone(tmp_path):
    two_parts(tmp_path)
    (tmp_path / "test").rename(tmp_path / "valid")
    (tmp_path / "more").mkdir()
    found, codes = load(tmp_path)
    assert right(found)
    assert found.test is None
    assert codes == ["labels-in-table", "not-used", "not-used"]
    put(tmp_path, "training")
    refused(tmp_path, "two folders of one part")

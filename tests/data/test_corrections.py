"""Tables of corrected labels and of images to leave out."""

import numpy as np
import pytest
from PIL import Image

from fnnet import data
from fnnet.core.params import freeze
from fnnet.core.state import Examples
from fnnet.data.corrections import corrected, digest_of_labels
from fnnet.data.dataset import Dataset
from fnnet.data.holdout import hold_out
from fnnet.data.origin import Origin, as_json
from fnnet.data.stream import StreamedDataset
from fnnet.errors import DataError, UsageError

CLASSES = ("cat", "dog", "hen")
LABELS = np.arange(12) % 3


def dataset(files=()):
    x = np.arange(48, dtype=np.uint8).reshape(12, 4)
    return Dataset("a", "a", Examples(freeze(x), freeze(LABELS.copy())), None, CLASSES, (2, 2), files=(files, ()))


def table(path, *rows, header="file,index,label,suggested,correction"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_labels_are_corrected_and_images_left_out(tmp_path):
    rows = (",1,dog,cat,cat", ",2,hen,cat,leave-out", ",3,cat,hen,", ",4,dog,hen,dog")
    told = []
    found = corrected(dataset(), table(tmp_path / "s.csv", *rows), told.append)
    assert found.train.labels.tolist() == [0, 0, *LABELS[3:].tolist()]
    assert found.train.x[:, 0].tolist() == [0, 4, *range(12, 48, 4)]
    assert not found.train.x.flags.writeable
    assert [note.code for note in told] == ["corrected"]
    assert str(told[0]).endswith("1 label corrected, 1 image left out")
    assert found.notes[-1] == told[0]
    assert as_json(found.origin, numbered=False) == {"corrections": str(tmp_path / "s.csv")}
    assert as_json(Origin("a.csv", corrections="s.csv"), numbered=False) == {"path": "a.csv", "corrections": "s.csv"}


def test_a_table_as_a_spreadsheet_writes_it(tmp_path):
    path = tmp_path / "s.csv"
    path.write_bytes("\ufeffIndex;Label;Correction\r\n1;dog;hen\r\n".encode())
    assert corrected(dataset(), path).train.labels.tolist()[:3] == [0, 2, 2]


def test_blanks_around_the_names_of_classes_do_not_matter(tmp_path):
    spaced = dataset()._replace(classes=("cat ", " dog", "hen"))
    found = corrected(spaced, table(tmp_path / "s.csv", ",1, dog,cat ,cat ", ",2,hen, dog, dog"))
    assert found.train.labels.tolist() == [0, 0, 1, *LABELS[3:].tolist()]


FILES = tuple(f"scans/{CLASSES[label]}/{number}.png" for number, label in enumerate(LABELS.tolist()))


def test_files_are_left_out_with_their_images(tmp_path):
    path = table(tmp_path / "s.csv", "/elsewhere/dog/1.png,1,dog,cat,leave-out", ",2,hen,cat,cat")
    assert corrected(dataset(FILES), path).files == (FILES[:1] + FILES[2:], ())


@pytest.mark.parametrize(("row", "message"), [
    (",12,cat,dog,dog", r"row 2, column index: corrections of other data; expected 0 to 11, found '12'"),
    (",x,cat,dog,dog", "column index"),
    (",1,cat,dog,dog", "row 2, column label: .* expected dog, as image 1 has, found 'cat'"),
    (",1,dog,cat,cow", "row 2, column correction: not a class; expected cat, dog, hen, leave-out or nothing"),
    ("dog/7.png,1,dog,cat,cat", "row 2, column file: .* expected scans/dog/1.png"),
    (",1,dog", "row 2: cells; expected 5 cells, found 3"),
])  # fmt: skip
def test_a_table_of_other_data_is_refused(row, message, tmp_path):
    with pytest.raises(DataError, match=message):
        corrected(dataset(FILES), table(tmp_path / "s.csv", row))


def test_an_image_twice_and_a_table_that_leaves_none_are_refused(tmp_path):
    with pytest.raises(DataError, match="row 3: image twice"):
        corrected(dataset(), table(tmp_path / "s.csv", ",1,dog,cat,cat", ",1,dog,cat,hen"))
    rows = [f",{number},{CLASSES[label]},cat,leave-out" for number, label in enumerate(LABELS.tolist())]
    with pytest.raises(DataError, match="leaves all images out"):
        corrected(dataset(), table(tmp_path / "s.csv", *rows))


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "index,label\n1,dog\n"])
def test_other_tables_are_refused(content, tmp_path):
    (tmp_path / "s.csv").write_text(content)
    with pytest.raises(DataError, match=r"not a table of corrections; expected columns index, label, correction"):
        corrected(dataset(), tmp_path / "s.csv")


def test_a_stream_is_refused(tmp_path):
    stream = StreamedDataset("a", "a", None, None, None, CLASSES, (2, 2))
    with pytest.raises(UsageError, match="--corrections: are of images in memory"):
        corrected(stream, tmp_path / "s.csv")


def test_pictures_keep_the_names_of_their_files_and_so_does_a_share_held_out(tmp_path):
    for number in range(60):
        folder = tmp_path / "scans" / CLASSES[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 3), 4 * number).save(folder / f"{number:02}.png")
    found = data.load(str(tmp_path / "scans"))
    held = hold_out(found)
    assert len(held.files[1]) == held.origin.held_out == 6
    for images, files in ((found.train, found.files[0]), (held.train, held.files[0]), (held.test, held.files[1])):
        assert len(images.labels) == len(files)
        for x, label, file in zip(images.x, images.labels.tolist(), files, strict=True):
            assert x[0] == 4 * int(file[-6:-4])
            assert file.split("/")[-2] == CLASSES[label]
    assert hold_out(data.load("digits")._replace(test=None)).files == ((), ())


def test_data_in_another_order_are_known_by_the_digest_of_their_labels(tmp_path):
    known, header = dataset(), "index,label,correction,data"
    path = table(tmp_path / "s.csv", f"1,dog,hen,{digest_of_labels(known)}", "2,hen,cat,", header=header)
    assert corrected(known, path).train.labels.tolist()[:3] == [0, 2, 0]
    rows = np.r_[:9, 11, 10, 9]  # those that the table names are where they were
    sorted_ = known._replace(train=Examples(known.train.x[rows], known.train.labels[rows]))
    with pytest.raises(DataError, match=r"row 2, column data: corrections of other data; .*rows in the same order"):
        corrected(sorted_, path)

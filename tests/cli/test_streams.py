"""`data expand`, and what the commands do with the folder that it writes."""

import os
import re
import signal
import sys
import time
from unittest.mock import Mock

import numpy as np
import pytest

from fnnet import data
from fnnet.core.state import Examples
from fnnet.data.convert import convert
from tests.conftest import ROOT, start

DIGITS = data.load("digits")
FEW = DIGITS._replace(
    train=Examples(DIGITS.train.x[:120], DIGITS.train.labels[:120]),
    test=Examples(DIGITS.test.x[:40], DIGITS.test.labels[:40]),
)
QUICKLY = ("--epochs", "2", "--batch-size", "16", "--window", "64")


@pytest.fixture
def few(tmp_path):
    convert(FEW, tmp_path / "few.npz")
    return tmp_path / "few.npz"


@pytest.fixture
def stream(run, few):
    found = run("data", "expand", "--data", few, "--times", "3", "-o", "stream", "--dev", "20", "--shard-images", "70")
    assert (found.code, found.err) == (0, "")
    return few.parent / "stream"


def spoil(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_data_set_is_expanded_and_trained_on(run, stream):
    found = run("data", "expand", "--data", "few.npz", "--times", "3", "-o", "again", "--dev", "20", "--json",
                "--shard-images", "70")  # fmt: skip
    assert found.json["images"] == {"train": 300, "dev": 20, "test": 40}
    assert (found.json["files"], found.json["times"], found.json["folder"]) == (5, 3, "again")
    assert found.json["deformation"]["rotation"] == 12.0
    assert (stream / "train-00002.npy").read_bytes() == (stream.parent / "again" / "train-00002.npy").read_bytes()
    trained = run("train", "--data", stream, *QUICKLY, "--json", "--run-dir", "run")
    assert trained.code == 0, trained.err
    assert trained.json["images"] == {"train": 300, "dev": 20, "test": 40}
    assert (trained.json["files"], trained.json["left_out"], trained.json["window"]) == (5, [], 64)
    assert len(trained.json["epochs"]) == 2
    assert trained.json["epochs"][0]["dev_loss"] > 0
    assert trained.err.splitlines()[0].startswith("data: stream, 300 train, 20 dev, 40 test images")
    tested = run("evaluate", "run", "--data", stream, "--json")
    assert (tested.json["images"], tested.json["accuracy"]) == (40, trained.json["test_accuracy"])
    further = run("train", "--data", stream, *QUICKLY, "--start", "run", "--out", "c.safetensors", "--json")
    assert further.json["epochs"][0]["train_loss"] < trained.json["epochs"][0]["train_loss"]
    resumed = run(
        "train", "--data", stream, *QUICKLY, "--json", "--run-dir", "run", "--resume", "--out", "b.safetensors"
    )
    assert resumed.json["weights_sha256"] == trained.json["weights_sha256"]
    shown = run("data", "expand", "--data", "few.npz", "--times", "1", "-o", "plain", "--no-augment", "--quiet")
    assert shown.out == "saved plain: 120 train, 40 test images, 0 MB, 1 file for training\n"


def test_networks_of_many_seeds_and_committees_train_on_a_stream(run, stream):
    found = run("train", "--data", stream, *QUICKLY, "--init-seeds", "1-3", "--json")
    assert found.code == 0, found.err
    found = run("train", "--data", stream, *QUICKLY, "--members", "2", "--json")
    assert found.code == 0, found.err


def test_damaged_files_are_named_or_left_out(run, stream):
    whole = run("train", "--data", stream, *QUICKLY, "--run-dir", "whole", "--skip-damaged", "--json")
    assert whole.json["left_out"] == []
    spoil(stream / "train-00002.npy")
    found = run("train", "--data", stream, *QUICKLY, "--run-dir", "run")
    found.failed(
        1, "train-00002.npy: bytes 0 to ", "damaged file", "is kept in run", "go on with --resume", "--skip-damaged"
    )
    assert "--run-dir" not in found.err
    found = run("train", "--data", stream, *QUICKLY, "--run-dir", "less", "--skip-damaged", "--json")
    assert found.code == 0, found.err
    assert (found.json["left_out"], found.json["images"]["train"]) == (["train-00002.npy"], 230)
    (note,) = found.json["notes"]
    assert note["code"] == "left-out"
    assert "1 damaged file left out, 70 images: train-00002.npy" in note["note"]
    found = run("train", "--data", stream, *QUICKLY, "--run-dir", "whole", "--resume", "--skip-damaged")
    found.failed(2, "whole: the files that are left out differs from the run", "expected none", "found train-00002.npy")
    found = run("train", "--data", stream, *QUICKLY, "--run-dir", "less", "--resume")
    found.failed(2, "the files that are left out", "expected train-00002.npy", "resume with --skip-damaged")
    os.truncate(stream / "train-00003.npy", 1000)
    found = run("train", "--data", stream, *QUICKLY)
    found.failed(1, "train-00003.npy", "found 1,000", "--skip-damaged")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--optimizer", "lbfgs"), ("--optimizer: reads all images at once",)),
        (("--recipe", "notebook"), ("--batch-size: reads all images at once",)),
        (("--dev", "20"), ("--dev: nothing is held out of a stream", "fnnet data expand --dev N")),
        (("--seeds", "1-3"), ("--seeds: each network would read all images", "--init-seeds")),
        (("--label-column", "last"), ("--label-column: has no effect", "a stream, which says it itself")),
        (("--classes", "10"), ("--classes: has no effect",)),
        (("--no-transpose",), ("--transpose: has no effect",)),
        (("--data-dir", "few.npz"), ("--data-dir: has no effect",)),
        (("--window", "0"), ("--window",)),
    ],
)
def test_what_a_stream_cannot_do_is_refused(arguments, parts, run, stream):
    for path in stream.glob("train-0000?.npy"):
        path.unlink()
    found = run("train", "--data", stream, *arguments)
    assert found.code == 2
    for part in parts:
        assert part in found.err


def test_options_of_streams_are_refused_for_other_data(run, few):
    found = run("train", "--data", few, "--window", "64")
    found.failed(2, "--window: has no effect; expected Parquet, or a folder that data expand wrote", "few.npz")
    found.failed(2, f"fnnet data expand --data {few} --times 1 --no-augment -o DIR")
    run("train", "--data", "nowhere", "--window", "64").failed(1, "no such data set")
    run("train", "--data", few, "--skip-damaged").failed(2, "--skip-damaged: has no effect", "--data DIR")
    run("train", "--skip-damaged").failed(2, "--skip-damaged: has no effect")


def test_a_run_goes_on_with_its_window_and_its_kind_of_data(run, stream):
    few = ("--epochs", "2", "--batch-size", "16", "--dev", "0")
    assert run("train", "--data", stream, *few, "--window", "64", "--run-dir", "run").code == 0
    found = run("train", "--data", stream, *few, "--window", "96", "--run-dir", "run", "--resume")
    found.failed(2, "--window differs from the run", "expected 64, found 96", "resume with --window 64")
    found = run("train", "--data", stream, *few, "--run-dir", "run", "--resume")
    found.failed(2, "--window differs from the run", "found 65536")
    loaded = data.open_stream(stream)
    x, labels = (np.concatenate(each) for each in zip(*loaded.train.batches(100), strict=True))
    convert(FEW._replace(train=Examples(x, labels)), "same.npz")
    found = run("train", "--data", "same.npz", *few, "--run-dir", "run", "--resume")
    found.failed(2, "the data differs from the run", "expected a stream, found images in memory")
    assert run("train", "--data", "same.npz", *few, "--run-dir", "loaded").code == 0
    found = run("train", "--data", stream, *few, "--run-dir", "loaded", "--resume")
    found.failed(2, "the data differs from the run", "expected images in memory, found a stream")


def test_other_commands_say_what_it_is(run, stream):
    found = run("data", "info", "--data", stream)
    assert found.out.splitlines()[0].startswith("data: stream, 300 train, 20 dev, 40 test images")
    assert "28x28 pixels, a stream in 5 files" in found.out
    assert [line for line in found.out.splitlines() if re.match(r" *9 ", line)]
    found = run("data", "info", "--data", stream, "--json").json
    assert found["images"] == {"train": 300, "dev": 20, "test": 40}
    assert sum(found["labels"]["train"]) == 300
    assert (found["files"], found["preprocessing"]["ink"]) == (5, 255)
    for command in (
        ("data", "show"),
        ("lr-find",),
        ("data", "convert", "a.npz"),
        ("data", "expand", "--times", "2", "-o", "b"),
    ):
        run(*command, "--data", stream).failed(
            1, "a stream: 300 images in 5 files", "'fnnet train --data' trains on it"
        )
    run("train", "--data", stream, "--out", stream / "train-00001.npy").failed(2, "--out: would replace another file")


def test_what_expand_cannot_do_is_refused_before_data_are_read(run, few, stream, monkeypatch):
    expand = ("data", "expand", "--data", few, "--times", "2", "-o")
    run(*expand, "stream").failed(1, "stream: would replace what is there", "name another, or remove it")
    run(*expand, few).failed(2, "--output: would replace another file")
    run(*expand, "a", "--no-augment", "--deformation", "rotation=3").failed(2, "--deformation: nothing to deform")
    run(*expand, "a", "--deformation", "fade=2").failed(2, "--deformation: fade out of range")
    run(*expand, "a", "--dev", "120").failed(2, "--dev: dev images out of range")
    run(*expand, "few.npz/a").failed(1, "few.npz/a: cannot be made")
    assert run("data", "expand", "-o", "a").code == 2
    monkeypatch.setattr("fnnet.data.expand.MAX_INDEX", 10**5)
    run(*expand, "a", "--no-augment", "--shard-images", "1").failed(2, "--shard-images: too many files")
    assert not (few.parent / "a").exists()


def test_expand_takes_no_place_that_a_new_folder_cannot_take(run, few, monkeypatch):
    expand = ("data", "expand", "--data", few, "--times", "2", "-o")
    (few.parent / "empty").mkdir()
    (few.parent / "link").symlink_to("empty")
    run(*expand, "link").failed(1, "link: cannot be replaced by a new folder", "found a link", "link/new")
    run(*expand, ".").failed(1, "cannot be replaced by a new folder", f"found the folder {few.parent}", "name a folder")
    run(*expand, "empty/..").failed(1, "cannot be replaced by a new folder")
    monkeypatch.setattr("os.path.ismount", lambda path: str(path) == "empty")
    run(*expand, "empty").failed(1, "empty: cannot be replaced by a new folder", "found where a disk is mounted")
    assert sorted(path.name for path in few.parent.iterdir()) == ["empty", "few.npz", "link"]


def interrupted(command, tmp_path, pattern, wait=0.0):
    """What a command printed on standard error that was interrupted once a file was there."""
    with start([sys.executable, str(ROOT / "cli.py"), *map(str, command)], tmp_path) as process:
        deadline = time.monotonic() + 60
        while not [*tmp_path.glob(pattern)] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [*tmp_path.glob(pattern)], "it has begun"
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    return err


def test_a_signal_leaves_nothing(few, tmp_path):
    expand = ("data", "expand", "--data", few, "--times", "9000", "-o", "big", "--shard-images", "100")
    interrupted(expand, tmp_path, ".big.*/train-0*")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.npz"]


def test_stopped_in_the_midst_of_a_file_a_run_goes_on_with_the_same_bits(run, stream, tmp_path):
    plan = ("--epochs", "40", "--batch-size", "7", "--window", "50", "--augment")
    alone = run("train", "--data", stream, *plan, "--json").json["weights_sha256"]
    kept = ("train", "--data", stream, *plan, "--run-dir", "run")
    assert "go on with --run-dir run --resume" in interrupted(kept, tmp_path, "run/*.safetensors", 0.3)
    assert run(*kept, "--resume", "--json").json["weights_sha256"] == alone


@pytest.fixture
def parquet(tmp_path):
    """Images in row groups of 25, as pieces of a part, and those of a test set."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    (tmp_path / "hub").mkdir()
    for name, part, rows in (("train-00000-of-00002", FEW.train, slice(70)), ("train-00001-of-00002", FEW.train,
            slice(70, None)), ("test-00000-of-00001", FEW.test, slice(None))):  # fmt: skip
        table = pa.table({"image": pa.array([*part.x[rows]]), "label": part.labels[rows]})
        write_table(table, tmp_path / "hub" / f"{name}.parquet", row_group_size=25, write_page_checksum=True)
    return tmp_path / "hub"


def test_parquet_is_trained_on_from_the_disk_if_a_window_is_given(run, parquet):
    found = run("train", "--data", parquet, *QUICKLY, "--json", "--run-dir", "run")
    assert found.json["images"] == {"train": 120, "dev": 0, "test": 40}
    assert (found.json["dataset"], found.json["files"], found.json["window"]) == ("hub", 5, 64)
    first = parquet / "train-00000-of-00002.parquet"
    same = run("train", "--data", first, *QUICKLY, "--json", "--out", "b.safetensors")
    assert same.json["weights_sha256"] == found.json["weights_sha256"]
    in_memory = run("train", "--data", first, *QUICKLY[:4], "--json", "--dev", "0", "--out", "b.safetensors")
    assert "window" not in in_memory.json
    again = run("train", "--data", parquet, *QUICKLY, "--json", "--run-dir", "run", "--resume", "--epochs", "3")
    assert (again.code, len(again.json["epochs"])) == (0, 3)
    started = run("train", "--data", parquet, *QUICKLY, "--json", "--start", "run", "--out", "c.safetensors")
    assert started.code == 0, started.err
    run("train", "--data", parquet, *QUICKLY, "--image-size", "2x2").failed(2, "--image-size: images have another size")


def figures(document):
    """The numbers of the worst mistakes and of the bins, None as -1: their last bits are those of batches."""
    of = document["calibration"]
    bins = [each[key] if each[key] is not None else -1 for each in of["bins"] for key in ("images", "accuracy")]
    mistakes = [each[key] for each in document["mistakes"] for key in ("index", "probability", "loss")]
    return [of["expected_calibration_error"], *bins, *mistakes]


def test_large_parquet_is_evaluated_piece_by_piece(run, parquet, tmp_path, monkeypatch):
    """As if it were read at once: classes, options that have no effect, those that need all images."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    assert run("train", "--data", parquet / "train-00000-of-00002.parquet", "--epochs", "2").code == 0
    some = FEW.train.labels < 4
    table = pa.table({"image": pa.array([*FEW.train.x[some]]), "label": [f"{3 - k}" for k in FEW.train.labels[some]]})
    write_table(table, tmp_path / "some.parquet", row_group_size=9)
    cases = (
        (parquet / "train-00000-of-00002.parquet",), (parquet / "test-00000-of-00001.parquet",),
        (tmp_path / "some.parquet",),
        (tmp_path / "some.parquet", "--classes", "7"), (tmp_path / "some.parquet", "--class-names", "a,b,c,d"),
        (tmp_path / "some.parquet", "--precision", "int8"),
    )  # fmt: skip
    read = [run("evaluate", "model.safetensors", "--json", "--data", *case) for case in cases]
    monkeypatch.setattr("fnnet.data.parquet_folder.LARGE", 0)
    opened = Mock(wraps=data.open_parquet)
    monkeypatch.setattr(data, "open_parquet", opened)
    for case, expected in zip(cases, read, strict=True):
        found = run("evaluate", "model.safetensors", "--json", "--data", *case)
        assert (found.code, found.err) == (expected.code, expected.err)
        if expected.code:
            continue
        assert found.json["loss"] == pytest.approx(expected.json["loss"], rel=1e-6)
        assert figures(found.json) == pytest.approx(figures(expected.json), rel=1e-5)
        measured = dict.fromkeys(("loss", "calibration", "mistakes"))
        assert {**found.json, **measured} == {**expected.json, **measured}
    assert [each.code for each in read] == [0, 0, 0, 0, 1, 0]
    assert opened.call_count == 5


def test_a_folder_of_parquet_is_read_by_all_commands(run, parquet, monkeypatch):
    """Small or large, into memory or not."""
    trained = run("train", "--data", parquet, *QUICKLY, "--json")
    in_memory = run("train", "--data", parquet, "--epochs", "2", "--dev", "0", "--json", "--out", "b.safetensors")
    assert in_memory.json["images"] == trained.json["images"]
    assert in_memory.json["dataset"] == "hub"
    for large in (2**25, 0):
        monkeypatch.setattr("fnnet.data.parquet_folder.LARGE", large)
        for more in ((), ("--precision", "int8"), ("--plot", "a.png")):
            found = run("evaluate", "model.safetensors", "--data", parquet, "--json", *more)
            assert (found.json["dataset"], found.json["images"]) == ("hub", 40)
            assert more or found.json["accuracy"] == trained.json["test_accuracy"]
    assert run("data", "info", "--data", parquet, "--json").json["images"] == {"train": 120, "test": 40}


def test_a_folder_with_other_data_is_none_of_parquet(run, parquet, monkeypatch):
    convert(FEW, "idx", "idx")
    assert run("train", "--data", "idx", "--epochs", "1").code == 0
    for path in parquet.iterdir():
        path.rename(f"idx/{path.name}")
    monkeypatch.setattr("fnnet.data.parquet_folder.LARGE", 0)
    opened = Mock()
    monkeypatch.setattr(data, "open_parquet", opened)
    found = run("evaluate", "model.safetensors", "--data", "idx", "--json")
    assert found.json["images"] == 40
    assert not opened.called
    found = run("train", "--data", "idx", "--window", "64")
    found.failed(
        2, "--window: has no effect", "found --data idx, which holds idx/t10k-images-idx3-ubyte beside Parquet"
    )


def test_what_only_all_images_at_once_show_is_evaluated_so(run, parquet, tmp_path, monkeypatch):
    """A column of labels that the values show, and a range that the first images do not."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    assert run("train", "--data", parquet, *QUICKLY).code == 0
    x, labels = FEW.train
    mixed = (x > 99).astype(float)
    mixed[30:] = x[30:] / 255
    for name, columns in (
        ("a", {f"{at}": column for at, column in enumerate([labels, *x.T])}),
        ("b", {"label": labels, **{f"pixel{at}": column for at, column in enumerate(mixed.T)}}),
    ):
        write_table(pa.table(columns), tmp_path / f"{name}.parquet", row_group_size=25)
    evaluate = ("evaluate", "model.safetensors", "--data")
    expected = [run(*evaluate, f"{name}.parquet", "--json") for name in "ab"]
    monkeypatch.setattr("fnnet.data.parquet_folder.LARGE", 0)
    monkeypatch.setattr("fnnet.data.preprocess.spread", lambda x, count=5: x[20:25] if len(x) > 25 else x[:5])
    for name, each in zip("ab", expected, strict=True):
        found = run(*evaluate, f"{name}.parquet", "--json")
        assert (found.code, found.err) == (0, each.err)
        assert found.json == each.json
    found = run("train", "--data", "b.parquet", *QUICKLY, "--run-dir", "run", "--out", "b.safetensors")
    found.failed(1, "b.parquet: row group", "of another kind", "is kept in run; leave --window out to read them")
    assert "put the file back" not in found.err


def test_a_damaged_row_group_is_named_or_left_out(run, parquet):
    path = parquet / "train-00000-of-00002.parquet"
    content = bytearray(path.read_bytes())
    content[300:400] = bytes(100)
    path.write_bytes(content)
    run("train", "--data", parquet, *QUICKLY).failed(1, "train-00000-of-00002.parquet: row group 1: damaged")
    found = run("train", "--data", parquet, *QUICKLY, "--skip-damaged", "--json")
    assert found.json["left_out"] == ["train-00000-of-00002.parquet row group 1"]
    assert found.json["images"]["train"] == 95
    run("train", "--data", path, "--skip-damaged").failed(2, "--skip-damaged: has no effect", "Parquet with --window")


def test_files_that_are_read_are_not_written_over(run, parquet):
    first, second = (parquet / f"train-0000{number}-of-00002.parquet" for number in range(2))
    before = second.read_bytes()
    for given in (parquet, first):
        for out in (second, parquet / "test-00000-of-00001.parquet"):
            found = run("train", "--data", given, *QUICKLY, "--out", out)
            found.failed(2, "--out: would replace another file")
    assert second.read_bytes() == before
    assert run("train", "--data", parquet, *QUICKLY, "--out", parquet / "model.safetensors").code == 0
    second.unlink()
    run("train", "--data", first, *QUICKLY, "--out", second).failed(1, "a piece is missing")


def test_a_stream_is_evaluated_on_its_test_set_or_piece_by_piece(run, few):
    assert run("train", "--data", few, "--epochs", "2", "--dev", "0").code == 0
    for name, test in (("tested", FEW.test), ("whole", None)):
        convert(FEW._replace(test=test), few.parent / f"{name}.npz")
        found = run("data", "expand", "--data", f"{name}.npz", "--times", "1", "--no-augment", "-o", name,
                    "--shard-images", "50")  # fmt: skip
        assert found.code == 0
        expected = run("evaluate", "model.safetensors", "--data", f"{name}.npz", "--json").json
        found = run("evaluate", "model.safetensors", "--data", name, "--json").json
        assert found["images"] == (40 if test else 120)
        for key in ("images", "accuracy", "classes", "confusion", "notes"):
            assert found[key] == expected[key]
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    found = run("evaluate", "model.safetensors", "--data", "whole")
    assert (found.code, "120 labelled images" in found.out, "accuracy" in found.out) == (0, True, True)
    for option in (("--precision", "int8"), ("--plot", "a.png")):
        found = run("evaluate", "model.safetensors", "--data", "whole", *option)
        found.failed(2, f"{option[0]}: reads all images at once")
    (few.parent / "other.npz").unlink(missing_ok=True)
    np.savez(few.parent / "other.npz", x_train=np.zeros((20, 5, 5), np.uint8), y_train=np.arange(20) % 10)
    assert run("data", "expand", "--data", "other.npz", "--times", "1", "--no-augment", "-o", "other").code == 0
    run("evaluate", "model.safetensors", "--data", "other").failed(1, "does not fit other")

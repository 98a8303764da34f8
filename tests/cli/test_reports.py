"""`evaluate` with intervals, mistakes and calibration, `report`, `suspects`, and `train --corrections`."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fnnet
from fnnet import data
from fnnet.core.judging import wilson
from tests.conftest import ROOT

FEW = ("--epochs", 3, "--batch-size", 10, "--dev", 10)
DIGITS = ("--data", "digits", "--hidden", "16")
EVALUATE = (
    "model", "dataset", "images", "jit", "precision", "accuracy_lost", "loss", "accuracy", "interval", "classes",
    "confusion", "mistakes", "calibration", "plot", "confusion_plot", "notes",
)  # fmt: skip
REPORT = (
    "model", "run", "dataset", "images", "loss", "accuracy", "interval", "expected_calibration_error", "out", "notes",
)  # fmt: skip
SUSPECTS = (
    "dataset", "images", "recipe", "folds", "jit", "seed", "accuracy", "suspects", "out", "sheet", "notes",
)  # fmt: skip


@pytest.fixture
def trained(run):
    """The run of a network that is not very good, in `runs/a`."""
    result = run("train", *DIGITS, "--epochs", 2, "--run-dir", "runs/a", "--json")
    assert result.code == 0, result.err
    return result.json


def shapes(folder, per_class=20):
    """Pictures of two classes, of which the first of each is in the other's folder."""
    for number in range(2 * per_class):
        kind = ("down", "flat")[number % 2]
        image = np.zeros((8, 8), np.uint8)
        image[1:7, 1 + number % 5 : 3 + number % 5] = 255
        wrong = number < 2
        where = folder / (("flat", "down")[number % 2] if wrong else kind)
        where.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image if kind == "down" else image.T).save(where / f"{number:02}.png")
    return folder


# evaluate


def test_the_document_has_intervals_mistakes_and_calibration(trained, run):
    found = run("evaluate", "runs/a", "--worst", 4, "--json").json
    assert tuple(found) == EVALUATE
    correct = round(found["accuracy"] * 360)
    assert found["interval"] == [*wilson(correct, 360)]
    assert [row["recall_interval"] for row in found["classes"]] == [
        [*wilson(row[number], sum(row))] for number, row in enumerate(found["confusion"])
    ]
    losses = [each["loss"] for each in found["mistakes"]]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 4
    labels = data.load("digits").test.labels
    assert all(labels[each["index"]] == int(each["label"]) != int(each["predicted"]) for each in found["mistakes"])
    assert sum(each["images"] for each in found["calibration"]["bins"]) == 360
    assert run("evaluate", "runs/a", "--worst", 0, "--json").json["mistakes"] == []


def test_what_is_printed(trained, run):
    found = run("evaluate", "runs/a", "--confusion", "c.svg").out.splitlines()
    matrix = run("evaluate", "runs/a", "--json").json["confusion"]
    at = next(number for number, line in enumerate(found) if line.startswith("confusion: "))
    shown = [[int(cell) if cell.isdigit() else 0 for cell in line.split()[1:]] for line in found[at + 2 : at + 12]]
    assert shown == matrix
    assert any(line.startswith("worst mistakes") for line in found)
    assert re.fullmatch(r"accuracy .*%, loss .* on 360 images; 95% interval [\d.]+% to [\d.]+%", found[-2])
    assert found[-1] == "saved c.svg"
    assert "Predicted" not in found
    assert "<svg" in Path("c.svg").read_text()
    assert len(run("evaluate", "runs/a", "-q").out.splitlines()) == 1


def test_mistakes_are_named_by_their_files(run, tmp_path):
    shapes(tmp_path / "shapes")
    assert run("train", "--data", "shapes", "--epochs", 30, "--batch-size", 4, "--test-data", "none").code == 0
    found = run("evaluate", "model.safetensors", "--json").json
    names = {each["file"] for each in found["mistakes"][:2]}
    assert names == {os.path.join("shapes", "flat", "00.png"), os.path.join("shapes", "down", "01.png")}
    assert "flat/00.png" in run("evaluate", "model.safetensors").out


def test_a_stream_has_the_mistakes_and_bins_of_the_same_images_at_once(run, tmp_path):
    draw = np.random.default_rng(0)
    x, labels = draw.integers(0, 256, (150, 6, 6)).astype(np.uint8), np.arange(150) % 3
    np.savez(tmp_path / "a.npz", x_train=x, y_train=labels)
    assert run("train", "--data", "a.npz", "--classes", 3, *FEW, "--test-data", "none").code == 0
    made = run("data", "expand", "--data", "a.npz", "--classes", 3, "--times", 1, "--no-augment", "-o", "s",
               "--shard-images", 40)  # fmt: skip
    assert made.code == 0, made.err
    whole, stream = (run("evaluate", "model.safetensors", "--data", name, "--json").json for name in ("a.npz", "s"))
    assert [each["loss"] for each in stream["mistakes"]] == pytest.approx([each["loss"] for each in whole["mistakes"]])
    assert {each["file"] for each in stream["mistakes"]} == {None}
    assert [each["images"] for each in stream["calibration"]["bins"]] == [
        each["images"] for each in whole["calibration"]["bins"]
    ]
    assert run("report", "model.safetensors", "--data", "s").code == 0


# report


def test_a_report_has_what_evaluate_finds_and_all_that_is_known(trained, run):
    found = run("report", "runs/a", "--json").json
    assert tuple(found) == REPORT
    known, page = run("evaluate", "runs/a", "--json").json, Path("report.html").read_text()
    for key in ("accuracy", "loss", "interval", "images"):
        assert found[key] == known[key]
    for words in (f"{known['accuracy']:.2%}", trained["weights_sha256"], "--hidden 16", "numpy ", "train", "784-16-10"):
        assert words in page
    assert "<script" not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert page.count('class="picture"') == min(24, 360 - round(known["accuracy"] * 360))
    assert page.count('class="unit"') == 16


def test_a_report_on_a_model_alone_has_no_curves(run, idx_folder):
    assert run("train", "--data", idx_folder, *FEW).code == 0
    found = run("report", "model.safetensors", "-o", "own.html", "--json").json
    assert (found["run"], found["out"]) == (None, "own.html")
    page = Path("own.html").read_text()
    assert "no run directory" in page
    assert "<polyline" not in page


def test_a_report_on_a_committee_and_on_a_network_without_hidden_units(run):
    for name, options in (("c", ("--members", 2)), ("d", ("--hidden", ""))):
        made = run("train", "--data", "digits", "--epochs", 2, *options, "--run-dir", name)
        assert made.code == 0, made.err
        assert run("report", name, "-o", f"{name}.html").code == 0
    assert Path("c.html").read_text().count("<polyline") == 8
    assert ">Weights</h2>" in Path("d.html").read_text()


def test_a_page_of_the_default_name_is_replaced_with_a_note_and_no_other_file(trained, run, tmp_path):
    assert run("report", "runs/a").code == 0
    again = run("report", "runs/a")
    assert "report.html, an earlier page, will be replaced" in again.err
    assert run("report", "runs/a", "-q").out.splitlines()[0] == "replaced report.html"
    (tmp_path / "report.html").write_text("<p>mine</p>")
    run("report", "runs/a").failed(2, "--out: would replace a file", "a page of fnnet", "--out FILE")
    assert (tmp_path / "report.html").read_text() == "<p>mine</p>"
    run("report", "runs/a", "-o", "report.pdf").failed(2, "--out: the name says another format")


def test_a_report_of_what_is_no_finished_run(run, tmp_path):
    (tmp_path / "empty").mkdir()
    run("report", "empty").failed(1, "empty: holds no model")
    run("report", "gone").failed(1, "gone")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "log.jsonl").write_text(json.dumps({"event": "start"}) + "\n")
    assert run("report", "begun").code == 1
    assert len(run("report", "begun").err.splitlines()) == 1


# suspects and corrections


def test_suspects_are_the_pictures_in_wrong_folders_and_training_takes_the_table(run, tmp_path):
    shapes(tmp_path / "shapes")
    command = ("suspects", "--data", "shapes", "--epochs", 60, "--batch-size", 4, "--dev", 0, "--folds", 4)
    found = run(*command, "--sheet", "--json").json
    assert tuple(found) == SUSPECTS
    wrong = {os.path.join("shapes", "flat", "00.png"): "down", os.path.join("shapes", "down", "01.png"): "flat"}
    assert {each["file"]: each["suggested"] for each in found["suspects"]} == wrong
    with open("suspects.csv", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert {row["file"]: row["correction"] for row in rows} == dict.fromkeys(wrong, "leave-out")
    with Image.open("suspects.png") as sheet:
        assert sheet.width > 100
    run(*command).failed(2, "--out: would replace a file", "no suspects.csv", "--out FILE")
    made = run("train", "--data", "shapes", "--corrections", "suspects.csv", *FEW[:4], "--dev", 0, "--json").json
    assert made["images"]["train"] + made["images"]["test"] == 38
    assert made["options"]["corrections"] == "suspects.csv"
    assert "corrected" in {note["code"] for note in made["notes"]}
    again = run("evaluate", "model.safetensors", "--json").json
    assert again["accuracy"] == made["test_accuracy"]
    assert again["images"] == made["images"]["test"]
    assert [note["code"] for note in again["notes"]] == []
    assert "labels corrected by suspects.csv" in run("info", "model.safetensors").out.replace("\n", " ")
    os.rename("suspects.csv", "kept.csv")
    run("evaluate", "model.safetensors").failed(
        1, "the table of its corrections has gone", "suspects.csv", "put it back"
    )
    os.rename("kept.csv", "suspects.csv")
    shown = run(*command, "--correction", "suggested", "--out", "s.csv").out.splitlines()
    assert shown[-2].startswith("2 suspects of 40 images")
    made = run("train", "--data", "shapes", "--corrections", "s.csv", *FEW[:4], "--test-data", "none", "--json").json
    assert sum(made["images"].values()) == 40


def test_what_suspects_and_corrections_refuse(run, tmp_path):
    run("suspects", *DIGITS, "--out", "s.txt", "--folds", 1).failed(2, "--folds")
    run("suspects", *DIGITS, "--out", "s.json").failed(2, "--out: the name says another format")
    (tmp_path / "s.csv").write_text("index,label,correction\n0,no,1\n")
    run("train", *DIGITS, "--corrections", "s.csv").failed(1, "s.csv: row 2, column label: corrections of other data")
    run("train", *DIGITS, "--corrections", "s.csv", "--out", "s.csv").failed(2, "--out: would replace another file")
    run("train", *DIGITS, "--corrections", "gone.csv").failed(1, "gone.csv")
    (tmp_path / "s.csv").write_text("index,label,correction\n0,0,leave-out\n")
    run("train", *DIGITS, "--corrections", "s.csv", "--epochs", 1, "--hidden", 4)
    os.remove("s.csv")
    assert run("evaluate", "model.safetensors", "--json").json["images"] == 360  # a test set needs no corrections


# The document


def test_the_examples_of_the_document_run(run, tmp_path):
    text = (ROOT / "docs" / "reports.md").read_text()
    (commands,) = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for line in commands.splitlines():
        python, program, *words = line.split()
        assert (python, program) == ("python", "cli.py")
        result = run(*words)
        assert result.code == 0, (line, result.err)
    assert {"confusion.png", "report.html", "suspects.csv", "suspects.png"} <= {*os.listdir()}
    (program,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_document_has_all_keys():
    text = (ROOT / "docs" / "reports.md").read_text().partition("## JSON")[2]
    for key in {*EVALUATE, *REPORT, *SUSPECTS}:
        assert f"`{key}`" in text, key


def test_what_python_says_is_what_the_command_says(trained, run):
    found = run("evaluate", "runs/a", "--worst", 10, "--json").json
    python = fnnet.evaluate(fnnet.load_model("runs/a/model.safetensors"), "digits")
    assert [*python.interval] == found["interval"]
    assert python.calibration.error == found["calibration"]["expected_calibration_error"]
    assert [each.row for each in python.mistakes] == [each["index"] for each in found["mistakes"]]


def test_corrections_are_checked_before_the_data_are_read(run, tmp_path, monkeypatch):
    monkeypatch.setattr("fnnet.data.load", None)
    run("train", "--data", "mnist", "--corrections", "gone.csv").failed(1, "gone.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    run("train", "--data", "mnist", "--corrections", "other.csv").failed(1, "not a table of corrections")

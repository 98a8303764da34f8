"""Tables on the command line, as docs/tables.md has it: its lines run here, on scikit-learn's own data sets."""

import doctest
import json
import re
import shlex

import numpy as np
import pandas
import pytest
from sklearn import datasets
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fnnet
from fnnet.data import parquet_folder
from tests.conftest import ROOT

PAGE = (ROOT / "docs/tables.md").read_text(encoding="utf-8")
WINE = datasets.load_wine()
CULTIVARS = [f"cultivar {number + 1}" for number in WINE.target]
IMAGES = ["--augment", "--pixel-max=auto", "--ink=dark", "--transpose", "--no-transpose", "--size=4", "--first-index=1"]


def lines_of(names, x, labels):
    rows = [[*map(repr, row), str(label)] for row, label in zip(x.tolist(), labels, strict=True)]
    return [",".join(map(str, cells)) for cells in [names, *rows]]


def write(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def wine(tmp_path):
    """The files that the page speaks of: a fifth of the rows is the test."""
    names, x = [*WINE.feature_names, "cultivar"], WINE.data
    part = np.arange(len(x)) % 5 == 0
    for name, rows in (("wine.csv", ~part), ("test.csv", part)):
        write(tmp_path / name, lines_of(names, x[rows], np.array(CULTIVARS)[rows]))
    first, *rest = lines_of(names, x[:9], CULTIVARS[:9])
    gap = [*rest[:1], re.sub(",[^,]*", ",", rest[1], count=1), *rest[2:]]
    write(tmp_path / "missing.csv", [first, *gap])
    coloured = [re.sub(",(?=cultivar)", ",red,", row) for row in rest]
    write(tmp_path / "text.csv", [first.replace(",cultivar", ",colour,class"), *coloured])
    other = [",".join(row.split(",")[:10] + row.split(",")[11:]) for row in (first, *rest)]
    write(tmp_path / "other.csv", other)
    return tmp_path / "wine.csv"


def test_the_lines_of_the_page(wine, run):
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for command, shown in re.findall(r"^\$ fnnet (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            found = run(*shlex.split(command))
            for line in shown.splitlines():
                assert line in found.out + found.err, command
            assert found.code == (1 if "error: " in shown and "--recipe" not in command else found.code)
    assert "$ fnnet predict" in PAGE


@pytest.mark.usefixtures("wine", "run")
def test_the_python_of_the_page():
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    test = doctest.DocTestParser().get_doctest(block, {}, "tables.md", None, 0)
    assert doctest.DocTestRunner().run(test) == (0, len(test.examples))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("load", [datasets.load_wine, datasets.load_breast_cancer])
def test_accuracy_is_that_of_sklearn(load, run, tmp_path):
    """10 hidden units by Adam for as many steps: within 2 rows in 100 on a third held out."""
    x, labels = load(return_X_y=True)
    part = np.arange(len(x)) % 3 == 0
    names = [*load().feature_names, "target"]
    train, test = (
        write(tmp_path / f"{name}.csv", lines_of(names, x[rows], labels[rows]))
        for name, rows in (("train", ~part), ("held", part))
    )
    options = "--epochs 60 --optimizer adam --learning-rate 0.01 --batch-size 32 --dev 0 --test-data none --quiet"
    assert run("train", "--data", train, *shlex.split(options)).code == 0
    ours = run("evaluate", "model.safetensors", "--data", test, "--json").json["accuracy"]
    theirs = MLPClassifier(10, learning_rate_init=0.01, batch_size=32, max_iter=60, random_state=0, tol=0)
    theirs = make_pipeline(StandardScaler(), theirs).fit(x[~part], labels[~part]).score(x[part], labels[part])
    assert ours >= max(theirs, 0.95) - 0.02


@pytest.mark.parametrize("option", IMAGES)
def test_options_of_images_are_refused_by_name(option, wine, run):
    found = run("train", "--data", wine, option)
    name = "--deformation" if option == "--augment" else option.partition("=")[0]
    found.failed(2 if option != "--first-index=1" else found.code, name, "images")


@pytest.mark.parametrize(
    "command",
    [
        ["data", "show", "--data"], ["data", "convert", "out.npz", "--data"], ["data", "convert", "out.csv", "--data"],
        ["data", "expand", "--times", "2", "--output", "out", "--data"], ["trace", "--data"],
    ],
    ids=lambda command: " ".join(command[:2]),
)  # fmt: skip
def test_commands_for_images_refuse_a_table(command, wine, run, tmp_path):
    run(*command, wine).failed(2, "table")
    assert not [*tmp_path.glob("out*")]


@pytest.fixture
def trained(wine, run):
    assert run("train", "--data", wine, "--epochs", 40, "--quiet").code == 0
    return wine.with_name("model.safetensors")


def test_predict_and_evaluate_find_columns_by_name(trained, run, tmp_path):
    """In another order, without the labels, with ids beside them: the same answers."""
    x, names = WINE.data[:30], WINE.feature_names
    order = np.random.default_rng(0).permutation(len(names))
    plain = write(tmp_path / "plain.csv", lines_of([*names, "cultivar"], x, CULTIVARS[:30]))
    shuffled = [names[at] for at in order]
    bare = [line.rpartition(",")[0] for line in lines_of([*shuffled, ""], x[:, order], x[:, 0])]
    bare = write(tmp_path / "bare.csv", bare)
    ids = [f"{'id' if not n else 900 + n},{line}" for n, line in enumerate(plain.read_text().splitlines())]
    ids = write(tmp_path / "ids.csv", ids)
    found = [run("predict", trained, path, "--json").json for path in (plain, bare, ids)]
    labels = [[each["label"] for each in document["predictions"]] for document in found]
    assert labels[0] == labels[1] == labels[2]
    assert [note["code"] for note in found[1]["notes"]] == ["columns-ordered"]
    assert run("predict", trained, ids, "-o", "kaggle.csv", "--kaggle").code == 0
    assert (tmp_path / "kaggle.csv").read_text().splitlines()[1] == f"901,{labels[0][0]}"
    pandas.read_csv(ids).to_parquet(tmp_path / "ids.parquet")
    assert run("predict", trained, "ids.parquet", "-o", "again.csv", "--kaggle").code == 0
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "kaggle.csv").read_text()
    right = run("evaluate", trained, "--data", plain, "--json").json["accuracy"]
    assert right == pytest.approx(np.mean([a == b for a, b in zip(labels[0], CULTIVARS, strict=False)]))
    extra = [line + (",new" if not n else ",1") for n, line in enumerate(bare.read_text().splitlines())]
    run("predict", trained, write(tmp_path / "extra.csv", extra)).failed(1, "columns differ", "with new", "13 columns")


def test_large_parquet_is_read_as_csv(trained, run, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_folder, "LARGE", 1)
    pandas.read_csv(tmp_path / "test.csv").to_parquet(tmp_path / "test.parquet", index=False, row_group_size=10)
    found = [run("evaluate", trained, "--data", f"test.{form}", "--json").json for form in ("csv", "parquet")]
    assert found[0]["accuracy"] == found[1]["accuracy"] > 0.9
    for form in ("csv", "parquet"):
        assert run("predict", trained, f"test.{form}", "-o", f"{form}.csv").code == 0
    one, other = (pandas.read_csv(tmp_path / f"{form}.csv")["label"].tolist() for form in ("csv", "parquet"))
    assert one == other
    run("train", "--data", "test.parquet", "--window", 64, "--table").failed(1, "a table, piece by piece", "--window")


def test_a_sweep_leaves_out_what_the_best_is_tested_on(wine, run):
    pytest.importorskip("optuna")
    options = ["--data", wine, "--epochs", 3, "--try", "learning-rate=0.1 0.3", "--trials", 2]
    found = run("sweep", *options, "--json").json
    done = run("train", *options[:4], "--json").json["images"]
    assert (found["images"] | {"test": 15}) == done
    for trial in found["trials"]:
        history = fnnet.fit(wine, epochs=3, learning_rate=float(trial["options"]["learning_rate"])).history
        assert trial["dev_accuracy"] == history[-1].dev_accuracy


def test_columns_without_names_are_taken_in_their_order(trained, run, tmp_path):
    rows = [",".join(map(repr, row)) for row in WINE.data[:20].tolist()]
    found = run("predict", trained, write(tmp_path / "rows.csv", rows), "--json").json
    assert [note["code"] for note in found["notes"]] == ["columns-unnamed"]
    assert {each["label"] for each in found["predictions"]} == {"cultivar 1"}
    rows = [row.rpartition(",")[0] for row in rows]
    run("predict", trained, write(tmp_path / "less.csv", rows)).failed(1, "13 columns", "found 12 columns")


def test_a_model_of_a_table_takes_no_image_and_the_other_way_round(trained, run, model_of_images, tmp_path):
    run("predict", trained, ROOT / "docs/two.png").failed(1, "images, not a table", "13 columns")
    run("evaluate", trained, "--data", "digits").failed(1, "does not fit digits", "13 columns")
    run("predict", model_of_images, tmp_path / "wine.csv").failed(1, "say --image")
    run("evaluate", trained, "--data", tmp_path / "test.csv", "--plot", "a.png").failed(2, "--plot", "a table")


@pytest.fixture
def model_of_images(tmp_path):
    fnnet.save_model(tmp_path / "images.safetensors", fnnet.Model(fnnet.init((784, 10))))
    return tmp_path / "images.safetensors"


def test_what_the_lines_call_the_rows(wine, trained, run):
    assert "142 train rows of 13 columns" in run("data", "info", "--data", wine).out
    found = run("data", "info", "--data", wine, "--json").json
    assert found["preprocessing"]["scaling"]["target"] == "cultivar"
    assert "mean_pixel" not in found
    assert json.dumps(found["preprocessing"]["scaling"]["means"][0])[:4] == "13.0"
    text = run("evaluate", trained, "--data", wine.with_name("test.csv")).out
    assert " on 36 rows" in text
    assert "image" not in text
    assert "image" not in run("predict", trained, wine.with_name("test.csv")).out


def test_a_run_is_resumed_and_a_model_trained_further(wine, trained, run):
    done = run("train", "--data", wine, "--epochs", 3, "--run-dir", "run", "--json").json
    more = run("train", "--data", wine, "--epochs", 5, "--run-dir", "run", "--resume", "--json").json
    whole = run("train", "--data", wine, "--epochs", 5, "--json").json
    assert done["weights_sha256"] != more["weights_sha256"] == whole["weights_sha256"]
    changed = write(wine.with_name("changed.csv"), wine.read_text().replace("14.", "15.").splitlines())
    run("train", "--data", changed, "--epochs", 5, "--run-dir", "run", "--resume").failed(2, "the data differs")
    before = fnnet.load_model(trained).preprocessing
    assert run("train", "--data", changed, "--epochs", 2, "--start", trained, "--out", "on", "-q").code == 0
    assert fnnet.load_model(wine.with_name("on")).preprocessing == before


def test_a_model_of_a_table_finds_its_own_data_and_is_described(wine, run):
    """A tenth of each class was held out to test on: `evaluate` alone measures these rows, standardised to the bit."""
    done = run("train", "--data", wine, "--epochs", 9, "--run-dir", "run", "--json").json
    assert [note["code"] for note in done["notes"] if note["code"] != "label-column"] == ["held-out"]
    assert "15 of 142 rows" in str(done["notes"])
    found = run("evaluate", "run", "--json").json
    assert (found["images"], found["accuracy"]) == (15, done["test_accuracy"])
    assert {note["code"] for note in found["notes"]} <= {"label-column"}
    for shown in (run("info", "run").out, run("info", run("info", "run", "--json").json["model"]).out):
        assert "13 columns; 3 classes: cultivar 1" in shown
        assert "standardised by the training rows, classes in cultivar: alcohol, malic_acid" in " ".join(shown.split())
        assert "pixels" not in shown
    assert run("info", "run", "--json").json["preprocessing"]["scaling"]["target"] == "cultivar"


def test_a_class_without_rows_has_no_shares(trained, wine, run, tmp_path):
    first, *rest = wine.read_text().splitlines()
    some = write(tmp_path / "some.csv", [first, *(row for row in rest if not row.endswith(CULTIVARS[0]))])
    found = run("evaluate", trained, "--data", some)
    assert "1 class of 3 without labelled rows" in found.err
    (row,) = re.findall(rf"^ *{CULTIVARS[0]} +0 .*$", found.out, re.MULTILINE)
    assert "0.00%" not in row.replace("0.00%", "", 1)


def test_a_file_of_a_header_alone_is_said_to_have_no_rows(wine, run, tmp_path):
    write(tmp_path / "header.csv", [wine.read_text().splitlines()[0]])
    for command in (["train"], ["train", "--label-column", "cultivar"]):
        found = run(*command, "--data", tmp_path / "header.csv")
        found.failed(1)
        assert "fetch" not in found.err


def test_a_run_of_a_table_that_is_resumed_without_its_data_speaks_of_columns(wine, run):
    run("train", "--data", wine, "--epochs", "1", "--run-dir", "run", "-q")
    run("train", "--run-dir", "run", "--resume").failed(2, "expected 13 pixels or columns, found 784", "--data")

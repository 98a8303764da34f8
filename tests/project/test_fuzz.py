"""The corpus of the fuzzer, replayed without it, and the contract shown to catch what breaks it."""

import importlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

from fnnet.data import child
from fnnet.errors import DataError, UsageError
from tests.campaigns.fuzz import __main__ as command
from tests.campaigns.fuzz import contract, scout
from tests.campaigns.fuzz.contract import BreachError, check
from tests.campaigns.fuzz.seeds import CORPUS, SEEDS
from tests.campaigns.fuzz.targets import TARGETS
from tests.campaigns.fuzz.worker import MODULES, Place
from tests.conftest import ROOT

FILES = {reader: sorted((CORPUS / reader).iterdir()) for reader in TARGETS}


@pytest.fixture(scope="module")
def outcomes():
    """How every file of the corpus ends, in a process of its own: what crashes Python ends that, not the tests."""
    left, found = [path for reader in TARGETS for path in FILES[reader]], []
    while left:
        command = [sys.executable, "-W", "error", "-m", "tests.campaigns.fuzz.replay", *map(str, left)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found, left = found + lines, left[len(lines) :]
        if done.returncode:
            crashed = left.pop(0)
            says = f"ended the process with {done.returncode}: {done.stderr}"
            found.append({"reader": crashed.parent.name, "name": crashed.name, "ends": "breach", "says": says})
    return found


@pytest.mark.parametrize("reader", TARGETS)
def test_no_file_of_the_corpus_breaks_its_reader(outcomes, reader):
    here = {each["name"]: each for each in outcomes if each["reader"] == reader}
    assert sorted(here) == [path.name for path in FILES[reader]]
    assert not [each for each in here.values() if each["ends"] == "breach"]
    good = [name for name in here if name.startswith("good")]
    assert len(good) >= 3
    assert {here[name]["ends"] for name in good} == {"value"}
    assert "error" in {each["ends"] for each in here.values()}


def test_the_corpus_is_small_and_the_seeds_are_those_that_the_program_writes():
    files = [path for each in FILES.values() for path in each]
    assert len(files) <= 500
    assert sum(path.stat().st_size for path in files) <= 200_000
    assert set(SEEDS) == set(TARGETS) == set(MODULES)
    for reader, seeds in SEEDS.items():
        made = seeds()
        names = {path.name for path in FILES[reader]}
        assert set(made) <= names
        assert all(name.startswith("found-") for name in names - set(made)), reader
        if reader in ("idx", "csv", "arff", "libsvm", "log"):  # how well the others compress is zlib's own affair
            assert all((CORPUS / reader / name).read_bytes() == content for name, content in made.items())


@pytest.fixture
def place(tmp_path):
    (tmp_path / "a").write_bytes(b"data")
    return str(tmp_path / "a")


def fail(error):
    raise error


def warn(path):
    warnings.warn("odd", UserWarning, stacklevel=1)


def write(path):
    with open(path + ".lock", "w"):
        pass


READERS = {
    "a KeyError": (lambda path: {}["label"], "KeyError at test_fuzz.py"),
    "a RecursionError": (lambda path: fail(RecursionError("deep")), "RecursionError"),
    "a MemoryError": (lambda path: np.empty(2**62, np.uint8), "MemoryError|ArrayMemoryError"),
    "a warning": (warn, "UserWarning"),
    "a file written": (write, "wrote: open"),
    "not a file's error": (lambda path: fail(UsageError("bad", where=path, expected="good")), "without the kind"),
    "no file": (lambda path: fail(DataError("bad", expected="good")), "without the file"),
    "another file": (lambda path: fail(DataError("bad", where="/b", expected="good")), "without the file"),
    "nothing expected": (lambda path: fail(DataError("bad", where=path, fix="mend it")), "without what was expected"),
    "no problem": (lambda path: fail(DataError("", where=path, expected="good")), "without the problem"),
    "slow": (lambda path: [None for _ in range(10**6)], "took 0.[0-9] s of"),
    "waits": (lambda path: time.sleep(0.06), "took 0.0 s of 0.[0-9] s"),
}


@pytest.mark.parametrize("fault", READERS)
def test_a_broken_reader_is_caught(fault, place, monkeypatch):
    read, says = READERS[fault]
    monkeypatch.setattr(contract, "SECONDS", 2.0 if fault != "slow" else 0.001)
    monkeypatch.setattr(contract, "WAIT", 10.0 if fault != "waits" else 0.04)
    with pytest.raises(BreachError, match=says):
        check(read, place)


def test_an_error_of_two_lines_is_caught(place):
    error = DataError("bad", where=place, expected="good")
    error.args = (f"{place}: bad\nexpected good",)
    with pytest.raises(BreachError, match="one printable line"):
        check(lambda path: fail(error), place)


@pytest.mark.parametrize("lacks", ["place", "fix"])
def test_the_contract_asks_for_every_part(lacks, place):
    parts = {"place": "byte 0", "expected": "good", "found": "bad", "fix": "mend it"}
    assert isinstance(check(lambda path: fail(DataError("bad", where=path, **parts)), place), DataError)
    with pytest.raises(BreachError, match=r"an error without (the place|what to do)"):
        check(lambda path: fail(DataError("bad", where=path, **parts | {lacks: ""})), place)


def test_too_much_memory_is_caught():
    code = """
from tests.campaigns.fuzz.contract import BreachError, afresh, check, limited
afresh()
import numpy as np
for megabytes, says in ((110, "MiB"), (700, "MemoryError")):
    with limited():
        try:
            check(lambda path: np.ones(megabytes << 20, np.uint8) is None, "a")
        except BreachError as breach:
            assert says in str(breach), breach
        else:
            raise AssertionError(megabytes)
check(lambda path: np.ones(10 << 20, np.uint8) is None, "a")
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def changed(array):
    other = np.array(array)
    other.flat[0] += 2
    return other


def locked(array):
    array.flags.writeable = False
    return array


def with_weights(change):
    def changed_model(model):
        first, *others = model.params.layers
        return model._replace(params=model.params._replace(layers=(first._replace(W=change(first.W)), *others)))

    return changed_model


WRONG = {
    "idx": {
        "writable": np.array,
        "a byte": lambda array: locked(changed(array)),
        "dtype": lambda array: locked(array.astype(np.int8)),
        "shape": lambda array: locked(array.reshape(-1).copy()),
    },
    "csv": {
        "a pixel": lambda value: (changed(value[0]), value[1]),
        "a label": lambda value: (value[0], changed(value[1])),
        "no labels": lambda value: (value[0], None),
        "a row less": lambda value: (value[0][1:].copy(), value[1][1:].copy()),
        "dtype": lambda value: (value[0].astype(np.uint16), value[1]),
        "columns apart": lambda value: (np.asfortranarray(value[0]), value[1]),
    },
    "arff": {
        "a pixel": lambda c: c._replace(x=changed(c.x)),
        "a label": lambda c: c._replace(labels=changed(c.labels)),
        "a row less": lambda c: c._replace(x=c.x[1:].copy(), labels=c.labels[1:].copy()),
        "columns": lambda c: c._replace(x=c.x[:, ::-1].copy()),
        "a class less": lambda c: c._replace(classes=c.classes[:1]),
    },
    "libsvm": {
        "a pixel": lambda c: c._replace(x=changed(c.x)),
        "a label": lambda c: c._replace(labels=changed(c.labels)),
        "a row less": lambda c: c._replace(x=c.x[1:].copy(), labels=c.labels[1:].copy()),
        "shape": lambda c: c._replace(x=c.x[:, 1:].copy()),
    },
    "npz": {
        "a pixel": lambda d: d._replace(train=d.train._replace(x=locked(changed(d.train.x)))),
        "a label": lambda d: d._replace(train=d.train._replace(labels=locked(changed(d.train.labels)))),
        "writable": lambda d: d._replace(train=d.train._replace(x=np.array(d.train.x))),
        "a test set": lambda d: d._replace(test=d.train),
        "shape": lambda d: d._replace(image_shape=(1, 1)),
    },
    "png": {
        "a pixel": lambda array: locked(changed(array)),
        "turned": lambda array: locked(array.reshape(1, -1).copy()),
        "writable": np.array,
    },
    "images": {"dtype": lambda x: x.astype(np.int16), "size": lambda x: x[:, 1:].copy()},
    "npy": {"a pixel": lambda c: c._replace(x=changed(c.x)), "an image less": lambda c: c._replace(x=c.x[1:].copy())},
    "pictures": {
        "a pixel": lambda c: c._replace(x=changed(c.x)),
        "turned": lambda c: c._replace(image_shape=c.image_shape[::-1]),
    },
    **{
        reader: {
            "a label less": lambda c: c._replace(labels=c.labels[1:]),
            "labels below 0": lambda c: c._replace(labels=c.labels - 2),
            "shape": lambda c: c._replace(x=c.x[:, 1:].copy()),
            "dtype": lambda c: c._replace(x=c.x.astype(float)),
            "a note of two lines": lambda c: c._replace(notes=("b\nc",)),
        }
        for reader in ("hdf5", "mat", "arrow")
    },
    "model": {
        "not finite": with_weights(lambda W: locked(np.full_like(W, np.nan))),
        "writable": with_weights(np.array),
        "dtype": with_weights(lambda W: locked(W.astype(np.float16))),
        "classes": lambda model: model._replace(classes=("a", "a")),
        "activation": lambda model: model._replace(activation="os.system"),
        "image": lambda model: model._replace(image_shape=(3, 2)),
        "not JSON": lambda model: model._replace(training=MappingProxyType({"a": (1, [2])})),
    },
    "checkpoint": {
        "step": lambda c: c._replace(state=c.state._replace(step=-1)),
        "history": lambda c: c._replace(history=[*c.history]),
    },
    "log": {"an event less": lambda events: events[1:], "another": lambda events: ({"event": "x"}, *events[1:])},
}
WRONG["gzip"] = WRONG["idx"]
GOOD = {
    "idx": "images",
    "gzip": "images-1",
    "csv": "order",
    "arff": "nominal",
    "libsvm": "plain",
    "npz": "pair",
    "png": "grey",
    "images": "npz",
    "npy": "u1",
    "pictures": "sample-2",
    **dict.fromkeys(("hdf5", "mat", "arrow"), "sample-0"),
    "log": "lines",
}


@pytest.mark.parametrize(("reader", "fault"), [(reader, fault) for reader in WRONG for fault in WRONG[reader]])
def test_a_silently_wrong_value_is_caught(reader, fault, tmp_path, monkeypatch):
    for name in ("h5py", "scipy.io", "pyarrow.parquet"):
        importlib.import_module(name)
    monkeypatch.setattr(child, "inside", True)
    target = TARGETS[reader]
    place = Place(tmp_path, target.file)
    name = "good-" + GOOD.get(reader, "small-description" if reader == "model" else "plain-description")
    if fault in ("a row less", "columns apart"):
        name = {"csv": "good-header", "arff": "good-nominal"}.get(reader, "good-plain")
    place.put(target.build((CORPUS / reader / name).read_bytes()))
    place.close()
    value = check(target.read, place.path, lambda value: target.hold(value, place.path))
    with pytest.raises(BreachError, match="the value does not hold"):
        check(lambda path: WRONG[reader][fault](value), place.path, lambda value: target.hold(value, place.path))


def test_a_crash_is_contained_where_the_child_makes_an_error_of_it(tmp_path):
    for name, contained in (("good-sample-0", False), ("cut-0", True)):
        folder = tmp_path / "mat"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes((CORPUS / "mat" / name).read_bytes())
        assert command._is_contained(str(folder / name)) == contained


def test_fuzzing_goes_on_behind_a_crash_that_is_contained(tmp_path, monkeypatch):
    """Even before the first input is counted: the crash counts, and its input is taken out of the corpus."""
    corpus = tmp_path / "corpus" / "mat"
    corpus.mkdir(parents=True)
    (corpus / "5f37").write_bytes(b"one that crashed now only")

    def run(arguments, stdout=None, **options):
        if "tests.campaigns.fuzz.replay" in arguments:
            return SimpleNamespace(returncode=0, stdout='{"ends": "error"}')
        crashes = (corpus / "5f37").exists()
        stdout.write(f"Test unit written to {tmp_path}/breaches/mat-crash-5f37\n" if crashes else "Done 2 runs\n")
        return SimpleNamespace(returncode=-11 if crashes else 0)

    monkeypatch.setattr(command.subprocess, "run", run)
    line, found = command.fuzz("mat", tmp_path, 3, None)
    assert not found
    assert line.startswith("mat: 3 executions, ")
    assert line.endswith("0 corpus files, 0 breaches, 1 crashes of the library that the child process contains")


def test_a_scout_reads_on_behind_what_ended_it(monkeypatch):
    """An error is no crash; after one, and after many inputs, another child reads."""
    todo = []

    def read():
        if todo[-1] == "error":
            raise ValueError("of no interest")
        if todo[-1] == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)

    monkeypatch.setattr(scout, "READS", 2)
    found = []
    for what in ("value", "error", "crash", "value", "crash", "crash", "error", "error", "value"):
        todo.append(what)
        reader = scout.Scout(read)  # the child sees what there is when it begins
        found.append(reader.survives())
        reader.end()
    assert found == [True, True, False, True, False, False, True, True, True]
    again = scout.Scout(read)
    assert [again.survives() for _ in range(5)] == [True] * 5
    again.end()


def test_what_ended_a_scout_and_is_neither_value_nor_error_in_use_is_a_breach(tmp_path, monkeypatch):
    """A crash that the product's child contains counts; one that ends the product, too, is told."""
    paths = [f"{tmp_path}/breaches/mat-crash-{number}" for number in "12"]

    def run(arguments, stdout=None, **options):
        if "tests.campaigns.fuzz.replay" in arguments:
            assert arguments[-2:] == paths
            return SimpleNamespace(returncode=-11, stdout='{"name": "mat-crash-1", "ends": "error"}\n')
        stdout.write("".join(f"CRASH {path}\n" for path in paths) + "Done 5 runs\n")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(command.subprocess, "run", run)
    line, found = command.fuzz("mat", tmp_path, 5, None)
    assert found == [f"{paths[1]}: not contained"]
    assert line.startswith("mat: 5 executions, ")
    assert line.endswith("1 breaches, 1 crashes of the library that the child process contains")


def test_without_the_fuzzer_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz", "idx", "--runs", "1"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert command.main() == 2
    assert capsys.readouterr().err == "error: the fuzzer is not installed; pip install atheris\n"


def test_a_reader_that_is_not_there_is_wrong_usage(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz", "jpeg", "--runs", "1"])
    with pytest.raises(SystemExit) as exit_info:
        command.main()
    assert exit_info.value.code == 2
    assert "unknown reader 'jpeg'; choose from idx, gzip" in capsys.readouterr().err


def test_a_campaign_counts_what_it_runs(tmp_path, monkeypatch):
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("needs the fuzzer: pip install atheris")
    monkeypatch.setattr(command, "RUNS", 300)
    line, found = command.fuzz("idx", tmp_path, 500, None)
    assert not found
    assert re.fullmatch(r"idx: [56]\d\d executions, [\d,]+/s, \d+ corpus files, 0 breaches", line)

"""Curves of several runs over one another, from their logs."""

import json
import math
import re

import numpy as np
import pytest
from PIL import Image

from fnnet.apps.report import terminal
from fnnet.apps.report.chart import Line, chart
from fnnet.apps.report.runs import RunCurves, read_run, read_runs
from fnnet.core.state import EpochReport
from fnnet.errors import DataError, StorageError
from fnnet.files import log
from tests.apps.test_report import console, printed


def reports(count, dev=True, start=0.5):
    each = [
        EpochReport(e, 0.5, start / e, 1 - start / e / 4, start / e + 0.1, 1 - start / e / 2, 0.1)
        for e in range(1, count + 1)
    ]
    return [report if dev else report._replace(dev_loss=None, dev_accuracy=None) for report in each]


def entries(count, **options):
    return [
        {"event": "start", "recipe": "classic", "sizes": [784, 10, 10], "seed": 0},
        *({"event": "epoch", **report._asdict()} for report in reports(count, **options)),
    ]


def write_log(folder, lines, end="\n"):
    folder.mkdir(exist_ok=True)
    texts = [line.encode() if isinstance(line, str) else log.line_of(line) for line in lines]
    (folder / "log.jsonl").write_bytes(b"\n".join(texts) + end.encode())
    return folder


# Reading.


def test_a_log_is_read(tmp_path):
    lines = entries(3)
    lines.insert(2, {"event": "checkpoint", "step": 5, "file": "step-5"})
    found = read_run(write_log(tmp_path / "a", [*lines, {"event": "stop"}]), "name")
    assert found.name == "name"
    assert found.start["sizes"] == [784, 10, 10]
    assert found.epochs == tuple(reports(3))


def test_null_is_no_figure(tmp_path):
    lines = entries(2)
    lines[1] |= {"train_loss": None, "dev_loss": None}
    first = read_run(write_log(tmp_path / "a", lines), "a").epochs[0]
    assert math.isnan(first.train_loss)
    assert first.dev_loss is None


@pytest.mark.parametrize("end", ["", '\n{"event": "epo', '\n{"event": "epoch", "epoch": 4, "seco', "\n\x00\x00\x00"])
def test_a_torn_last_line_is_passed_over(end, tmp_path):
    assert read_run(write_log(tmp_path / "a", entries(3), end), "a").epochs == tuple(reports(3))


def test_every_torn_end_leaves_the_whole_lines(tmp_path):
    content = (write_log(tmp_path / "a", entries(3)) / "log.jsonl").read_bytes()
    for length in range(1, len(content)):
        (tmp_path / "a" / "log.jsonl").write_bytes(content[:length])
        whole = content[:length].count(b"\n") + (content[length : length + 1] == b"\n")
        assert len(read_run(tmp_path / "a", "a").epochs) == max(whole - 1, 0)


def test_an_epoch_that_was_done_again_counts_once(tmp_path):
    lines = entries(3)
    again = {**lines[2], "dev_loss": 9.0}
    found = read_run(write_log(tmp_path / "a", [*lines, again]), "a")
    assert [report.epoch for report in found.epochs] == [1, 2, 3]
    assert found.epochs[1].dev_loss == 9.0


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            "nonsense",
            "line 2: damaged log; expected a JSON object .*, found 'nonsense'; repair it .*'fnnet train --resume'",
        ),
        ("[1]", "line 2: damaged log"),
        ("", "line 2: damaged log"),
        ("NaN", "line 2: damaged log"),
        ("[" * 100_000, "line 2: damaged log"),
        (json.dumps(entries(1)[1]), "line 2: damaged log"),
        ({}, "line 2: damaged log"),
        ({"event": 1}, "line 2: damaged log"),
        ({"event": "epoch"}, "line 2: epoch; expected a whole number, 0 or more, found a missing key"),
        ({**entries(1)[1], "epoch": -1}, "line 2: epoch; expected a whole number, 0 or more, found -1"),
        ({**entries(1)[1], "epoch": True}, "line 2: epoch"),
        ({**entries(1)[1], "epoch": 1.5}, "line 2: epoch"),
        ({**entries(1)[1], "dev_loss": "low"}, "line 2: dev_loss; expected a number or null, found 'low'"),
        ({**entries(1)[1], "train_loss": [1]}, "line 2: train_loss"),
        ({**entries(1)[1], "train_loss": 10**400}, "line 2: train_loss"),
    ],
    ids=lambda each: str(each)[:20],
)
def test_other_lines_are_errors_with_their_number(line, fault, tmp_path):
    folder = write_log(tmp_path / "a", [entries(1)[0], line, *entries(1)[1:]])
    with pytest.raises(DataError, match=rf"{re.escape(str(folder))}/log\.jsonl: {fault}") as told:
        read_run(folder, "a")
    assert len(str(told.value)) < 400


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(StorageError, match=r"none/log\.jsonl: cannot be opened"):
        read_run(tmp_path / "none", "none")
    (tmp_path / "a" / "log.jsonl").mkdir(parents=True)
    with pytest.raises(StorageError, match="expected a regular file, found a folder"):
        read_run(tmp_path / "a", "a")
    write_log(tmp_path / "b", entries(3))
    monkeypatch.setattr(log, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="file too large"):
        read_run(tmp_path / "b", "b")
    (tmp_path / "b" / "log.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(DataError, match="line 1: damaged log"):
        read_run(tmp_path / "b", "b")


def test_names_are_those_of_the_folders_unless_two_are_alike(tmp_path):
    folders = [tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "z\x1b[31m"]
    for folder in folders:
        folder.parent.mkdir(exist_ok=True)
        write_log(folder, entries(1))
    assert [run.name for run in read_runs(folders)] == [str(folders[0]), str(folders[1]), "z\\x1b[31m"]


# Charts.


def test_curves_of_different_lengths_share_one_axis():
    short = Line("a", "red", "*", [1, 2], [1.0, 1.0])
    long = Line("b", "red", "o", [1, 2, 3, 4], [0.0, 0.0, 0.0, 0.0])
    alone = Line("c", "red", "x", [4], [1.0])
    lines = chart("t", [short, long, alone], width=7, height=2, legend=False)
    assert [line.plain for line in lines] == ["     t ", "1.00│***   x", "0.00│ooooooo", "    └───────", "     1     4"]


def test_axes_are_written_as_asked():
    line = Line("a", "red", "*", [-3.0, 0.0], [0.0, 2.0])
    lines = chart("t", [line], form=lambda y: f"{10**y:g}", x_form=lambda x: f"{10**x:g}", width=9, height=2)
    assert [each.plain for each in lines[1:]] == [
        "100│    *****",
        "  1│****     ",
        "   └─────────",
        "    0.001   1",
    ]


def runs(*counts, dev=True):
    each = [reports(count, dev, 0.5 + number / 9) for number, count in enumerate(counts)]
    return [RunCurves(f"run {number}", {}, tuple(some)) for number, some in enumerate(each)]


@pytest.mark.parametrize("width", [50, 80, 200])
@pytest.mark.parametrize("colour", [True, False])
def test_curves_of_runs_fit_the_screen(width, colour):
    screen = console(width, colour=colour)
    terminal.run_curves(runs(*range(1, 12)), screen)
    text = printed(screen)
    assert ("\x1b[" in text) is colour
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= width
    assert all(plain.count(f"run {number}\n") == 1 for number in range(11))


def test_curves_of_runs_say_where_there_are_no_dev_images():
    screen = console(encoding="ascii")
    terminal.run_curves([*runs(3), *runs(4, dev=False)], screen)
    text = printed(screen)
    assert text.isascii()
    assert text.endswith("** run 0\noo run 0 (train)\n")


def test_perfect_and_unknown_figures_are_drawn():
    perfect = EpochReport(1, 0.1, 0.0, 1.0, 0.0, 1.0, 0.1)
    unknown = EpochReport(2, 0.1, math.nan, math.nan, math.inf, None, 0.1)
    screen = console()
    terminal.run_curves([RunCurves("a", {}, (perfect, unknown)), RunCurves("b", {}, (unknown,))], screen)
    assert "** a\n" in printed(screen)


# Pictures.


def test_pictures_of_runs_and_rates(tmp_path):
    plots = pytest.importorskip("fnnet.apps.report.plots")
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    perfect = RunCurves("perfect", {}, (EpochReport(1, 0.1, 0.0, 1.0, 0.0, 1.0, 0.1),))
    named = [RunCurves(r"$\foo$", {}, tuple(reports(3))), RunCurves("_hidden", {}, tuple(reports(50, dev=False)))]
    for suffix in ("png", "svg", "pdf"):
        contents = []
        for _ in range(2):
            plots.plot_runs(tmp_path / f"r.{suffix}", [*runs(*range(1, 20)), perfect, *named])
            plots.plot_lr_find(tmp_path / f"l.{suffix}", [0.1, 1.0], [2.0, 1.0], 0.3, raw=[2.0, 0.0], title=r"$\foo$")
            contents.append([(tmp_path / f"{name}.{suffix}").read_bytes() for name in "rl"])
        assert contents[0] == contents[1]
    plots.plot_runs(tmp_path / "one.png", [perfect])
    plots.plot_lr_find(tmp_path / "none.png", [], [], None)


def test_dev_is_solid_train_dashed_and_colours_tell_runs_apart(tmp_path, monkeypatch):
    plots = pytest.importorskip("fnnet.apps.report.plots")
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.append(figure))
    plots.plot_runs("a.png", [*runs(40, 40), RunCurves("_last", {}, tuple(reports(40)))])
    left, right = drawn[0].axes
    assert [line.get_linestyle() for line in left.lines] == ["--", "-"] * 3
    assert [line.get_color() for line in right.lines] == [colour for colour in plots.COLOURS[:3] for _ in "td"]
    np.testing.assert_allclose(left.lines[1].get_ydata(), [report.dev_loss for report in reports(40)])
    np.testing.assert_allclose(
        right.lines[0].get_ydata(), [100 * (1 - report.train_accuracy) for report in reports(40)]
    )
    assert left.get_yscale() == right.get_yscale() == "log"
    low, high = left.get_ylim()
    assert low < 0.5 / 40 + 0.1 < high
    assert right.get_ylim()[0] > right.get_ylim()[1]  # better is higher
    assert right.yaxis.get_major_formatter()(0.5, None) == "99.5"
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["run 0", "run 1", "_last", "dev", "train"]


# The command.


def test_plot_prints_a_table_and_saves_a_picture(run, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    write_log(tmp_path / "first", entries(4))
    write_log(tmp_path / "second", entries(2, dev=False))
    write_log(tmp_path / "new", entries(0))
    result = run("plot", "first", "second", "new", "-o", "runs.png")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[1].split() == ["first", "classic", "784-10-10", "4", "2.0", "93.75%", "4", "0.2250"]
    assert lines[2].split() == ["second", "(train)", "classic", "784-10-10", "2", "1.0", "93.75%", "2", "0.2500"]
    assert lines[-1] == "saved runs.png"
    assert result.err == "note: new has no epochs yet and is left out\n"
    with Image.open(tmp_path / "runs.png") as picture:
        assert picture.width > 1000
    quiet = run("plot", "first", "--quiet", "--output", "runs.pdf")
    assert (quiet.out, quiet.err) == ("saved runs.pdf\n", "")


def test_plot_json(run, tmp_path):
    lines = entries(3)
    lines[0] = {"event": "start", "sizes": "wide", "recipe": 7}
    lines[1] |= {"train_loss": None}
    write_log(tmp_path / "a", lines)
    document = run("plot", "a", "--json").json
    assert document["output"] is None
    (only,) = document["runs"]
    assert [report["epoch"] for report in only["epochs"]] == [1, 2, 3]
    assert only["epochs"][0]["train_loss"] is None
    assert (only["run"], only["recipe"], only["sizes"], only["best_epoch"], only["measured_on"]) == (
        "a",
        "7",
        None,
        3,
        "dev",
    )
    assert only["best_accuracy"] == pytest.approx(1 - 0.5 / 6)


def test_plot_of_what_is_no_run(run, tmp_path):
    run("plot").failed(2, "RUN_DIR")
    run("plot", "nowhere").failed(1, "nowhere/log.jsonl", "cannot be opened")
    write_log(tmp_path / "a", [*entries(1), "nonsense"])
    run("plot", "a").failed(1, "a/log.jsonl: line 3: damaged log", "nonsense")
    write_log(tmp_path / "new", entries(0))
    run("plot", "new", "--quiet").failed(1, "nothing to draw")
    write_log(tmp_path / "b", entries(1))
    run("plot", "b", "-o", "picture.txt").failed(2, "--output", ".png")
    assert not (tmp_path / "picture.txt").exists()

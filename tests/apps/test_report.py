"""Pictures: in the terminal and as files."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from fnnet.apps.report import tables, terminal
from fnnet.apps.report.chart import Line, chart
from fnnet.core.state import EpochReport

REPORTS = [EpochReport(e, 0.1, 1 / e, 1 - 0.5 / e, 1.2 / e, 1 - 0.6 / e, 0.1) for e in range(1, 40)]


def console(width=80, encoding="utf-8", colour=False):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return Console(
        file=file, width=width, force_terminal=colour, color_system="truecolor" if colour else None, highlight=False
    )


def printed(screen):
    screen.file.flush()
    return screen.file.buffer.getvalue().decode(screen.encoding)


def test_a_chart_shows_where_the_line_is():
    lines = chart("up", [Line("a", "red", "*", [1, 2, 3], [0.0, 1.0, 2.0])], width=3, height=3)
    assert [line.plain for line in lines] == [
        "     up   ** a",
        "2.00│  *",
        "    │ * ",
        "0.00│*  ",
        "    └───",
        "     1 3",
    ]


def test_a_chart_joins_steep_parts_and_stays_inside():
    lines = chart("x", [Line("a", "red", "*", [1, 2], [1.0, 0.0])], width=2, height=4)
    assert [line.plain[5:] for line in lines[1:5]] == ["* ", " *", " *", " *"]
    flat = chart("x", [Line("a", "red", "*", [1, 2], [1.0, 1.0])], width=4, height=4)
    assert [line.plain[5:] for line in flat[1:5]] == ["****", "    ", "    ", "    "]


def test_a_chart_of_one_epoch_is_a_point_in_the_middle():
    lines = chart("x", [Line("a", "red", "*", [1], [0.5]), Line("b", "red", "o", [1], [2.0])], width=5, height=3)
    assert [line.plain for line in lines[1:]] == ["2.00│  o  ", "    │     ", "0.50│  *  ", "    └─────", "       1"]
    alone = chart("x", [Line("a", "red", "*", [1], [0.5])], width=5, height=3)
    assert [line.plain for line in alone[1:]] == ["0.50│  *  ", "    │     ", "    │     ", "    └─────", "       1"]
    dots = chart("x", [Line("a", "red", "*", [1], [0.5])], width=5, height=3, colour=True)
    assert re.fullmatch(r"0.50│  [⠁-⣿]  ", dots[1].plain)


def test_a_chart_in_colour_is_braille():
    lines = chart("x", [Line("a", "red", "*", [1, 2], [1.0, 0.0])], width=2, height=1, colour=True)
    assert lines[1].plain.endswith("⠉⣀") or re.search("[⠀-⣿]", lines[1].plain)
    assert lines[1].spans[-1].style == "red"


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("colour", [True, False])
def test_curves_fit_the_screen(width, colour):
    screen = console(width, colour=colour)
    terminal.curves(REPORTS, screen)
    text = printed(screen)
    assert ("\x1b[" in text) is colour
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= width
    assert plain.count("train") == plain.count("dev") == 2


def test_curves_without_dev_and_of_one_report():
    screen = console()
    terminal.curves([report._replace(dev_loss=None, dev_accuracy=None) for report in REPORTS], screen)
    assert "dev" not in printed(screen)
    screen = console()
    terminal.curves(REPORTS[:1], screen)
    assert printed(screen) == ""


@pytest.mark.parametrize(
    ("count", "shown"), [(1, [1]), (24, range(1, 25)), (39, [1, *range(2, 39, 2), 39]), (100, [1, *range(5, 101, 5)])]
)
def test_of_a_long_run_some_rows_are_shown(count, shown):
    screen = console()
    terminal.epoch_table([REPORTS[0]._replace(epoch=epoch) for epoch in range(1, count + 1)], screen)
    assert [int(line.split()[0]) for line in printed(screen).splitlines()[1:]] == list(shown)


def test_seconds_in_the_table_are_from_the_start():
    screen = console()
    terminal.epoch_table(REPORTS, screen)
    lines = printed(screen).splitlines()
    assert float(lines[-1].split()[-1]) == pytest.approx(3.9)


def test_ascii_terminals_get_ascii():
    screen = console(encoding="ascii")
    terminal.epoch_table(REPORTS, screen)
    terminal.curves(REPORTS, screen)
    image = np.zeros((4, 4), np.uint8)
    image[:2, 1] = 255
    terminal.draw_prediction(image, np.array([0.25, 0.75]), ("a", "b"), screen)
    assert printed(screen).isascii()


def test_an_image_in_half_blocks():
    image = np.array([[0, 255, 0, 255], [0, 0, 255, 255], [200, 0, 0, 95]], np.uint8)
    assert [line.plain for line in terminal.draw(image, console())] == [" ▀▄█", "▀   "]
    shaded = terminal.draw(image, console(colour=True))
    assert [line.plain for line in shaded] == ["▀▀▀▀", "▀▀▀▀"]
    assert str(shaded[1].spans[3].style) == "rgb(95,95,95) on rgb(0,0,0)"


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (9, 1), (2, 2), (3, 5)], ids=str)
def test_the_smallest_images_are_drawn_too(shape):
    screen, image = console(), np.full(shape, 255, np.uint8)
    terminal.draw_sheet([image, image], ["a", "b"], screen)
    terminal.draw_prediction(image, np.array([0.25, 0.75]), ("a", "b"), screen)
    assert "▀" in printed(screen) or "█" in printed(screen)


def test_plots_are_pictures_and_the_same_every_time(tmp_path):
    plots = pytest.importorskip("fnnet.apps.report.plots")
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    images = [np.full((28, 28), 20 * number, np.uint8) for number in range(12)]
    for suffix in ("png", "svg", "pdf"):
        contents = []
        for _ in range(2):
            plots.plot_curves(tmp_path / f"c.{suffix}", REPORTS, "title")
            plots.plot_sheet(tmp_path / f"s.{suffix}", images, list("abcdefghijkl"), [True] + [False] * 11, "sheet")
            contents.append([(tmp_path / f"{name}.{suffix}").read_bytes() for name in "cs"])
        assert contents[0] == contents[1]
    with Image.open(tmp_path / "s.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(10**6)}
        assert (201, 42, 42) in colours  # the mistake's frame
    svg = (tmp_path / "c.svg").read_text()
    assert svg.lstrip().startswith("<?xml")
    assert "epoch" in svg or "<path" in svg


def test_train_and_evaluate_plot(run, idx_folder, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    assert run("train", "--data", idx_folder, "--epochs", 3, "--plot", "curves.svg").code == 0
    assert (tmp_path / "curves.svg").stat().st_size > 1000
    assert run("evaluate", "model.safetensors", "--data", idx_folder, "--plot").code == 0
    with Image.open(tmp_path / "evaluation.png") as sheet:
        assert sheet.width > 500


def test_without_matplotlib_it_is_said_before_the_work(run, idx_folder, monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run("train", "--data", idx_folder, "--plot", "a.png", "--quiet")
    result.failed(1, "pictures need matplotlib", "pip install 'fnnet[plot]'")
    assert not (tmp_path / "model.safetensors").exists()


def test_no_color_is_respected():
    screen = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", no_color=True, width=80)
    image = np.array([[0, 255], [0, 0]], np.uint8)
    assert [line.plain for line in terminal.draw(image, screen)] == [" ▀"]


@pytest.mark.parametrize("width", [30, 44, 60, 100])
def test_an_answer_fits_any_screen(width):
    screen = console(width)
    terminal.draw_prediction(np.zeros((28, 28), np.uint8), np.full(10, 0.1), tuple("0123456789"), screen)
    lines = printed(screen).splitlines()
    assert sum("10.00%" in line for line in lines) == 10
    assert max(map(len, lines)) <= width


def test_formulas_in_names_are_no_formulas(tmp_path):
    plots = pytest.importorskip("fnnet.apps.report.plots")
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    plots.plot_curves(tmp_path / "a.png", [], r"$\foo$")
    plots.plot_sheet(tmp_path / "b.png", [np.zeros((2, 2))], [r"$\foo$ 漢"], title=r"$\foo$")


@pytest.mark.parametrize(("count", "ticks"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 3, 4])])
def test_ticks_are_whole_epochs(count, ticks, monkeypatch):
    plots = pytest.importorskip("fnnet.apps.report.plots")
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'fnnet[plot]'")
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.append(figure))
    reports = [REPORTS[0]._replace(epoch=epoch) for epoch in range(1, count + 1)]
    plots.plot_curves("a.png", reports)
    plots.plot_runs("b.png", [plots.RunCurves("r", {}, tuple(reports))])
    for axes in (axes for figure in drawn for axes in figure.axes):
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == ticks
        assert low < 1 < high


def test_the_interval_of_a_class_stays_on_its_line():
    screen = console()
    tables.class_table(np.diag([1, 2000]), ["a class of many words", "b"], "image", screen)
    assert "20.65% to 100.00%" in printed(screen)

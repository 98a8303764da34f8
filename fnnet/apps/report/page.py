"""A report on a model, or on the run that it came from: one page of HTML that needs no other file and no network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

from fnnet.apps.pages.figures import legend, picture, unit_images
from fnnet.apps.pages.numbers import size_of
from fnnet.apps.pages.page import base_style, html_page
from fnnet.apps.report import loss_text, option_text
from fnnet.apps.report.drawings import Curve, calibration_figure, class_table, confusion_figure, curves_figure
from fnnet.apps.report.facts import facts
from fnnet.apps.report.measured import FileOf, interval_text, mistake_name, probability_text
from fnnet.core.judging import Tally, calibration
from fnnet.core.params import Array
from fnnet.core.state import EpochReport, Model, networks_of, report_of, unit_of
from fnnet.errors import counted, one_line
from fnnet.files.disk import read_text

STYLE: Final = Path(__file__).parent / "page.css"


class Report(NamedTuple):
    """What a report is of.

    about    the model or the run, as `apps.about` returns it.
    dataset, source   the data that it was measured on: their name, and where they are.
    loss, matrix, tally   what was measured of them.
    file_of  names the files of images.
    """

    about: Mapping[str, Any]
    model: Model
    dataset: str
    source: str
    loss: float
    matrix: Array
    tally: Tally
    file_of: FileOf

    @property
    def unit(self) -> str:
        """What one of what was measured is called: image, or row of a table."""
        return unit_of(self.model.preprocessing)


def page_of(report: Report, title: str) -> str:
    """Return the page."""
    parts = [
        ("result", "Result", _result(report)),
        ("curves", "Curves of training", _curves(report.about)),
        ("classes", "Classes", class_table(report.matrix, report.model.classes, report.unit)),
        ("confusion", "Confusion", _confusion(report)),
        ("mistakes", "Worst mistakes", _mistakes(report)),
        ("calibration", "Calibration", _calibration(report)),
        ("units", "Hidden units" if len(_network(report)) > 1 else "Weights", _units(report)),
        ("options", "Options", _options(report.about)),
        ("origin", "Origin", _facts(report.about)),
    ]
    links = "".join(f'<li><a href="#{name}">{heading}</a></li>' for name, heading, _ in parts)
    sections = "\n".join(
        f'<section id="{name}" aria-labelledby="{name}-name">\n'
        f'<h2 id="{name}-name">{heading}</h2>\n{content}\n</section>'
        for name, heading, content in parts
    )
    about = [f"{report.dataset} ({report.source})", *_network_words(report)]
    head = "".join(f"<li>{escape(one_line(each))}</li>" for each in about)
    body = f"""<header>
<h1>{escape(one_line(title))}</h1>
<ul class="facts">{head}</ul>
</header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main>
{sections}
</main>"""
    return html_page(one_line(title), base_style() + read_text(STYLE), body)


def _network(report: Report) -> Any:
    return networks_of(report.model.params)[0]


def _network_words(report: Report) -> list[str]:
    sizes = "-".join(map(str, report.about["sizes"]))
    more = len(networks_of(report.model.params))
    return [f"{sizes}, {report.model.activation}" + (f", a committee of {more}" if more > 1 else "")]


def _result(report: Report) -> str:
    correct, images = int(report.matrix.trace()), int(report.matrix.sum())
    interval = f"95% interval {interval_text(correct, images)}"
    count = counted(images, report.unit)
    words = f"of {count} correct; {interval}; loss {loss_text(report.loss)} nats"
    return f'<p class="result">{correct / images:.2%} <small>{escape(words)}</small></p>'


def _curves(about: Mapping[str, Any]) -> str:
    """Return loss and accuracy over the epochs; of a committee those of all members, one upon another."""
    run = about["run"] or {}
    each = [own["epochs"] for own in run["members"]] if run.get("members") else [run.get("epochs") or []]
    networks = [[report_of(entry) for entry in entries] for entries in each if entries]
    if not networks:
        return "<p>None: no run directory is beside the model. <code>train --run-dir</code> keeps them.</p>"
    figures = []
    for what, title, scale in (("loss", "loss, nats", 1.0), ("accuracy", "accuracy, %", 100.0)):
        curves = [
            Curve(part, [each.epoch for each in reports], [scale * _value(each, f"{part}_{what}") for each in reports])
            for part in ("train", "dev")
            for reports in networks
        ]
        figures.append(curves_figure(title, curves, lambda value: f"{value:.4g}"))
    note = f'<p class="quiet">{len(networks)} members, one upon another.</p>' if len(networks) > 1 else ""
    return f'<div class="charts">{"".join(figures)}</div>{note}'


def _value(report: EpochReport, field: str) -> float:
    """Return a figure of a report; NaN for one that it does not have."""
    value = getattr(report, field)
    return math.nan if value is None else float(value)


def _confusion(report: Report) -> str:
    words = "A row for each class, a column for each prediction: blue is correct, orange a mistake."
    return f'<p class="quiet">{words}</p>{confusion_figure(report.matrix, report.model.classes)}'


def _mistakes(report: Report) -> str:
    mistakes, classes = report.tally.mistakes, report.model.classes
    if not mistakes:
        return "<p>None.</p>"
    shape, each = report.model.image_shape, []
    for mistake in mistakes:
        name, label = mistake_name(mistake, report.file_of, report.source), classes[mistake.label]
        name = name if report.file_of(mistake.row) else f"{report.unit} {name}"
        predicted = classes[mistake.predicted]
        text = f"{name}: {label}, predicted as {predicted}"
        drawn = picture(mistake.image, shape, text) if min(shape) > 1 else ""
        words = f"<b>{escape(label)}</b> as <b>{escape(predicted)}</b>, {mistake.probability:.1%}"
        likely = f"{escape(label)}: {probability_text(mistake.label_probability)}"
        each.append(f"<figure>{drawn}<figcaption>{words}<br>{likely}<br>{escape(one_line(name))}</figcaption></figure>")
    total = int(report.matrix.sum() - report.matrix.trace())
    words = (
        f"{len(mistakes)} of {counted(total, 'mistake')}: the class, the prediction and its probability, and below that"
    )
    words += " of the class."
    return f'<p class="quiet">{words}</p><div class="mistakes">{"".join(each)}</div>'


def _calibration(report: Report) -> str:
    found = calibration(report.tally)
    words = f"Probabilities are off by {100 * found.error:.2f} points in the mean, the expected calibration error."
    return f'<p class="quiet">{words}</p>{calibration_figure(found, report.unit)}'


def _units(report: Report) -> str:
    """Return the weights of the first layer as images, one for each unit."""
    layer, shape = _network(report)[0], report.model.image_shape
    if min(shape) < 2:
        return "<p>The inputs are not images.</p>"
    top = size_of(layer.W)
    images = unit_images(layer.W, shape, top, "weights of the first layer")
    words = "Weights from each pixel to a unit of the first layer: blue adds to it, orange takes away."
    return f'<p class="quiet">{words}</p>{images}{legend(top)}'


def _options(about: Mapping[str, Any]) -> str:
    known = about["options"] or {}
    rows = [(name, option_text(name, value)) for name, value in known.items()]
    shown = _table([(name.replace("_", "-"), text) for name, text in rows if text])
    unused = [name.replace("_", "-") for name, text in rows if not text]
    more = f'<p class="quiet">Without a value: {escape(", ".join(unused))}.</p>' if unused else ""
    return (shown + more) if known else "<p>The model does not say.</p>"


def _facts(about: Mapping[str, Any]) -> str:
    """Return what else is known: data, recipe, hashes, versions."""
    return _table([(heading, text) for heading, text in facts(about) if heading != "options"])


def _table(rows: Sequence[tuple[str, str]]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(heading)}</th><td>{escape(one_line(text))}</td></tr>' for heading, text in rows
    )
    return f'<table class="facts-table"><tbody>{lines}</tbody></table>'

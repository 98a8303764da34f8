"""A trace as one page of HTML, which needs no other file and no network: a section for each equation, to step through.

Without JavaScript all sections stand one below the other, and so they do on paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from fnnet.apps.pages.figures import picture
from fnnet.apps.pages.numbers import number, signed, size_of
from fnnet.apps.pages.page import base_style, html_page
from fnnet.apps.trace import figures
from fnnet.apps.trace.equations import NEW_LOSS, NEW_PROBS
from fnnet.apps.trace.steps import PARTS, Step, Trace
from fnnet.apps.trace.typeset import equation, name_of
from fnnet.apps.trace.words import HEADINGS, sentence
from fnnet.apps.trace.worked import worked
from fnnet.files.disk import read_text

FOLDER: Final = Path(__file__).parent
IMAGES: Final = ("x", "bytes", "numbers")
"""Values that are images."""


def page_of(trace: Trace, title: str, about: Sequence[str]) -> str:
    """Return the page of a trace.

    title   of the page.
    about   facts of the step, each a line of its head.

    >>> import fnnet
    >>> from fnnet.apps.trace import trace
    >>> found = trace(fnnet.init((4, 3, 2)), [[1.0, 0.5, 0.0, 0.5]], [1], differences=False)
    >>> page_of(found, "One step", ["4-3-2"]).count("<section")
    19
    """
    facts = "".join(f"<li>{escape(each)}</li>" for each in about)
    losses = f"loss {number(trace.loss)} before the step, {number(trace.new_loss)} after"
    sections = "".join(_section(number_, step, trace) for number_, step in enumerate(trace.steps, 1))
    style, script = (read_text(FOLDER / f"page.{kind}") for kind in ("css", "js"))
    body = f"""<header>
<h1>{escape(title)}</h1>
<ul class="facts">{facts}<li>{escape(losses)}</li></ul>
<button type="button" id="theme">Dark</button>
</header>
<nav aria-label="Steps">{_links(trace)}</nav>
<main>
{sections}
</main>
<div class="controls">
<button type="button" id="back" aria-keyshortcuts="ArrowLeft">Back</button>
<p id="place" aria-live="polite"><span></span> <span class="hidden"></span></p>
<button type="button" id="next" aria-keyshortcuts="ArrowRight">Next</button>
</div>"""
    return html_page(title, base_style() + style, body, script)


def _links(trace: Trace) -> str:
    """Return the links to all sections, in a list for each part."""
    lists = []
    for part in PARTS:
        links = "".join(
            f'<li><a href="#step-{at}">{name_of(step.name)}</a></li>'
            for at, step in enumerate(trace.steps, 1)
            if step.part == part
        )
        lists.append(f'<div><h2>{part.capitalize()}</h2><ol aria-label="{escape(HEADINGS[part])}">{links}</ol></div>')
    return "".join(lists)


def _section(at: int, step: Step, trace: Trace) -> str:
    numbers, verdict = worked(step), ""
    if step.difference:
        kind = step.difference.verdict.partition(" ")[0].lower()
        verdict = f'<p class="verdict {kind}">Central differences: {escape(step.difference.words)}</p>'
    example = f'<p class="worked">{escape(signed(numbers))}</p>' if numbers else ""
    return f"""<section id="step-{at}" aria-labelledby="name-{at}">
<h2 id="name-{at}"><span class="part">{at}. {escape(HEADINGS[step.part])}</span></h2>
<p class="equation" role="math" aria-label="{escape(step.equation)}">{equation(step)}</p>
<p class="code"><code>{escape(step.equation)}</code> <span>fnnet.core.{escape(step.function)}</span></p>
<p class="sentence">{escape(sentence(step, trace))}</p>
<div class="figures">{"".join(_figures(step, trace))}</div>
{verdict}{example}
</section>
"""


def _figures(step: Step, trace: Trace) -> list[str]:
    """Return the figures of a step: those of its operands, then that of its result, differences beside a gradient."""
    label, classes, single = trace.labels[0], trace.classes, len(trace.labels) == 1
    first = "" if single else ", first image"
    if step.name == "probs":
        return [
            *_operands(step, trace),
            figures.probability_bars(f"probs{first}", step.result[0], classes, label),
        ]
    if step.name == NEW_PROBS:
        before = trace.step("probs").result[0]
        return [
            figures.probability_bars(f"before the step{first}", before, classes, label),
            figures.probability_bars(f"after it{first}", step.result[0], classes, label),
        ]
    if step.name in ("loss", NEW_LOSS):
        return _losses(step, trace)
    return [*_operands(step, trace), *_result(step, trace)]


def _losses(step: Step, trace: Trace) -> list[str]:
    """Return the figures of the loss, before the step or after it: its curve, where it is that of one probability."""
    is_new = step.name == NEW_LOSS
    found = [figures.value_figure("loss", trace.loss)]
    if is_new:
        found = [figures.value_figure("loss before", trace.loss), figures.value_figure("loss after", trace.new_loss)]
    if trace.label_smoothing or len(trace.labels) > 1:
        return [*([] if is_new else _operands(step, trace)), *found]
    p, new_p = (float(trace.step(name).result[0][trace.labels[0]]) for name in ("probs", NEW_PROBS))
    return [*found, figures.loss_curve([("before", p), ("after", new_p)] if is_new else [("here", p)])]


def _operands(step: Step, trace: Trace) -> list[str]:
    found = []
    for each in step.operands:
        array: Any = each.value
        if not each.shape:
            continue
        if each.name in IMAGES and trace.image_shape is not None:
            found.append(_image(each.name, array[0], trace))
            continue
        replaced = each.name == step.name
        caption, text = name_of(each.name), each.name
        if replaced:
            caption, text = f"{caption} before", f"{text} before"
        top = max(size_of(array), size_of(step.result)) if replaced else None
        found.append(figures.array_figure(caption, text, array, _image_shape(each.name, trace), top))
    return found


def _result(step: Step, trace: Trace) -> list[str]:
    name, array = step.name, np.asarray(step.result)
    if name == "x" and trace.image_shape is not None:
        return []
    replaced = [each.value for each in step.operands if each.name == name]
    caption, text = (f"{name_of(name)} after", f"{name} after") if replaced else (name_of(name), name)
    top = max(map(size_of, [array, *replaced]))
    shape = _image_shape(name, trace)
    found = [figures.array_figure(caption, text, array, shape, top)]
    if step.difference:
        words = "central differences"
        found.append(figures.array_figure(words, f"{words} of {text}", step.difference.slopes, shape, top))
    if array.size > figures.WHOLE:
        found.append(figures.element_table(step))
    return found


def _image(name: str, image: Any, trace: Trace) -> str:
    """Return a figure of the first image."""
    assert trace.image_shape is not None
    label = trace.classes[trace.labels[0]]
    drawn = picture(image, trace.image_shape, f"The image, of class {label}")
    more = f", the first of {len(trace.labels)}" if len(trace.labels) > 1 else ""
    return (
        f"<figure><figcaption>{name_of(name)}{more} <small>label {escape(label)}</small></figcaption>{drawn}</figure>"
    )


def _image_shape(name: str, trace: Trace) -> tuple[int, int] | None:
    """Return the shape of an image if the rows of an array are pixels: those of the first layer's weights."""
    return trace.image_shape if name.endswith("W1") else None

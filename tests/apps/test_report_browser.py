"""The page of a report in headless Chromium, with the network off: no error, all pictures there, wide and narrow."""

import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.apps.about import about_run
from fnnet.apps.report.page import Report, page_of

SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 900}}
CONTRAST = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number)
      .map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll("h1, h2, p, td, th, figcaption, text, li, small")].map((element) => {
    const style = getComputedStyle(element);
    const ink = light(element.tagName === "text" ? style.fill : style.color);
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  }).reduce((a, b) => Math.min(a, b));
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    model, _ = fnnet.fit("digits", hidden=(24,), epochs=3, run_dir=folder / "run")
    digits = data.load("digits")
    found = fnnet.evaluate(model, digits, worst=24)
    about, problems = about_run(folder / "run")
    assert not problems
    report = Report(about, model, "digits", digits.source, found.loss, found.confusion, found.tally, lambda row: None)
    (folder / "report.html").write_text(page_of(report, "Report on <run>"), encoding="utf-8")
    classes = [f"class-{number}" for number in range(40)]
    wide = model._replace(classes=tuple(classes))
    matrix = np.diag(np.full(40, 9)) + np.eye(40, k=1, dtype=int)
    many = report._replace(model=wide, matrix=matrix, file_of=lambda row: f"{'folder/' * 20}{row}.png")
    (folder / "many.html").write_text(page_of(many, "Report" * 30), encoding="utf-8")
    return (folder / "report.html").as_uri()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("size", SIZES)
def test_all_pictures_are_there_and_the_page_fits_the_screen(size, scripts, opened):
    for name, pictures in (("report.html", 24 + 20), ("many.html", 24 + 20 + 1)):
        page = opened(name, viewport=SIZES[size], java_script_enabled=scripts)
        images = page.eval_on_selector_all(
            "img", "all => all.map(i => i.complete && i.naturalWidth > 0 && i.width > 0)"
        )
        assert len(images) == pictures
        assert all(images)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert page.locator("svg.chart").count() == 3
        for link in page.locator("nav a").all():
            assert page.locator(link.get_attribute("href")).is_visible()


def test_the_headline_and_the_sections_are_read_by_their_names(opened):
    page = opened()
    assert page.locator("h1").inner_text() == "Report on <run>"
    names = ["Result", "Curves of training", "Classes", "Confusion", "Worst mistakes", "Calibration", "Hidden units"]
    assert page.locator("main h2").all_inner_texts() == [*names, "Options", "Origin"]
    for name in [*names, "Options", "Origin"]:
        assert page.get_by_role("region", name=name).is_visible()
    assert page.get_by_role("img", name="loss, nats over 3 epochs").is_visible()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_can_be_read_in_dark_and_in_light(scheme, opened):
    page = opened(color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(ground[4:].split(",")[0]) < 60) == (scheme == "dark")
    assert page.evaluate(CONTRAST) >= 4.5


@pytest.mark.parametrize("width", [680, 900])
def test_no_figure_of_calibration_is_cut_on_paper(width, opened):
    page = opened(viewport={"width": width, "height": 1000})
    page.emulate_media(media="print")
    table = page.locator("#calibration table").bounding_box()
    assert table["x"] + table["width"] <= width
    box = page.locator("#calibration .wide").evaluate("each => each.scrollWidth - each.clientWidth")
    assert box <= 0

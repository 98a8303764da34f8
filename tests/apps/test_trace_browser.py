"""The page of a trace in headless Chromium, with the network off: no error, all pictures there, keys and buttons."""

import pytest

import fnnet
from fnnet.apps.trace import trace
from fnnet.apps.trace.page import page_of
from tests.apps.test_trace_shown import DIGIT

PHONE, BEAMER = {"width": 390, "height": 844}, {"width": 1920, "height": 1080}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    found = trace(fnnet.init((784, 10, 10)), DIGIT.reshape(1, -1), [1], learning_rate=0.01)
    path = tmp_path_factory.mktemp("page") / "trace.html"
    path.write_text(page_of(found, "One step of training", ["784-10-10", "label 1"]), encoding="utf-8")
    return path.as_uri()


def place(page):
    (shown,) = page.eval_on_selector_all("main > section", "all => all.filter(s => s.offsetParent).map(s => s.id)")
    assert page.locator("#place span").first.inner_text() == f"{shown.removeprefix('step-')} of 19"
    assert page.url.endswith(f"#{shown}") or shown == "step-1"
    return int(shown.removeprefix("step-"))


def test_buttons_keys_and_links_step_backward_and_forward(opened):
    page = opened(viewport=BEAMER)
    assert place(page) == 1
    assert page.locator("#back").is_disabled()
    page.click("#next")
    page.keyboard.press("ArrowRight")
    assert place(page) == 3
    page.keyboard.press("ArrowLeft")
    page.click("#back")
    assert place(page) == 1
    page.click("nav a >> nth=11")
    assert place(page) == 12
    assert page.locator("nav a[aria-current=step]").inner_text() == "dW1"
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert place(page) == 19
    assert page.locator("#next").is_disabled()
    assert place(opened("#step-7")) == 7


@pytest.mark.parametrize("viewport", [PHONE, BEAMER], ids=["phone", "beamer"])
def test_every_step_has_its_pictures_and_fits_the_screen(viewport, opened):
    page = opened(viewport=viewport)
    for _ in range(19):
        images = page.eval_on_selector_all(
            "section.shown img", "all => all.map(i => i.complete && i.naturalWidth > 0 && i.offsetWidth > 0)"
        )
        assert all(images)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place(page)
        page.keyboard.press("ArrowRight")
    assert page.locator("img").count() > 50


def test_dark_and_light(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    page = opened(color_scheme="dark")
    dark = page.evaluate(ground)
    page.click("#theme")
    light = page.evaluate(ground)
    assert dark != light
    assert opened(color_scheme="light").evaluate(ground) == light


def test_without_javascript_all_steps_stand_below_one_another(opened):
    page = opened(java_script_enabled=False)
    assert page.locator("section:visible").count() == 19
    assert not page.locator("#next").is_visible()

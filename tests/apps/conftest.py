"""Models in files for the tests of batches, images that show all notes, and a browser without a network."""

import shutil
from urllib.parse import urljoin

import pytest

import fnnet
from fnnet.apps import batches

NAMES = tuple(f"class {number}" for number in range(10))


@pytest.fixture(autouse=True)
def _no_models():
    """Each test loads its models itself."""
    batches._models.clear()
    yield
    batches._models.clear()


@pytest.fixture
def save(tmp_path):
    def make(name="m.safetensors", seed=3, shape=(28, 28), **fields):
        model = fnnet.Model(fnnet.init((shape[0] * shape[1], 20, 10), seed), classes=NAMES, image_shape=shape, **fields)
        fnnet.save_model(tmp_path / name, model)
        return tmp_path / name

    return make


@pytest.fixture
def images(small_images):
    """Light ink on black, but for some: nothing, inverted, faint."""
    x = small_images[0].copy()
    x[5], x[11] = 0, 3
    x[20:25] = 255 - x[20:25]
    x[30:33] //= 4
    return x


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, address):
    """Open a page as a browser of these options does; what it reports or asks for beyond the page fails the test.

    It is that at `address`, a fixture of the module, or one at a place beside it or in it.
    """
    heard, contexts = [], []

    def make(place="", **options):
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.extend(
            [request.url] * (not request.url.startswith(("file:", "data:")))))  # fmt: skip
        page.goto(urljoin(address, place))
        return page

    yield make
    for context in contexts:
        context.close()
    assert not heard

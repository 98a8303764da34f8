"""Models in files for the tests of predictions of batches, and images that show all notes."""

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

"""Pictures of one colour, whose opacity is the ink: black on a transparent ground as white on it, in every format."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from fnnet import data
from fnnet.core.state import Preprocessing
from fnnet.data import formats, pictures, png
from fnnet.data.arrays import as_content, as_images
from fnnet.data.canvas import Canvas
from fnnet.data.grey import INKED, ink_of, one_colour, over_black, weighed
from tests.tools.samples import write

DIGIT = data.load("digits").train.x[0].reshape(28, 28)
colours = st.tuples(*[st.integers(0, 255)] * 3)
RNG = np.random.default_rng(5)


def saved(image, kind="PNG", **options):
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind, **options)
    return out.getvalue()


def read(folder, content):
    return formats.read_picture(write(folder / "a", content)).x.reshape(28, 28)


def drawn(colour, alpha=DIGIT, hidden=None):
    """A stroke of one colour; `hidden` is the colour of what is transparent."""
    image = np.empty((28, 28, 4), np.uint8)
    image[..., :3], image[..., 3] = colour, alpha
    if hidden is not None:
        image[alpha == 0, :3] = hidden
    return image


@given(colours, colours, st.sampled_from(["PNG", "WEBP"]))
def test_ink_of_any_colour_on_a_transparent_ground_is_its_opacity(tmp_path_factory, colour, hidden, kind):
    content = saved(drawn(colour, hidden=hidden), kind, **({} if kind == "PNG" else {"lossless": True, "exact": True}))
    np.testing.assert_array_equal(read(tmp_path_factory.mktemp("a"), content), DIGIT)


@given(colours)
def test_colours_stored_multiplied_by_their_opacity_are_one(colour):
    """As browsers keep them: what comes back is off by rounding, the more the less opaque it is."""
    alpha = DIGIT.astype(np.int64)
    kept = (np.array(colour) * alpha[..., None] + 127) // 255
    back = np.where(alpha[..., None] > 0, (kept * 255 + alpha[..., None] // 2) // np.maximum(alpha, 1)[..., None], 0)
    image = np.minimum(back, 255).astype(np.uint8).reshape(1, -1, 3)
    found, kinds = ink_of(np.zeros((1, 784), np.uint8), image, DIGIT.reshape(1, -1), (28, 28))
    assert kinds.tolist() == [INKED]
    np.testing.assert_array_equal(found[0], DIGIT.ravel())


@given(colours, st.integers(0, 2**31), st.integers(0, 200).map(lambda off: off / 100))
def test_one_level_of_255_is_the_limit(colour, seed, off):
    """Laid over black, each pixel may be that much lighter or darker than one and the same colour."""
    rng = np.random.default_rng(seed)
    alpha = np.array([[255, 255, *rng.integers(1, 256, 30)]], np.uint8)
    at = rng.uniform(-1, 1, (1, 32, 3)) * min(off, 1) * 255 / alpha[..., None]
    at[0, 0], at[0, 1] = -off, off
    low, high = one_colour((np.array(colour) + at).astype(np.float32), alpha)
    if abs(off - 1) > 0.01:
        assert bool((low <= high).all()) == (off < 1)


SHADES = st.sampled_from(["gradient", "noise", "pressure"])


def shaded(kind, base, reach, seed):
    """Ink whose colour varies by up to `reach`: along the picture, from pixel to pixel, with how opaque it is."""
    rng = np.random.default_rng(seed)
    way = {
        "gradient": np.linspace(0, 1, 28)[None] * np.ones((28, 1)),
        "noise": rng.random((28, 28)),
        "pressure": 1 - DIGIT / 255,
    }[kind]
    colour = (np.array(base) + way[..., None] * reach).clip(0, 255).astype(np.uint8)
    return drawn(colour)


@given(colours, SHADES, st.integers(0, 100), st.integers(0, 2**31), st.sampled_from(["PNG", "WEBP", "npz"]))
def test_ink_of_any_shades_on_a_transparent_ground_is_its_opacity(tmp_path_factory, base, kind, reach, seed, form):
    """A pen that is darker where it is pressed, a palette that was smoothed, a gradient."""
    folder, image = tmp_path_factory.mktemp("a"), shaded(kind, base, reach, seed)
    if form == "npz":
        np.savez(folder / "a.npz", x=image[None])
        found = data.read_images(folder / "a.npz", (28, 28))
    else:
        found = read(folder, saved(image, form, **({} if form == "PNG" else {"lossless": True, "exact": True})))
    np.testing.assert_array_equal(found.ravel(), DIGIT.ravel())


@given(st.integers(0, 30), st.integers(200, 255), st.booleans())
def test_ink_of_light_and_of_dark_colours_is_noted(tmp_path_factory, dark, light, array):
    """Over black, the dark half of it is lost; as opacity, what the colours show would be."""
    folder, image = tmp_path_factory.mktemp("a"), drawn(light)
    image[:, :14, :3] = dark
    if array:
        np.savez(folder / "a.npz", x=image[None])
    else:
        Image.fromarray(image).save(folder / "a.npz", "PNG")
    notes = []
    found = data.read_images(folder / "a.npz", (28, 28), notify=notes.append)
    np.testing.assert_array_equal(found[0], over_black(weighed(image), image[..., 3]).ravel())
    assert [note.code for note in notes] == ["opacity"]


def test_a_cut_out_object_is_read_by_its_colours(tmp_path):
    """It covers most of the picture, as a photo with round corners does."""
    alpha = np.full((28, 28), 255, np.uint8)
    alpha[:3, :3] = 0
    image = drawn(np.repeat(DIGIT[..., None], 3, axis=2), alpha)
    np.testing.assert_array_equal(read(tmp_path, saved(image)), np.where(alpha, DIGIT, 0))


@pytest.mark.parametrize("alpha", [0, 100, 255])
def test_an_even_opacity_is_no_image(alpha, tmp_path):
    """A page of one colour stays one."""
    found = read(tmp_path, saved(drawn((200, 200, 200), np.full((28, 28), alpha, np.uint8))))
    assert np.unique(found).tolist() == [round(200 * alpha / 255)]


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_pixels_put_down_in_any_pieces_are_one_image(kind, options, monkeypatch, tmp_path):
    for module in (png, pictures):
        monkeypatch.setattr(module, "STRIP", 28 * 3)
    black = drawn(0)
    np.testing.assert_array_equal(read(tmp_path, saved(black, kind, **options)), DIGIT)
    black[14:, :, :3] = 255  # in later strips
    found = read(tmp_path, saved(black, kind, **options))
    np.testing.assert_array_equal(found, over_black(weighed(black), black[..., 3]))
    mixed = drawn(60)
    mixed[:14, :, 3] = 255  # the first strips are opaque
    np.testing.assert_array_equal(read(tmp_path, saved(mixed, kind, **options)), mixed[..., 3])


@pytest.mark.parametrize("mode", ["LA", "P", "1", "L", "RGB"])
def test_every_way_to_be_transparent(mode, tmp_path):
    """Grey and alpha, a palette, and a colour that stands for transparent: black ink on it."""
    mask = np.where(DIGIT > 127, 255, 0).astype(np.uint8)
    if mode == "LA":
        image, expected = Image.fromarray(np.dstack([np.zeros_like(DIGIT), DIGIT]), "LA"), DIGIT
        image.save(tmp_path / "a", "PNG")
    elif mode == "P":
        image, expected = Image.fromarray(DIGIT, "P"), DIGIT
        image.putpalette([30, 60, 90] * 256)
        image.save(tmp_path / "a", "PNG", transparency=bytes(range(256)))
    else:
        image, expected = Image.fromarray(255 - mask).convert(mode), mask
        image.save(tmp_path / "a", "PNG", transparency={"1": 1, "L": 255, "RGB": (255, 255, 255)}[mode])
    np.testing.assert_array_equal(read(tmp_path, (tmp_path / "a").read_bytes()), expected)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_sixteen_bits(mode, tmp_path):
    samples = np.zeros((28, 28, len(mode)), np.uint16)
    samples[..., :-1], samples[..., -1] = 12345, DIGIT.astype(np.uint16) * 257
    np.testing.assert_array_equal(read(tmp_path, deep_png(samples)), DIGIT)
    samples[14:, :, :-1] = 65535
    found = read(tmp_path, deep_png(samples))
    assert np.array_equal(found[14:], DIGIT[14:])
    assert found[:14].max() < 100


def deep_png(samples):
    import zlib

    from tests.tools.samples import png_bytes

    rows = samples.astype(">u2").tobytes()
    stride = samples.shape[1] * samples.shape[2] * 2
    filtered = b"".join(b"\0" + rows[k : k + stride] for k in range(0, len(rows), stride))
    return png_bytes(28, 28, {2: 4, 4: 6}[samples.shape[2]], 16, zlib.compress(filtered))


def test_a_transparent_gif_of_one_colour(tmp_path):
    image = Image.fromarray((DIGIT > 127).astype(np.uint8), "P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "a", "GIF", transparency=0)
    np.testing.assert_array_equal(read(tmp_path, (tmp_path / "a").read_bytes()), np.where(DIGIT > 127, 255, 0))


@pytest.mark.parametrize("scale", [1, 255])
def test_arrays_of_four_channels(scale, tmp_path):
    """Each image by itself."""
    x = np.stack([drawn(0), drawn((10, 200, 30)), RNG.integers(0, 256, (28, 28, 4), np.uint8)])
    np.savez(tmp_path / "a.npz", x_train=x if scale == 1 else x / 255, y_train=[0, 1, 2])
    found = data.load(tmp_path / "a.npz").train.x.reshape(3, 28, 28)
    for image, expected in zip(found, (DIGIT, DIGIT, over_black(weighed(x[2]), x[2, ..., 3])), strict=True):
        np.testing.assert_array_equal(image, expected)


def test_a_folder_of_black_ink_trains_as_one_of_white(tmp_path):
    for name, value in (("black", 0), ("white", 255)):
        for number, image in enumerate(data.load("digits").train.x[:20].reshape(-1, 28, 28)):
            (tmp_path / name / str(number % 2)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(drawn(value, image)).save(tmp_path / name / str(number % 2) / f"{number}.png")
    black, white = (data.load(tmp_path / name) for name in ("black", "white"))
    np.testing.assert_array_equal(black.train.x, white.train.x)
    assert black.notes == white.notes == ()
    assert black.preprocessing == white.preprocessing


def test_a_canvas_without_opacity_is_its_grey():
    canvas = Canvas((2, 3))
    canvas.put((slice(0, 2), slice(0, 3)), np.arange(6).reshape(2, 3))
    found = canvas.content("")
    assert (found.x.tolist(), found.ink) == ([[0, 1, 2, 3, 4, 5]], None)
    assert canvas.colours is None


@pytest.mark.parametrize("dark", [False, True])
def test_ink_is_ink_to_a_model_of_either(dark, tmp_path):
    """Drawn in a browser, say, for a model that was trained on photographs of paper."""
    preprocessing = Preprocessing(paper=255 * dark, ink=255 * (not dark))
    for value in (0, 255):
        path = write(tmp_path / "a.png", saved(drawn(value)))
        np.testing.assert_array_equal(data.read_images(path, (28, 28), preprocessing)[0], DIGIT.ravel())
    turned = data.read_images(path, (28, 28), preprocessing._replace(transpose=True))
    np.testing.assert_array_equal(turned[0], DIGIT.ravel(), "pictures are upright")
    turned = data.read_images(path, (28, 28), preprocessing, transpose=True)
    np.testing.assert_array_equal(turned[0], DIGIT.T.ravel())


@given(
    st.booleans(),
    st.lists(st.sampled_from(["clear", "paper"]), min_size=6, max_size=12),
    st.sampled_from(["png", "npz", "parquet"]),
)
@settings(max_examples=15)
def test_opacity_is_light_ink_beside_pictures_of_any_ink(tmp_path_factory, dark, kinds, form):
    """In one data set, for training and for a model of either ink, whatever holds the pictures."""
    folder = tmp_path_factory.mktemp("a")
    kinds = ["paper", *kinds] if form == "npz" else kinds
    digits = data.load("digits").train.x[: len(kinds)].reshape(-1, 28, 28)
    images = [drawn(0, x) if kind == "clear" else on_paper(x, dark) for x, kind in zip(digits, kinds, strict=True)]
    labels = [number % 2 for number in range(len(kinds))]
    if form == "png":
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            (folder / str(label)).mkdir(exist_ok=True)
            Image.fromarray(image).save(folder / str(label) / f"{number}.png")
        digits = digits[np.argsort(labels, kind="stable")]
    elif form == "npz":
        np.savez(folder / "a.npz", x=np.stack(images), y=labels)
    else:
        import pyarrow
        from pyarrow import parquet

        packed = [saved(image) for image in images]
        parquet.write_table(pyarrow.table({"image": packed, "label": labels}), folder / "a.parquet")
    path = folder if form == "png" else folder / f"a.{form}"
    model = Preprocessing(paper=255 * dark, ink=255 * (not dark))
    for known in (None, model):
        found = data.load(path, preprocessing=known).train.x.reshape(-1, 28, 28)
        np.testing.assert_array_equal(found, digits)
    if form != "png":
        np.testing.assert_array_equal(data.read_images(path, (28, 28), model).reshape(-1, 28, 28), digits)


def on_paper(x, dark):
    grey = 255 - x if dark else x
    return np.dstack([grey, grey, grey, np.full_like(x, 255)])


@given(
    st.integers(0, 30), st.integers(150, 255), st.sampled_from(["grey", "rgb", "palette", "gif", "alpha", "npz"]),
    st.booleans(),
)  # fmt: skip
def test_ink_that_shades_into_the_colour_of_transparent_is_read_on_it(tmp_path_factory, ink, ground, form, strips):
    """As a program makes white transparent in a drawing: laid over black, the ink would be lost."""
    folder = tmp_path_factory.mktemp("a")
    image = (ground - DIGIT.astype(np.int64) * (ground - ink) // 255).astype(np.uint8)
    colours = np.repeat(image[..., None], 3, axis=2)
    whole = np.concatenate([colours, np.where(image == ground, 0, 255).astype(np.uint8)[..., None]], axis=2)
    if form in ("grey", "gif"):
        Image.fromarray(image).save(folder / "a", "PNG" if form == "grey" else "GIF", transparency=ground)
    elif form == "rgb":
        Image.fromarray(colours).save(folder / "a", "PNG", transparency=(ground,) * 3)
    elif form == "palette":
        picture = Image.fromarray(image).convert("P")
        picture.putpalette([level for shade in range(256) for level in (shade,) * 3])
        picture.save(folder / "a", "PNG", transparency=ground)
    elif form == "alpha":
        Image.fromarray(whole).save(folder / "a", "PNG")
    else:
        np.savez(folder / "a", x=whole[None])
    notes = []
    with pytest.MonkeyPatch.context() as patch:
        for module in (png, pictures) if strips else ():
            patch.setattr(module, "STRIP", 28 * 3)
        path = folder / ("a.npz" if form == "npz" else "a")
        found = data.read_images(path, (28, 28), notify=notes.append)
    np.testing.assert_array_equal(found.reshape(28, 28), image)
    assert not notes


@pytest.mark.parametrize("case", ["translucent", "the ink has the colour too", "two hidden colours", "dark ground"])
def test_transparency_that_says_more_than_colours_is_not_passed_over(case, tmp_path):
    image = np.repeat((255 - DIGIT)[..., None], 4, axis=2)
    image[..., 3] = np.where(DIGIT, 255, 0)
    if case == "translucent":
        image[14, DIGIT[14] > 0, 3] = 200
    elif case == "the ink has the colour too":
        image[14, DIGIT[14] > 0, :3] = 255
    elif case == "two hidden colours":
        image[0, 0, :3] = 200
    else:
        image[DIGIT == 0, :3] = 0
    np.savez(tmp_path / "a.npz", x=image[None])
    notes = []
    found = data.read_images(tmp_path / "a.npz", (28, 28), notify=notes.append)
    np.testing.assert_array_equal(found.reshape(28, 28), over_black(weighed(image), image[..., 3]))
    assert [note.code for note in notes] == ["opacity"]


def content_of(folder, image):
    return formats.read_picture(write(folder / "a", saved(image)))


GROUNDS = {
    "black": np.zeros((28, 28, 3)),
    "grey": np.full((28, 28, 3), 100),
    "white": np.full((28, 28, 3), 255),
    "red": np.dstack([np.full((28, 28), 200), np.zeros((28, 28, 2))]),
    "noise": np.random.default_rng(3).integers(0, 30, (28, 28, 3)),
}


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("form", ["soft", "hard"])
@pytest.mark.parametrize("array", [False, True])
def test_ink_that_was_made_transparent_is_the_ink(ground, form, array, tmp_path):
    """What is seen on any other paper is light ink on black, not the opaque ground."""
    ink = DIGIT if form == "soft" else np.where(DIGIT > 100, 255, 0).astype(np.uint8)
    image = np.dstack([GROUNDS[ground], 255 - ink]).astype(np.uint8)
    if array:
        notes = []
        x, _ = as_images(image[None], "a", "x", None, notes)
    else:
        content = content_of(tmp_path, image)
        x, notes = content.x, content.notes
    assert np.array_equal(x.reshape(28, 28), ink)
    assert not notes


@pytest.mark.parametrize("array", [False, True])
def test_a_hole_in_many_colours_is_noted(array, tmp_path):
    colours = np.repeat(np.tile(np.linspace(0, 255, 28), (28, 1))[..., None], 3, 2)
    image = np.dstack([colours, 255 - DIGIT]).astype(np.uint8)
    content = as_content(image[None], None, "a", "x", None) if array else content_of(tmp_path, image)
    assert [note.code for note in content.notes] == ["opacity"]


@pytest.mark.parametrize("corner", [1, 3])
def test_round_corners_are_no_ink(corner, tmp_path):
    alpha = np.full((28, 28), 255, np.uint8)
    for rows in (slice(corner), slice(-corner, None)):
        for columns in (slice(corner), slice(-corner, None)):
            alpha[rows, columns] = 0
    grey = DIGIT // 8 * (alpha > 0)
    content = content_of(tmp_path, np.dstack([grey] * 3 + [alpha]))
    assert np.array_equal(content.x.reshape(28, 28), grey)


def pages(case, grey):
    """Digits on opaque paper, of which a part was made transparent: (n, 28, 28, 4)."""
    found = []
    for x in grey:
        image = Image.fromarray(np.dstack([x] * 3 + [np.full_like(x, 255)]))
        mask = Image.new("L", (28, 28), 0)
        if case == "turned":
            image = image.rotate(10, Image.Resampling.BILINEAR)
            mask = image.getchannel("A")
        elif case == "round corners":
            ImageDraw.Draw(mask).rounded_rectangle((0, 0, 27, 27), 9, fill=255)
        elif case == "round":
            ImageDraw.Draw(mask).ellipse((0, 0, 27, 27), fill=255)
        else:
            mask.paste(255, {"top row": (0, 1, 28, 28), "frame": (1, 1, 27, 27)}.get(case, (0, 0, 28, 28)))
            if case == "corners":
                for at in ((0, 0), (27, 0), (0, 27), (27, 27)):
                    mask.putpixel(at, 0)
        image.putalpha(mask)
        found.append(np.asarray(image))
    return np.stack(found)


CUTS = ["turned", "round corners", "round", "top row", "frame", "corners"]


@pytest.mark.parametrize("case", CUTS)
@pytest.mark.parametrize("form", ["png", "webp", "npz"])
@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (200, 40), (110, 0), (0, 255)])
def test_what_is_transparent_beside_paper_is_paper(case, form, paper, ink, tmp_path):
    """The corners of a white page that was turned are no ink, whatever colour their file hides there."""
    digits = data.load("digits").train.x[:20].reshape(-1, 28, 28)
    images = pages(case, (paper + digits.astype(np.int64) * (ink - paper) // 255).astype(np.uint8))
    images[images[..., 3] == 0, :3] = 90
    labels = np.arange(20) % 2
    if form == "npz":
        path = tmp_path / "a.npz"
        np.savez(path, x=images, y=labels)
    else:
        path = tmp_path / "a"
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            (path / str(label)).mkdir(parents=True, exist_ok=True)
            name = path / str(label) / f"{number:02}.{form}"
            Image.fromarray(image).save(name, **({"lossless": True, "exact": True} if form == "webp" else {}))
        images = images[np.argsort(labels, kind="stable")]
    found = data.load(path)
    assert {note.code for note in found.notes} - {"empty-class"} == ({"dark-ink"} if paper else set())
    assert not found.train.x.reshape(images.shape[:3])[images[..., 3] == 0].any()
    one = path if form == "npz" else path / "0" / f"00.{form}"
    model = Preprocessing(paper=paper, ink=ink)
    notes = []
    x = data.read_images(one, (28, 28), model, notify=notes.append).reshape(-1, 28, 28)
    assert not x[images[: len(x), ..., 3] == 0].any()
    assert {note.code for note in notes} <= {"not-used"}


@pytest.mark.parametrize("form", ["png", "npz"])
def test_a_light_object_of_which_more_is_cut_out_is_noted(form, tmp_path):
    """It may be a page with round corners, or be meant by its outline."""
    grey = np.where(DIGIT > 200, 100, 255).astype(np.uint8)
    alpha = np.zeros((28, 28), np.uint8)
    alpha[3:25, 3:25] = 255
    image = np.dstack([grey, grey, grey, alpha])
    if form == "npz":
        np.savez(tmp_path / "a", x=image[None])
    else:
        Image.fromarray(image).save(tmp_path / "a.npz", "PNG")
    notes = []
    found = data.read_images(tmp_path / "a.npz", (28, 28), notify=notes.append)
    np.testing.assert_array_equal(found.reshape(28, 28), np.where(alpha, grey, 0))
    assert [note.code for note in notes] == ["opacity"]

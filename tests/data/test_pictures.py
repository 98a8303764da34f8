"""Pictures of the formats that Pillow unpacks, in the bytes that Pillow has; what it would lose is converted here."""

import io

import numpy as np
import pytest
from PIL import Image

import fnnet
from fnnet import data
from fnnet.data import formats, pictures
from fnnet.data.preprocess import measure
from fnnet.data.reader import Wanted, read_as
from fnnet.errors import DataError
from tests.tools.samples import write

DIGITS = data.load("digits").train
RGB = np.random.default_rng(3).integers(0, 256, (28, 28, 4), np.uint8)
GREY = np.ascontiguousarray(RGB[..., 0])
LUMA = (RGB[..., :3].astype(np.int64) @ [19595, 38470, 7471] + 2**15) // 2**16
ALPHA = (RGB[..., :3].astype(np.int64) @ [19595, 38470, 7471] * RGB[..., 3] + 255 * 2**15) // (255 * 2**16)


def saved(array, kind, mode=None, **options):
    """The file that Pillow writes."""
    out = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(out, kind, **options)
    return out.getvalue()


def read(path):
    content = formats.read_picture(path)
    assert content.x.shape == (1, content.image_shape[0] * content.image_shape[1])
    assert not content.x.flags.writeable
    return content.x.reshape(content.image_shape), content.lossy


def pillow(content):
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image.convert("RGB")).astype(np.int64)
    return (pixels @ [19595, 38470, 7471] + 2**15) // 2**16


LOSSLESS = {
    "grey.bmp": (saved(GREY, "BMP"), GREY),
    "colour.bmp": (saved(RGB[..., :3], "BMP"), LUMA),
    "bits.bmp": (saved(GREY, "BMP", "1"), np.asarray(Image.fromarray(GREY).convert("1")) * 255),
    "grey.gif": (saved(GREY, "GIF"), GREY),
    "lossless.webp": (saved(RGB[..., :3], "WEBP", lossless=True), LUMA),
    "alpha.webp": (saved(RGB, "WEBP", lossless=True, exact=True), ALPHA),
    "grey.pgm": (saved(GREY, "PPM"), GREY),
    "colour.ppm": (saved(RGB[..., :3], "PPM"), LUMA),
    "bits.pbm": (saved(GREY, "PPM", "1"), np.asarray(Image.fromarray(GREY).convert("1")) * 255),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_every_pixel(name, tmp_path):
    content, exact = LOSSLESS[name]
    found, lossy = read(write(tmp_path / name, content))
    assert not lossy
    np.testing.assert_array_equal(found, exact)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossy_formats_give_pillow_s_pixels(kind, mode, tmp_path):
    content = saved(GREY if mode == "L" else RGB[..., :3], kind, quality=75)
    found, lossy = read(write(tmp_path / "a.bin", content))
    assert lossy
    np.testing.assert_array_equal(found, pillow(content))


def test_a_progressive_and_a_cmyk_jpeg(tmp_path):
    content = saved(GREY, "JPEG", progressive=True)
    np.testing.assert_array_equal(read(write(tmp_path / "a.jpg", content))[0], pillow(content))
    content = saved(RGB[..., :3], "JPEG", "CMYK", quality=95)
    np.testing.assert_array_equal(read(write(tmp_path / "b.jpg", content))[0], pillow(content))


@pytest.mark.parametrize("most", [255, 4095])
def test_bytes_in_16_bits_are_refused(most, tmp_path):
    values = (GREY.astype(int) * most // 255).astype(">u2")
    path = write(tmp_path / "a.pgm", b"P5 28 28 65535\n" + values.tobytes())
    with pytest.raises(DataError, match=r"a\.pgm: the pixels: samples of more than 8 bits, nearly black; .* save it"):
        read(path)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("most", [1, 2, 15, 100, 254, 255, 256, 1000, 65535])
def test_netpbm_images_are_scaled_from_their_maximum(most, text, tmp_path):
    """Rounded to the nearest; both ways of 16 bits: Pillow scales those that are not of 8 to 65535 first."""
    values = np.linspace(0, most, 28 * 28).round().astype(np.int64).reshape(28, 28)
    body = (
        " ".join(map(str, values.ravel())).encode() if text else values.astype(">u2" if most > 255 else "u1").tobytes()
    )
    path = write(tmp_path / "a.pgm", f"P{2 if text else 5}\n# made by hand\n28 28\n{most}\n".encode() + body)
    found = read(path)[0]
    assert np.abs(found - values * 255 / most).max() <= 0.5 + 255 / 65535
    assert (found[0, 0], found[-1, -1]) == (0, 255)


@pytest.mark.parametrize("kind", range(1, 7))
@pytest.mark.parametrize("most", [1, 255, 1000, 65535])
@pytest.mark.parametrize("behind", ["image", "line", "bytes", "nothing"])
def test_netpbm_of_several_images_is_refused_and_other_bytes_behind_it_are_passed_over(kind, most, behind, tmp_path):
    """As animations are; the format puts one image behind another."""
    colours, text, bits = 3 if kind % 3 == 0 else 1, kind < 4, kind % 3 == 1
    values = np.repeat(np.arange(5 * 4) % 2, colours) * most
    if text:
        body = " ".join(map(str, values // most if bits else values)).encode()
    elif bits:
        body = np.packbits((values // most).reshape(4, 5).astype(bool), axis=1).tobytes()
    else:
        body = values.astype(">u2" if most > 255 else "u1").tobytes()
    one = f"P{kind}\n# P2 is not here\n5 4\n{'' if bits else most}\n".replace("\n\n", "\n").encode() + body
    more = {"image": one, "line": b"\n", "bytes": b"\n# more P5\n" if text else b"\0\xff", "nothing": b""}[behind]
    path = write(tmp_path / "a.pnm", one + (b"\n" if text else b"") + more)
    if behind == "image":
        with pytest.raises(DataError, match=r"expected one image, found netpbm of several; save a single image"):
            read(path)
    else:
        assert np.unique(read(path)[0]).tolist() == [0, 255]


TURN = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.T,
        6: lambda a: np.rot90(a, 3), 7: lambda a: np.rot90(a, 2).T, 8: np.rot90}  # fmt: skip


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", TURN)
def test_exif_s_eight_orientations(kind, orientation, tmp_path):
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    content = saved(GREY[:12], kind, quality=90, exif=exif)
    with Image.open(io.BytesIO(content)) as image:
        lying = np.asarray(image.convert("L"))
    path = write(tmp_path / "a.jpg", content)
    found = read(path)[0]
    np.testing.assert_array_equal(found, TURN[orientation](lying))
    assert data.read_images(path, found.shape).shape == (1, found.size)
    if found.shape != (28, 28):
        with pytest.raises(DataError, match="the header: image size does not fit"):
            data.read_images(path, found.shape[::-1])


def test_a_transparent_gif_lies_on_black(tmp_path):
    """But for one of a single colour: see test_ink_of_alpha.py."""
    picture = Image.fromarray((GREY // 86).astype(np.uint8), "P")
    picture.putpalette([255, 255, 255, 0, 255, 0, 0, 0, 255])
    out = io.BytesIO()
    picture.save(out, "GIF", transparency=0)
    found = read(write(tmp_path / "a.gif", out.getvalue()))[0]
    np.testing.assert_array_equal(found, np.array([0, 150, 29])[GREY // 86])


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_animations_are_refused(kind, tmp_path):
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="an animation; expected one image"):
        read(write(tmp_path / "a.gif", out.getvalue()))


def test_a_phone_s_jpeg_of_two_pictures_is_its_first(tmp_path):
    out = io.BytesIO()
    Image.fromarray(GREY).save(out, "MPO", save_all=True, append_images=[Image.fromarray(255 - GREY)], quality=95)
    found = read(write(tmp_path / "a.jpg", out.getvalue()))[0]
    assert np.abs(found.astype(int) - GREY).mean() < 20


@pytest.mark.parametrize("name", [*LOSSLESS, "a.jpg"])
def test_cut_files_are_refused(name, tmp_path):
    content = LOSSLESS[name][0] if name in LOSSLESS else saved(GREY, "JPEG")
    refused = 0
    for length in range(16, len(content), max(1, len(content) // 40)):
        path = write(tmp_path / name, content[:length])
        try:
            found = read(path)[0]
        except DataError as error:
            refused += 1
            assert error.place
            assert error.fix
        else:  # only what follows the pixels was cut
            np.testing.assert_array_equal(found, LOSSLESS[name][1] if name in LOSSLESS else pillow(content))
    assert refused > 30


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.bmp", saved(np.zeros((1, 2**15 + 1), np.uint8), "BMP"), "image too large"),
        ("a.pgm", b"P5\n40000 40000\n255\n", "image too large"),
        ("a.pgm", b"P5\n0 28\n255\n", "damaged netpbm image"),
        ("a.pgm", b"P5\n2 1\n70000\nabcd", "damaged netpbm image"),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(64), "damaged JPEG image"),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8 " + bytes(64), "damaged WebP image"),
        ("a.gif", b"GIF89a" + bytes(64), "damaged GIF image"),
    ],
)
def test_what_is_no_picture_is_refused(name, content, problem, tmp_path):
    with pytest.raises(DataError, match=problem):
        read(write(tmp_path / name, content))


def test_a_file_beyond_all_pixels_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "MAX_FILE", 100)
    with pytest.raises(DataError, match="file too large; expected at most 100 bytes"):
        read(write(tmp_path / "a.bmp", saved(GREY, "BMP")))


def test_netpbm_in_text_is_no_table(tmp_path):
    path = write(tmp_path / "a.csv", b"P2 2 2 3\n0 1 2 3\n")
    assert read_as(formats.FORMATS, path, Wanted(False)).x.tolist() == [[0, 85, 170, 255]]


def test_class_folders_of_jpeg_train_like_png(run, tmp_path):
    """Blank pixels that are not quite blank are blank again, and the model keeps by how much."""
    for name, options in (("png", {}), ("jpeg", {"quality": 75})):
        for number, (image, label) in enumerate(zip(DIGITS.x[:300], DIGITS.labels, strict=False)):
            folder = tmp_path / name / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:03}.{name}").write_bytes(saved(image.reshape(28, 28), name, **options))
    png, jpeg = (data.load(tmp_path / name) for name in ("png", "jpeg"))
    assert png.preprocessing.blank == 0
    assert 4 <= jpeg.preprocessing.blank <= 24
    assert (jpeg.train.x[png.train.x == 0] == 0).mean() >= 0.95
    assert np.abs(jpeg.train.x.astype(int) - png.train.x).mean() < 4
    run("train", "--data", tmp_path / "jpeg", "--epochs", 3, "--quiet", "--out", tmp_path / "m")
    assert fnnet.load_model(tmp_path / "m").preprocessing == jpeg.preprocessing
    assert run("predict", tmp_path / "m", tmp_path / "jpeg" / "3" / "003.jpeg", "--quiet").code == 0


def test_noise_of_lossy_photos_is_left():
    x = np.random.default_rng(0).integers(0, 256, (100, 784), np.uint8)
    assert measure(data.Reading(), x, (28, 28), lossy=True)[0].blank == 0

"""Pictures, in a folder for each class."""

import numpy as np

from tests.campaigns.data import IMAGES, LABELS, Case, X, by_class, of_pillow

PICTURES = "Pictures in a folder for each class"
GREY = by_class()
PAPER = by_class(255 - X)


def folders(form, convert=None, x=IMAGES, **options):
    """Save each image with Pillow in the folder of its class."""

    def write(folder):
        from PIL import Image

        for number, (image, label) in enumerate(zip(x, LABELS.tolist(), strict=True)):
            place = folder / str(label)
            place.mkdir(exist_ok=True)
            picture = Image.fromarray(image)
            picture = convert(picture) if convert else picture
            picture.save(place / f"{number:02}.{form}", **options)
        return folder

    return write


def to(mode):
    """Convert a picture to a mode."""
    return lambda picture: picture.convert(mode)


def to_16_bits(picture):
    """16 bits of grey: 257 times the byte."""
    from PIL import Image

    return Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)


def inked(picture):
    """White ink whose strength is in the alpha channel, on black."""
    from PIL import Image

    return Image.merge("LA", [Image.new("L", picture.size, 255), picture])


def cornered(picture):
    """A page whose corners are transparent, as one that was turned is saved."""
    from PIL import Image

    alpha = np.full(picture.size[::-1], 255, np.uint8)
    alpha[:3, :3] = alpha[:3, -3:] = alpha[-3:, :3] = alpha[-3:, -3:] = 0
    return Image.merge("LA", [picture, Image.fromarray(alpha)])


def longer(folder):
    """Write bytes behind the end of each picture."""
    folders("png")(folder)
    for path in folder.rglob("*.png"):
        path.write_bytes(path.read_bytes() + b"more")
    return folder


def in_pieces(folder):
    """Pictures in two folders that are no classes, and a table of their classes beside these."""
    from PIL import Image

    lines = ["image_id,dx"]
    for number, (image, label) in enumerate(zip(IMAGES, LABELS.tolist(), strict=True)):
        place = folder / f"images_part_{1 + number % 2}"
        place.mkdir(exist_ok=True)
        Image.fromarray(image).save(place / f"{number:02}.png")
        lines.append(f"{number:02},{label}")
    (folder / "metadata.csv").write_text("\n".join([*lines, ""]))
    return folder


def turned(picture):
    """A picture whose columns lie in the file as rows, as a camera held upright stores them."""
    from PIL import Image

    return picture.transpose(Image.Transpose.ROTATE_90)


def parts(folder):
    """Training and test images in folders of their own, with what systems leave in them."""
    half = slice(0, 60)
    for part in ("train", "test"):
        folders("png", x=IMAGES[half])(_made(folder / part))
    (folder / "train" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (folder / "train" / "0" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "train" / "0" / "._00.png").write_bytes(b"\0\5\x16\7")
    return folder


def _made(folder):
    folder.mkdir()
    return folder


BINARY = by_class((X > 127).astype(np.uint8) * 255)


def read():
    """The rows that are read."""
    yield "PNG, grey", folders("png"), GREY
    yield (
        "PNG, 1 bit",
        folders("png", lambda picture: picture.point(lambda value: 255 * (value > 127)).convert("1")),
        BINARY,
    )
    yield "PNG, 16 bits", folders("png", to_16_bits), GREY
    yield "PNG, RGB", folders("png", to("RGB")), GREY
    yield "PNG, RGBA", folders("png", to("RGBA")), GREY
    yield "PNG, a palette of greys", folders("png", to("P")), GREY
    yield "PNG, white ink in the alpha channel", folders("png", inked), GREY
    yield "PNG, dark ink on light paper", folders("png", x=255 - IMAGES), GREY, ("dark-ink",)
    yield (
        "PNG, dark ink on light paper, corners transparent",
        folders("png", cornered, 255 - IMAGES),
        GREY,
        ("dark-ink",),
    )
    yield "PNG, with bytes behind its end", longer, GREY
    yield "PNG in folders train and test, with files of macOS and Windows", parts, GREY
    yield "JPEG, quality 95", folders("jpg", quality=95), of_pillow
    yield "JPEG, quality 75", folders("jpg"), of_pillow
    yield "JPEG, progressive", folders("jpg", progressive=True), of_pillow
    yield "JPEG, colour", folders("jpg", to("RGB")), of_pillow
    yield "JPEG, CMYK", folders("jpg", to("CMYK"), quality=100, subsampling=0), of_pillow
    yield (
        "JPEG, turned as EXIF says",
        folders("jpg", turned, quality=95, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
        of_pillow,
    )
    yield "WebP, lossless", folders("webp", lossless=True), GREY
    yield "WebP, lossy", folders("webp"), of_pillow
    yield "BMP, grey", folders("bmp"), GREY
    yield (
        "BMP, 1 bit",
        folders("bmp", lambda picture: picture.point(lambda value: 255 * (value > 127)).convert("1")),
        BINARY,
    )
    yield "BMP, 24 bits", folders("bmp", to("RGB")), GREY
    yield "GIF, one frame", folders("gif"), GREY
    yield "PGM", folders("pgm"), GREY
    yield "PPM", folders("ppm", to("RGB")), GREY
    yield "PBM", folders("pbm", lambda picture: picture.point(lambda value: 255 * (value > 127)).convert("1")), BINARY


def animated(form):
    """Save one picture of two frames."""

    def write(folder):
        from PIL import Image

        frames = [Image.fromarray(image) for image in IMAGES[:2]]
        folders("png")(folder)
        frames[0].save(folder / "0" / f"anim.{form}", save_all=True, append_images=frames[1:])
        return folder

    return write


def other(form, **options):
    """Save one picture in another format beside PNGs."""

    def write(folder):
        from PIL import Image

        folders("png")(folder)
        Image.fromarray(IMAGES[0]).save(folder / "0" / f"a.{form}", **options)
        return folder

    return write


def beside(name, content):
    """Write a file beside the pictures of a class."""

    def write(folder):
        folders("png")(folder)
        (folder / "0" / name).write_bytes(content)
        return folder

    return write


def cut(folder):
    """Cut a picture in its midst."""
    folders("png")(folder)
    file = min((folder / "0").iterdir())
    file.write_bytes(file.read_bytes()[:-30])
    return folder


def sizes(folder):
    """A picture of another size."""
    from PIL import Image

    folders("png")(folder)
    Image.fromarray(IMAGES[0]).resize((30, 28)).save(folder / "1" / "z.png")
    return folder


def refused():
    """The rows that are refused, and words of the line."""
    yield "an animated GIF", animated("gif"), "an animation"
    yield "an animated WebP", animated("webp"), "an animation"
    yield "an animated PNG", animated("png"), "animat"
    yield "AVIF", other("avif"), ".avif"
    yield "JPEG 2000", other("jp2"), "jp2"
    yield "SVG", beside("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>'), ".svg"
    yield "a text file named as a picture", beside("a.png", b"not a picture\n"), "a.png"
    yield "a picture cut in its midst", cut, "PNG cut short"
    yield "a picture of another size", sizes, "size"


def cases():
    """All rows of this page."""
    for what, write, expected, *codes in read():
        yield Case(PICTURES, what, "PIL", write, expected=expected, codes=codes[0] if codes else ())
    for what, write, words in refused():
        yield Case(PICTURES, what, "PIL", write, refused=words)
    what, said = "in folders of one collection, and a table of their classes", {"label_column": "dx"}
    yield Case(PICTURES, what, "PIL", in_pieces, said, codes=("labels-in-table",))

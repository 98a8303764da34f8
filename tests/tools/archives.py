"""Archives and npy members made by hand, whose headers and directories may lie."""

import zipfile
import zlib


def sparse(path, content, size, end=b""):
    """A file of `content`, a hole up to `size` bytes, and `end`."""
    with open(path, "wb") as file:
        file.write(content)
        file.truncate(size)
        file.seek(size)
        file.write(end)


def npy(header, content=b"", version=1):
    header = header if isinstance(header, bytes) else header.encode()
    return b"\x93NUMPY" + bytes((version, 0)) + len(header).to_bytes(2 * version, "little") + header + content


def header(shape, descr="|u1"):
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"


def archive(method=zipfile.ZIP_DEFLATED, level=1, **members):
    def build(path):
        with zipfile.ZipFile(path, "w", method, compresslevel=level) as file:
            for name, content in members.items():
                file.writestr(f"{name}.npy", content() if callable(content) else content)

    return build


def directory(member, size, packed, offset=0, name=b"x_train.npy", method=8):
    """A member's entry in the directory of an archive."""
    numbers = b"".join(number.to_bytes(2, "little") for number in (20, 20, 0, method, 0, 0))
    numbers += b"".join(number.to_bytes(4, "little") for number in (zlib.crc32(member), packed, size))
    return b"PK\1\2" + numbers + len(name).to_bytes(2, "little") + bytes(12) + offset.to_bytes(4, "little") + name


def local(packed, name=b"x_train.npy", method=8):
    head = b"PK\3\4" + b"".join(number.to_bytes(2, "little") for number in (20, 0, method, 0, 0)) + bytes(12)
    return head + len(name).to_bytes(2, "little") + bytes(2) + name + packed


def end(entries, offset, count=1, comment=b""):
    number = count.to_bytes(2, "little")
    lengths = len(entries).to_bytes(4, "little") + offset.to_bytes(4, "little") + len(comment).to_bytes(2, "little")
    return entries + b"PK\5\6" + bytes(4) + number * 2 + lengths + comment


def zipped(packed, size, declared=None, method=8, hole=0, crc=b""):
    """An archive of x_train alone, whose directory declares the given sizes."""

    def build(path):
        member = local(packed, method=method)
        entries = directory(crc, size, len(packed) + hole if declared is None else declared, method=method)
        sparse(path, member, len(member) + hole, end(entries, len(member) + hole))

    return build

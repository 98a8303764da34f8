"""Files from the bytes that a fuzzer makes: checksums, lengths and compression are corrected around them, so that
mutations reach the code behind those checks. The first byte is the mode; mode 0 takes the rest as the file itself."""

import hashlib
import json
import re
import struct
import zlib

DTYPES = ("|u1", "|i1", "<u2", ">u2", "<i4", ">i8", "<f4", "<f8", "|b1", "|O", "<U1", "|V3", "<c8", "<M8[s]", "<u8")
NAMES = ("x_train", "y_train", "x_test", "y_test", "x_train.npy", "../x_train", "/x", "", "X_TRAIN", "y_train\0")
CHUNKS = b"IHDR PLTE IDAT IEND tRNS gAMA iCCP zTXt iTXt tEXt pHYs cHRM sRGB acTL fcTL fdAT eXIf bKGD aaAa".split()
COMPRESSED = {b"IDAT": 0, b"zTXt": 2, b"iCCP": 2}
"""Chunks that hold a zlib stream, and where in them it starts."""


def raw(data):
    """The bytes as they are."""
    return data


def deflated(data, wbits, level=1):
    """One zlib (15) or gzip (31) stream, or a bare one (-15)."""
    packer = zlib.compressobj(level, zlib.DEFLATED, wbits, 1)
    return packer.compress(data) + packer.flush()


def gzipped(data):
    """Mode 1 compressed, 2 stored, 3 cut at a place, 4 with bytes or a member after it, 5 with another trailer."""
    mode, rest = data[:1], data[1:]
    if mode == b"\1":
        return deflated(rest, 31)
    if mode == b"\2":
        return deflated(rest, 31, 0)
    if mode == b"\3":
        whole = deflated(rest[1:], 31)
        return whole[: len(whole) * rest[0] // 256] if rest else b""
    if mode == b"\4":
        return deflated(rest[4:], 31) + (rest[:4] if rest[:1] < b"\x80" else deflated(rest[:4], 31))
    if mode == b"\5":
        whole = deflated(rest[8:], 31)
        return whole[:-8] + bytes(a ^ b for a, b in zip(whole[-8:], rest[:8].ljust(8, b"\0"), strict=True))
    return rest


def zipped(data):
    """Mode 1: the two given npy files as x_train and y_train. Mode 2: npy files with the given headers. Mode 3: any
    members, with a directory that may lie."""
    mode, rest = data[:1], data[1:]
    if mode == b"\1" and len(rest) > 2:
        size = int.from_bytes(rest[:2], "little")
        return archive([("x_train.npy", rest[2 : 2 + size], 0, 0), ("y_train.npy", rest[2 + size :], 0, 0)])
    if mode == b"\2" and rest:
        members, left = [], rest[1:]
        for name in ("x_train", "y_train", "x_test", "y_test")[: 2 + 2 * (rest[0] >> 7)]:
            content, left = npy(left)
            members.append((f"{name}.npy", content, 8 * (rest[0] & 1), 0))
        return archive(members)
    if mode == b"\3":
        members = []
        while len(rest) > 3 and len(members) < 8:
            name, flags, size = NAMES[rest[0] % len(NAMES)], rest[1], rest[2]
            content, rest = rest[3 : 3 + size], rest[3 + size :]
            suffix = ".npy" if flags & 1 else ""
            members.append((name + suffix, npy(content)[0] if flags & 2 else content, 8 * (flags >> 2 & 1), flags))
        return archive(members)
    return rest


def npy(data):
    """An npy file of dtype data[0], order and version data[1], rank data[2], and the sizes after it; what is left."""
    head = data[:3].ljust(3, b"\0")
    dtype, rank = DTYPES[head[0] % len(DTYPES)], head[2] % 6
    shape = tuple(data[3 : 3 + rank])
    count = 1
    for size in shape:
        count *= size
    count = min(count * int(re.search(r"\d+|$", dtype)[0] or 8), 2048)
    body, left = data[3 + rank : 3 + rank + count].ljust(count, b"\1"), data[3 + rank + count :]
    text = f"{{'descr': {dtype!r}, 'fortran_order': {bool(head[1] & 1)}, 'shape': {shape!r}, }}".encode()
    text = text.ljust(117, b" ") + b"\n"
    version = 1 + (head[1] >> 1) % 3
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes((version, 0)) + length + text + body, left


def archive(members):
    """A zip of (name, content, method, lies): of the flags the high bits make the directory lie."""
    out, directory = b"", b""
    for name, content, method, lies in members:
        stored = deflated(content, -15) if method == 8 else content
        crc, size = zlib.crc32(content) ^ (lies >> 7), len(content) + (2**30 if lies & 64 else lies >> 5 & 1)
        title, bits = name.encode(), (lies >> 4 & 1) | (8 if lies & 8 else 0)
        common = struct.pack("<HHHHHIIIHH", 20, bits, method, 0, 33, crc, len(stored), size, len(title), 0)
        directory += b"PK\1\2" + b"\x14\0" + common + struct.pack("<HHHII", 0, 0, 0, 0, len(out)) + title
        out += b"PK\3\4" + common + title + stored
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(out), 0)
    return out + directory + b"PK\5\6" + end


def chunk(kind, data):
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(data):
    """Mode 1: chunks whose lengths and checksums are corrected. Mode 2: a header and the rows. Mode 3: (kind, length,
    data) chunks, those that hold streams compressed."""
    mode, rest = data[:1], data[1:]
    out = b"\x89PNG\r\n\x1a\n"
    if mode == b"\1":
        while len(rest) >= 8:
            size = int.from_bytes(rest[:4], "big")
            out += chunk(rest[4:8], rest[8 : 8 + size])
            rest = rest[12 + size :]
        return out
    if mode == b"\2" and len(rest) >= 8:
        width, height, depth, colour, interlace, kind, size, _ = rest[:8]
        extra, rows = rest[8 : 8 + size % 64], rest[8 + size % 64 :]
        out += chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
        out += chunk(CHUNKS[kind % len(CHUNKS)], extra) if extra else b""
        return out + chunk(b"IDAT", deflated(rows, 15)) + chunk(b"IEND", b"")
    if mode == b"\3":
        while len(rest) > 2:
            kind, size = CHUNKS[rest[0] % len(CHUNKS)], rest[1]
            content, rest = rest[2 : 2 + size], rest[2 + size :]
            start = COMPRESSED.get(kind)
            out += chunk(kind, content if start is None else content[:start] + deflated(content[start:], 15))
        return out
    return rest


ZEROS = b"0" * 64
SEAL = re.compile(rb'"sha256":"[0-9a-f]{64}"')


def sealed(head, data):
    """A file of the header and the arrays, with its length and its checksum corrected."""
    head += b" " * (-len(head) % 8)
    blank = SEAL.sub(b'"sha256":"' + ZEROS + b'"', head)
    size = len(head).to_bytes(8, "little")
    digest = hashlib.sha256(size + blank + data).hexdigest().encode()
    return size + SEAL.sub(b'"sha256":"' + digest + b'"', head) + data


def container(kind):
    """The builder of a model or checkpoint. Mode 1: a header, a newline, the arrays. Mode 2: a description, a newline,
    "name dtype sizes" for each array, an empty line, the arrays."""

    def build(data):
        mode, rest = data[:1], data[1:]
        head, _, left = rest.partition(b"\n")
        if mode == b"\1":
            return sealed(head, left)
        if mode == b"\2":
            names, _, arrays = left.partition(b"\n\n")
            metadata = {"format": f"fnnet-{kind}", "version": "1", "sha256": ZEROS.decode()}
            header, end = {"__metadata__": {**metadata, kind: head.decode("utf-8", "replace")}}, 0
            for line in names.decode("latin-1").split("\n")[:40]:
                name, dtype, *sizes = [*line.split(" "), "F32"] if " " not in line else line.split(" ")
                shape, begin = [int(size) for size in sizes[:4] if re.fullmatch("[0-9]{1,4}", size)], end
                count = 8 if dtype == "F64" else 4
                for size in shape:
                    count *= size
                end += count
                header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
            text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
            return sealed(text, arrays[:end].ljust(min(end, 4096), b"\0"))
        return rest

    return build


def logged(data):
    """Mode 1: lines, each with a correct checksum at its end."""
    mode, rest = data[:1], data[1:]
    return b"\n".join(map(_logged, rest.split(b"\n"))) if mode == b"\1" else rest


def _logged(line):
    if not line.endswith(b"}"):
        return line
    head = line[:-1]
    return head + b', "sha256": "' + hashlib.sha256(head).hexdigest().encode() + b'"}'


def of_any_kind(data):
    """The first byte selects the builder that takes the rest."""
    builders = (raw, gzipped, zipped, png)
    return builders[data[0] % len(builders)](data[1:]) if data else b""

"""Damaged, hostile and merely odd files, built on demand, each with the outcome that it must get."""

from __future__ import annotations

import io
import os
import random
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from tests.dicom_files import hostile_dicom_files
from xray_core.imaging.records import Flag
from xray_core.records import ReasonCode


@dataclass(frozen=True, slots=True)
class HostileFile:
    """A file to be: its name, what makes it, and its reason code, or None and the flags when it is scored."""

    name: bytes
    build: Callable[[Path], None]
    outcome: ReasonCode | None = None
    flags: frozenset[Flag] = frozenset()

    @property
    def id(self) -> str:
        return os.fsdecode(self.name)


def hostile_files() -> list[HostileFile]:
    """The whole corpus; names are unique, so all of it fits into one folder."""
    files = [
        *_whole_files(),
        *_unfinished_files(),
        *_foreign_files(),
        *_broken_pngs(),
        *_broken_jpegs(),
        *_useless_pictures(),
        *_irregular_files(),
    ]
    for name, content, outcome, flags in hostile_dicom_files():
        files.append(_file(name, content, outcome, *flags))
    assert len({file.name for file in files}) == len(files)
    return files


@lru_cache
def film(height: int = 256, width: int = 256) -> NDArray[np.uint8]:
    """Grey levels that pass for a film: a bright middle, dark lungs, noise, and no flat or blank part."""
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    lungs = np.exp(-((abs(columns - 0.5) - 0.22) ** 2) / 0.012 - (rows - 0.45) ** 2 / 0.08)
    noise = np.random.default_rng(7).normal(0, 4, (height, width))
    return np.clip(60 + 120 * (1 - abs(columns - 0.5)) + 30 * rows - 120 * lungs + noise, 0, 255).astype(np.uint8)


def label_map(*levels: int, side: int = 256) -> NDArray[np.uint8]:
    """A picture of these grey levels alone: the first around two lungs, the others in them and in a few small boxes."""
    rows, columns = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    picture = np.full((side, side), levels[0], dtype=np.uint8)
    for number, middle in enumerate((0.3, 0.7)):
        inside = ((columns - middle) / 0.13) ** 2 + ((rows - 0.45) / 0.3) ** 2 < 1
        picture[inside] = levels[1:][number % (len(levels) - 1)]
    for number, level in enumerate(levels[3:]):
        top, left = (number % 4 + 0.5) / 5, (number // 4 + 0.5) / 5
        picture[(abs(rows - top) < 0.07) & (abs(columns - left) < 0.07)] = level
    return picture


def encode(pixels: NDArray[np.generic] | Image.Image, kind: str, **options: object) -> bytes:
    """A picture as bytes in one of Pillow's formats."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def png() -> bytes:
    """A whole 8-bit grey PNG."""
    return encode(film(), "PNG")


def jpeg() -> bytes:
    """A whole grey JPEG."""
    return encode(film(), "JPEG", quality=90)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its right checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(width: int, height: int, *, depth: int = 8, colour: int = 0, data: bytes, extra: bytes = b"") -> bytes:
    """A PNG from its parts; `data` is the zlib stream."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [png_chunk(b"IHDR", header), extra, png_chunk(b"IDAT", data), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def zlib_zeros(size: int) -> bytes:
    """A valid zlib stream of `size` zero bytes (whole MiB), made without inflating them: a bomb."""
    packer = zlib.compressobj(9)
    first = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = struct.pack(">I", ((size % 65521) << 16) | 1)
    return first + again * (size // 2**20 - 1) + b"\x03\x00" + checksum


def _file(name: str, content: Callable[[], bytes], outcome: ReasonCode | None, *flags: Flag) -> HostileFile:
    return HostileFile(name.encode(), lambda path: _write(path, content()), outcome, frozenset(flags))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _rgb() -> Image.Image:
    return Image.fromarray(film()).convert("RGB")


def _with_alpha(mode: str, *, opaque: bool) -> Image.Image:
    image = Image.fromarray(film()).convert(mode)
    alpha = np.full(film().shape, 255, dtype=np.uint8)
    if not opaque:
        alpha[:64] = 0
    image.putalpha(Image.fromarray(alpha))
    return image


def _rgb16_png() -> bytes:
    rows = np.repeat(film().astype(">u2")[..., np.newaxis] * 257, 3, axis=-1).astype(">u2")
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    return raw_png(256, 256, depth=16, colour=2, data=zlib.compress(lines))


def _with_orientation(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "ZZCANARY^NAME"
    return encode(film(192, 256), "JPEG", exif=exif)


def _with_exif(block: bytes) -> bytes:
    body = b"Exif\0\0" + block
    return jpeg()[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg()[2:]


def _with_text(value: str) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", value)
    return encode(film(), "PNG", pnginfo=text)


def _exif_png() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(film(192, 256), "PNG", exif=exif)


def _cut(whole: Callable[[], bytes], share: float) -> Callable[[], bytes]:
    return lambda: whole()[: int(len(whole()) * share)]


def _zero_tail(whole: Callable[[], bytes], share: float) -> Callable[[], bytes]:
    return lambda: whole()[: int(len(whole()) * share)] + bytes(len(whole()) - int(len(whole()) * share))


def _finest_jpeg() -> bytes:
    return encode(film(), "JPEG", quality=100, subsampling=0)


def _progressive() -> bytes:
    return encode(film(), "JPEG", progressive=True)


def _whole_files() -> list[HostileFile]:
    sixteen = (Flag.SIXTEEN_BIT,)
    renamed = (Flag.EXTENSION_MISMATCH,)
    trailing = (Flag.TRAILING_DATA,)
    rotated = [
        _file(f"rotated-{n}.jpg", lambda n=n: _with_orientation(n), None, Flag.EXIF_ROTATED) for n in range(2, 9)
    ]
    return [
        *rotated,
        _file("grey.png", png, None),
        _file("rgb.png", lambda: encode(_rgb(), "PNG"), None),
        _file("grey.jpg", jpeg, None),
        _file("rgb.jpg", lambda: encode(_rgb(), "JPEG"), None),
        _file("progressive.jpg", _progressive, None),
        _file("finest.jpg", lambda: encode(_rgb(), "JPEG", quality=100, subsampling=0), None),
        _file("restarts.jpg", lambda: encode(film(), "JPEG", restart_marker_blocks=4), None),
        _file("opaque-rgba.png", lambda: encode(_with_alpha("RGBA", opaque=True), "PNG"), None),
        _file("opaque-la.png", lambda: encode(_with_alpha("LA", opaque=True), "PNG"), None),
        _file("palette.png", lambda: encode(Image.fromarray(film()).convert("P"), "PNG"), None),
        _file("four-bit.png", lambda: encode(Image.fromarray(film() // 16 * 16).quantize(16), "PNG"), None),
        _file("interlaced.png", _interlaced_png, None),
        _file("16bit.png", lambda: encode(film().astype(np.uint16) * 257, "PNG"), None, *sixteen),
        _file("12in16bit.png", lambda: encode(film().astype(np.uint16) * 16, "PNG"), None, *sixteen),
        _file("rgb16bit.png", _rgb16_png, None, *sixteen),
        _file("upright.jpg", lambda: _with_orientation(1), None),
        _file("orientation-99.jpg", lambda: _with_orientation(99), None, Flag.EXIF_BAD),
        _file("garbage-exif.jpg", lambda: _with_exif(b"\xde\xad\xbe\xef" * 8), None, Flag.EXIF_BAD),
        _file("cut-exif.jpg", lambda: _with_exif(b"II*\0\x08\0\0\0\xff\xff"), None, Flag.EXIF_BAD),
        _file("rotated.png", _exif_png, None, Flag.EXIF_ROTATED),
        _file("php.jpg", lambda: jpeg() + b"<?php system($_GET['c']); ?>", None, *trailing),
        _file("zip.png", lambda: png() + b"PK\x03\x04" + bytes(64), None, *trailing),
        _file("two-jpegs.jpg", lambda: jpeg() + jpeg(), None, *trailing),
        _file("SHOUTED.JPG", jpeg, None),
        _file("grey.jfif", jpeg, None),
        _file("no-ending", png, None),
        _file("png-inside.jpg", png, None, *renamed),
        _file("jpeg-inside.png", jpeg, None, *renamed),
        _file("png-inside.dcm", png, None, *renamed),
        _file("comment.jpg", lambda: encode(film(), "JPEG", quality=90, comment=b"ZZCANARY"), None),
        _file("gamma.png", lambda: _with_chunk(b"gAMA", struct.pack(">I", 45455)), None),
        _file("text.png", lambda: _with_text("ZZCANARY"), None),
        _file("cut-then-ended.jpg", lambda: _cut(jpeg, 0.5)() + b"\xff\xd9", None, Flag.SUSPECT_TRUNCATION),
    ]


def _interlaced_png() -> bytes:
    """Adam7 by hand: Pillow only reads it."""
    lines = []
    for top, left, down, right in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)):
        lines += [b"\0" + row.tobytes() for row in film()[top::down, left::right]]
    lines += [b"\0" + row.tobytes() for row in film()[1::2]]
    header = struct.pack(">IIBBBBB", 256, 256, 8, 0, 0, 0, 1)
    data = zlib.compress(b"".join(lines))
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _with_chunk(kind: bytes, body: bytes) -> bytes:
    """A whole PNG with one more chunk after its header."""
    return png()[:33] + png_chunk(kind, body) + png()[33:]


def _unfinished_files() -> list[HostileFile]:
    cut = ReasonCode.TRUNCATED
    files = [_file(f"empty.{ending}", bytes, ReasonCode.EMPTY) for ending in ("png", "jpg", "dcm")]
    for share in (0.1, 0.5, 0.9, 0.99):
        percent = int(share * 100)
        files += [
            _file(f"cut-{percent}.png", _cut(png, share), cut),
            _file(f"cut-{percent}.jpg", _cut(jpeg, share), cut),
            _file(f"zero-tail-{percent}.png", _zero_tail(png, share), cut),
            _file(f"zero-tail-{percent}.jpg", _zero_tail(_finest_jpeg, share), cut),
            _file(f"zero-tail-progressive-{percent}.jpg", _zero_tail(_progressive, share), cut),
        ]
    return [
        *files,
        _file("signature.png", lambda: png()[:8], cut),
        _file("half-a-signature.png", lambda: png()[:4], cut),
        _file("no-iend.png", lambda: png()[:-12], cut),
        _file("half-an-iend.png", lambda: png()[:-3], cut),
        _file("no-eoi.jpg", lambda: jpeg()[:-2], cut),
        _file("half-an-eoi.jpg", lambda: jpeg()[:-1], cut),
        _file("header-then-noise.jpg", lambda: jpeg()[:400] + random.Random(3).randbytes(4000), cut),
        _file("thumbnail-then-cut.jpg", lambda: _with_exif(b"II*\0" + jpeg())[:-500], cut),
    ]


def _foreign_files() -> list[HostileFile]:
    foreign = ReasonCode.UNSUPPORTED_FORMAT
    contents: dict[str, Callable[[], bytes]] = {
        "one-byte.png": lambda: b"\x89",
        "html.png": lambda: b"<!DOCTYPE html><html><body>Not found</body></html>",
        "text.jpg": lambda: b"nothing to see here\n" * 40,
        "lfs-pointer.png": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64,
        "svg.png": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="512" height="512"/>',
        "pdf.jpg": lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(400),
        "zip.jpg": lambda: b"PK\x03\x04" + bytes(400),
        "elf.dcm": lambda: b"\x7fELF\x02\x01\x01" + bytes(400),
        "noise.png": lambda: random.Random(5).randbytes(5000),
        "zeros.png": lambda: bytes(100_000),
        "eps.jpg": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\nshowpage\n",
        "animated-gif.png": lambda: encode(
            Image.fromarray(film()), "GIF", save_all=True, append_images=[Image.fromarray(255 - film())]
        ),
    }
    for kind, name in (
        ("GIF", "gif.png"),
        ("BMP", "bmp.jpg"),
        ("TIFF", "tiff.png"),
        ("WEBP", "webp.jpg"),
        ("JPEG2000", "jp2.jpg"),
        ("ICO", "ico.png"),
    ):
        contents[name] = lambda kind=kind: encode(film(), kind)  # type: ignore[misc]
    return [_file(name, content, foreign) for name, content in contents.items()]


def _broken_pngs() -> list[HostileFile]:
    corrupt, huge = ReasonCode.CORRUPT_IMAGE, ReasonCode.TOO_MANY_PIXELS
    small = zlib.compress(bytes(100))
    return [
        _file("bit-flip.png", lambda: _flip(png(), len(png()) // 2), corrupt),
        _file("header-checksum.png", lambda: _flip(png(), 20), corrupt),
        _file("no-size.png", lambda: raw_png(0, 0, data=small), corrupt),
        _file("two-headers.png", lambda: _with_chunk(b"IHDR", png()[16:29]), corrupt),
        _file("no-header.png", lambda: png()[:8] + png()[33:], corrupt),
        _file("short-header.png", lambda: png()[:8] + png_chunk(b"IHDR", b"\0\0") + png()[33:], corrupt),
        _file("no-pixels.png", lambda: png()[:33] + png_chunk(b"IEND", b""), corrupt),
        _file("too-few-pixels.png", lambda: raw_png(256, 256, data=small), corrupt),
        _file("no-deflate.png", lambda: raw_png(256, 256, data=b"\xff" * 99), corrupt),
        _file("unknown-colour.png", lambda: raw_png(256, 256, colour=5, data=small), corrupt),
        _file("text-bomb.png", lambda: _with_chunk(b"zTXt", b"k\0\0" + zlib_zeros(200 * 2**20)), corrupt),
        _file("profile-bomb.png", lambda: _with_chunk(b"iCCP", b"k\0\0" + zlib_zeros(200 * 2**20)), corrupt),
        _file("huge-claim.png", lambda: raw_png(50_000, 50_000, data=small), huge),
        _file("largest-claim.png", lambda: raw_png(2**31 - 1, 2**31 - 1, data=small), huge),
        _file("zero-bomb.png", lambda: raw_png(50_000, 50_000, data=zlib_zeros(2385 * 2**20)), huge),
        _file("144-megapixels.png", lambda: raw_png(12_000, 12_000, data=zlib_zeros(138 * 2**20)), huge),
        _file("animated.png", _animated_png, ReasonCode.MULTI_FRAME),
        _file("transparent-rgba.png", lambda: encode(_with_alpha("RGBA", opaque=False), "PNG"), _TRANSPARENT),
        _file("transparent-la.png", lambda: encode(_with_alpha("LA", opaque=False), "PNG"), _TRANSPARENT),
        _file("transparent-palette.png", _transparent_palette, _TRANSPARENT),
        _file("transparent-grey.png", lambda: encode(film(), "PNG", transparency=100), _TRANSPARENT),
        _file("one-bit.png", lambda: encode(Image.fromarray(film()).convert("1"), "PNG"), ReasonCode.ONE_BIT_IMAGE),
    ]


_TRANSPARENT = ReasonCode.TRANSPARENT_PIXELS


def _flip(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :]


def _animated_png() -> bytes:
    return encode(Image.fromarray(film()), "PNG", save_all=True, append_images=[Image.fromarray(255 - film())] * 40)


def _transparent_palette() -> bytes:
    return encode(Image.fromarray(film()).quantize(64), "PNG", transparency=bytes([0] * 32))


def _claim(content: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header claims another size."""
    position = content.index(b"\xff\xc0") + 5
    return content[:position] + struct.pack(">HH", height, width) + content[position + 4 :]


def _broken_jpegs() -> list[HostileFile]:
    corrupt, huge = ReasonCode.CORRUPT_IMAGE, ReasonCode.TOO_MANY_PIXELS
    cmyk = Image.fromarray(film()).convert("CMYK")
    other = Image.fromarray(255 - film()).convert("RGB")
    return [
        _file("nothing-inside.jpg", lambda: b"\xff\xd8\xff\xd9", corrupt),
        _file("lossless.jpg", lambda: jpeg().replace(b"\xff\xc0", b"\xff\xc3", 1), corrupt),
        _file("arithmetic.jpg", lambda: jpeg().replace(b"\xff\xc0", b"\xff\xc9", 1), corrupt),
        _file("12-bit.jpg", lambda: _twelve_bit(jpeg()), corrupt),
        _file("no-size.jpg", lambda: _claim(jpeg(), 256, 0), corrupt),
        _file("no-frame.jpg", lambda: jpeg().replace(b"\xff\xc0", b"\xff\xec", 1), corrupt),
        _file("two-frames.jpg", lambda: _twice(jpeg(), b"\xff\xc0"), corrupt),
        _file("no-markers.jpg", lambda: jpeg()[:20] + b"\x00" * 99 + b"\xff\xd9", corrupt),
        _file("200-scans.jpg", lambda: _many_scans(200), corrupt),
        _file("mostly-grey.jpg", lambda: _claim(jpeg(), 2_900, 30_000), huge),
        _file("huge-claim.jpg", lambda: _claim(jpeg(), 65_000, 65_000), huge),
        _file("two-pictures.jpg", lambda: encode(_rgb(), "MPO", save_all=True, append_images=[other]), _FRAMES),
        _file("cmyk.jpg", lambda: encode(cmyk, "JPEG"), ReasonCode.UNSUPPORTED_COLOUR),
    ]


_FRAMES = ReasonCode.MULTI_FRAME


def _twelve_bit(content: bytes) -> bytes:
    position = content.index(b"\xff\xc0") + 4
    return content[:position] + b"\x0c" + content[position + 1 :]


def _twice(content: bytes, marker: bytes) -> bytes:
    start = content.index(marker)
    end = start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")
    return content[:end] + content[start:]


def _many_scans(scans: int) -> bytes:
    content = _progressive()
    start = content.index(b"\xff\xda")
    end = start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")
    return content[:start] + content[start:end] * scans + content[end:]


def _useless_pictures() -> list[HostileFile]:
    flat, small = ReasonCode.NO_CONTRAST, ReasonCode.TOO_SMALL
    noise = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    photo = np.stack([film(), np.roll(film(), 60, axis=1), 255 - film()], axis=-1)
    page = np.full((256, 256), 250, dtype=np.uint8)
    page[20:22, 20:60] = 0
    few = ReasonCode.FEW_GREY_LEVELS
    return [
        _file("mask.png", lambda: encode(label_map(0, 255), "PNG"), few),
        _file("mask.jpg", lambda: encode(label_map(0, 255), "JPEG"), few),
        _file("mask-16bit.png", lambda: encode(label_map(0, 1).astype(np.uint16), "PNG"), few),
        _file("label-map.png", lambda: encode(label_map(*range(8)), "PNG"), few),
        _file("colour-noise.png", lambda: encode(noise, "PNG"), ReasonCode.NOT_GREYSCALE),
        _file("photo.jpg", lambda: encode(photo, "JPEG"), ReasonCode.NOT_GREYSCALE),
        _file("coloured-palette.png", lambda: encode(Image.fromarray(photo).quantize(), "PNG"), _COLOURED),
        _file("black.png", lambda: encode(np.zeros((256, 256), np.uint8), "PNG"), flat),
        _file("white.jpg", lambda: encode(np.full((256, 256), 255, np.uint8), "JPEG"), flat),
        _file("blank-page.png", lambda: encode(page, "PNG"), flat),
        _file("flat-16bit.png", lambda: encode(np.full((256, 256), 900, np.uint16), "PNG"), flat),
        _file("1x1.png", lambda: encode(film()[:1, :1], "PNG"), small),
        _file("8x8.jpg", lambda: encode(film()[:8, :8], "JPEG"), small),
        _file("1x5000.png", lambda: encode(np.resize(film(), (5000, 1)), "PNG"), small),
        _file("ribbon.png", lambda: encode(np.resize(film(), (100, 1000)), "PNG"), ReasonCode.BAD_ASPECT),
    ]


_COLOURED = ReasonCode.NOT_GREYSCALE


def _irregular_files() -> list[HostileFile]:
    link, odd = ReasonCode.SYMLINK, ReasonCode.NOT_REGULAR_FILE
    return [
        HostileFile(b"passwd.png", lambda path: path.symlink_to("/etc/passwd"), link),
        HostileFile(b"zero.png", lambda path: path.symlink_to("/dev/zero"), link),
        HostileFile(b"loop.png", lambda path: path.symlink_to(path.name), link),
        HostileFile(b"dangling.png", lambda path: path.symlink_to("nowhere.png"), link),
        HostileFile(b"folder.png", lambda path: path.mkdir(), odd),
        HostileFile(b"pipe.png", os.mkfifo, odd),
        HostileFile(b"socket.png", _make_socket, odd),
        HostileFile(b"sparse.png", lambda path: _make_sparse(path, 200 * 2**30), ReasonCode.FILE_TOO_LARGE),
    ]


def _make_socket(path: Path) -> None:
    """By a relative name: a socket's path may have 107 bytes only."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def _make_sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)

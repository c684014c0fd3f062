"""One X-ray file's bytes to grey levels: PNG, JPEG or DICOM, found by content and never by name."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_core.errors import UnreadableXray
from xray_core.imaging.grey_levels import check_grey_levels
from xray_core.imaging.jpeg import JPEG_SIGNATURE
from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.png import PNG_SIGNATURE
from xray_core.imaging.raster import read_jpeg, read_png
from xray_core.imaging.records import UNIDENTIFIED, Flag, GreyRules, Identifiers, ImageFacts
from xray_core.records import FileFormat, ReasonCode

_ENDINGS = {
    FileFormat.PNG: {".png"},
    FileFormat.JPEG: {".jpg", ".jpeg", ".jpe", ".jfif"},
    FileFormat.DICOM: {".dcm", ".dicom", ".dic", ".ima"},
}
_FOREIGN_ENDINGS = {".gif", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".pdf", ".txt"}
# The endings that claim another format than a file's own.
_MISLEADING = {
    own: _FOREIGN_ENDINGS.union(*(endings for other, endings in _ENDINGS.items() if other is not own))
    for own in _ENDINGS
}

_THUMBNAIL_SIDE = 64


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One X-ray: its picture in grey levels (mode L), white is dense.

    `dhash` is a 64-bit difference hash in 16 hex digits: near-duplicates differ in few bits. `identifiers` are raw:
    make pseudonyms of them at once and log them never.
    """

    picture: Image.Image
    facts: ImageFacts
    dhash: str
    identifiers: Identifiers = UNIDENTIFIED

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The grey levels (height, width) uint8, a copy."""
        return np.asarray(self.picture)


def read_radiograph(
    content: bytes,
    *,
    name_ending: str = "",
    draft_size: tuple[int, int] | None = None,
    limits: ImageLimits = ImageLimits(),  # noqa: B008 (frozen)
    rules: GreyRules = GreyRules.V2,
    chest_words: Collection[str] = (),
) -> Radiograph:
    """Decode a file's bytes, or raise UnreadableXray with the reason code why not.

    `name_ending` (".png") only serves to flag a name that claims another format. With a draft size (width,
    height) a larger X-ray comes at a reduced scale that still is twice that size; `facts` give the stored size.
    `rules` are those of the model that will look at it; `chest_words` a site's own names of the chest in DICOM tags.
    Call it from one thread per process: it silences the libraries' warnings, which is a process-wide switch.
    """
    limits.check_bytes(len(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image, facts, identifiers = _decode(content, draft_size, limits, rules, chest_words)
    image = _reduce(image, draft_size)
    thumbnail = _shrink(image)
    check_grey_levels(image, thumbnail)
    flagged = _with_flags(facts, thumbnail, name_ending.lower())
    return Radiograph(image, flagged, _hash_differences(thumbnail), identifiers)


def _decode(
    content: bytes,
    draft_size: tuple[int, int] | None,
    limits: ImageLimits,
    rules: GreyRules,
    chest_words: Collection[str],
) -> tuple[Image.Image, ImageFacts, Identifiers]:
    if content.startswith(PNG_SIGNATURE):
        return *read_png(content, limits, rules), UNIDENTIFIED
    if content.startswith(JPEG_SIGNATURE):
        return *read_jpeg(content, limits, draft_size), UNIDENTIFIED
    if content[128:132] == b"DICM":
        from xray_core.imaging.dicom.film import read_dicom

        pixels, facts, identifiers = read_dicom(content, limits, rules=rules, chest_words=chest_words)
        return Image.fromarray(pixels), facts, identifiers
    if len(content) > 1 and (PNG_SIGNATURE.startswith(content) or JPEG_SIGNATURE.startswith(content)):
        raise UnreadableXray(ReasonCode.TRUNCATED, "ends inside its signature")
    raise UnreadableXray(ReasonCode.UNSUPPORTED_FORMAT, "neither PNG nor JPEG nor DICOM by its first bytes")


def _reduce(image: Image.Image, draft_size: tuple[int, int] | None) -> Image.Image:
    """Boxes of pixels averaged, as many as leave at least twice the draft size: all later steps then cost little."""
    if draft_size is None:
        return image
    return image.reduce((max(1, image.width // (2 * draft_size[0])), max(1, image.height // (2 * draft_size[1]))))


def _shrink(image: Image.Image) -> Image.Image:
    """A small copy, its shorter side 64 to 127 pixels, for what needs no detail."""
    return image.reduce(max(1, min(image.size) // _THUMBNAIL_SIDE))


def _with_flags(facts: ImageFacts, thumbnail: Image.Image, ending: str) -> ImageFacts:
    raised = set(facts.flags)
    if ending in _MISLEADING[facts.file_format]:
        raised.add(Flag.EXTENSION_MISMATCH)
    if facts.file_format is FileFormat.JPEG and _looks_cut(thumbnail):
        raised.add(Flag.SUSPECT_TRUNCATION)
    return replace(facts, flags=tuple(flag for flag in Flag if flag in raised)) if raised else facts


def _looks_cut(thumbnail: Image.Image) -> bool:
    """Whether the bottom fifth is flat and not black: what a decoder makes of missing rows."""
    bottom = np.asarray(thumbnail)[-(thumbnail.height // 5) :]
    return bool(np.all(bottom.std(axis=1) < 1.0) and bottom.mean() > 8)


def _hash_differences(thumbnail: Image.Image) -> str:
    """Difference hash (N. Krawetz, 2013): is each cell of an 8 by 8 grid brighter than its left neighbour?"""
    cells = np.asarray(thumbnail.resize((9, 8), Image.Resampling.BOX))
    return np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes().hex()

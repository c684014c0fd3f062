"""How large, how small and how long an X-ray may be before anything of it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from xray_core.errors import UnreadableXray
from xray_core.records import ReasonCode


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Bounds on a file (bytes), on its pixels and on its shape; the 240 real films lie well inside.

    `max_pixels` counts width times height: 40 million take at most 160 MB while they are decoded.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = 40_000_000
    min_side: int = 64
    max_aspect: float = 4.0

    def check_bytes(self, size: int) -> None:
        """Raise UnreadableXray EMPTY or FILE_TOO_LARGE for a file of `size` bytes."""
        if size == 0:
            raise UnreadableXray(ReasonCode.EMPTY, "0 bytes")
        if size > self.max_bytes:
            raise UnreadableXray(ReasonCode.FILE_TOO_LARGE, f"{size} bytes; expected at most {self.max_bytes}")

    def check_shape(self, width: int, height: int) -> None:
        """Raise UnreadableXray TOO_MANY_PIXELS, TOO_SMALL or BAD_ASPECT for what a header claims."""
        if width * height > self.max_pixels:
            raise UnreadableXray(
                ReasonCode.TOO_MANY_PIXELS, f"{width}x{height} pixels; expected at most {self.max_pixels}"
            )
        if min(width, height) < self.min_side:
            raise UnreadableXray(
                ReasonCode.TOO_SMALL, f"{width}x{height} pixels; expected at least {self.min_side} a side"
            )
        if max(width, height) > self.max_aspect * min(width, height):
            raise UnreadableXray(
                ReasonCode.BAD_ASPECT, f"{width}x{height} pixels; expected at most {self.max_aspect:g} to 1"
            )

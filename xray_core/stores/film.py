"""Where one film lies: a path on this machine, or an object in a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from xray_core.errors import UnreadableXray
from xray_core.imaging.content import SIDECAR_ENDING, check_announced
from xray_core.imaging.limits import ImageLimits
from xray_core.records import Refusal
from xray_core.stores.bucket import Bucket


@dataclass(frozen=True, slots=True)
class BucketFilm:
    """A film in a bucket by its name there; with a `tag` only that version of it, of `size` bytes."""

    bucket: Bucket
    name: bytes
    tag: str | None = None
    size: int = 1

    def read(self) -> bytes:
        """Its bytes. Raises UnreadableXray."""
        ImageLimits().check_bytes(self.size)
        return self.bucket.read(self.name, self.tag)[0]

    def fetch(self) -> bytes | Refusal:
        """Its bytes, held against the `.sha256` object beside it where there is one; or why there are none."""
        try:
            content = self.read()
            if announced := self.bucket.read_beside(self.name + SIDECAR_ENDING):
                check_announced(announced[0], sha256(content).hexdigest())
        except UnreadableXray as error:
            return Refusal(error.reason, error.detail)
        return content


# A path on this machine, or a film that must be fetched.
FilmPlace = bytes | BucketFilm

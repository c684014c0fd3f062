"""What UIDs of a PACS are called in this home's results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flows.home.site_key import name_uid, read_site_key
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.imaging.dicom.identifiers import read_uid
from xray_core.imaging.records import UidKind


def name_uids(settings: Settings, kind: UidKind, lines: Iterable[bytes]) -> Iterator[str]:
    """A pseudonym of 32 digits for every line, nothing for an empty one, as they come.

    Raises RefusedInput for a line that holds no UID; it does not say what stands there.
    """
    key = read_site_key(settings)
    for number, line in enumerate(lines, start=1):
        text = line.decode("utf-8-sig", "replace").strip()
        uid = read_uid(text)
        if text and uid is None:
            raise RefusedInput(
                f"standard input, line {number}: received no UID; expected at most 64 digits and dots, one UID a line"
            )
        yield name_uid(key, kind, uid) or ""

"""Where the home keeps the fitted grey levels of its labelled films, for trainings to come."""

from __future__ import annotations

from flows.home.site_key import read_site_key, seal_key
from flows.settings import Settings
from xray_core.processes.grey_store import GreyStore

_MIB = 2**20


def find_grey_store(settings: Settings) -> GreyStore | None:
    """The store, sealed by this home's key; None where XRAY_KEPT_MIB is 0. Its folder need not be there."""
    if not settings.kept_mib:
        return None
    return GreyStore(
        settings.greys_dir,
        key=seal_key(read_site_key(settings)),
        most_bytes=settings.kept_mib * _MIB,
        spare_bytes=settings.min_free_mib * _MIB,
    )

"""`xray scan`: one pass over the incoming folder, and what came of it."""

from __future__ import annotations

from flows.cli.terminal import open_home, print_json, show_progress, tell
from flows.home.termination import stopping_on_sigterm, unbroken
from flows.registry.standing import read_caution
from flows.scoring.counts import ScanCounts
from flows.scoring.scan import open_scan
from xray_core.records import RESEARCH_USE


def run_scan(*, as_json: bool) -> None:
    """Score what arrived and tell it; see `xray scan --help`."""
    with stopping_on_sigterm():
        with unbroken():
            settings = open_home()
        with open_scan(settings) as scanning, show_progress("scoring", unit="X-rays") as advance:
            if settings.task_runner == "local":
                for batch in scanning.find_batches():
                    scanning.score(batch, on_progress=advance)
            else:
                from flows.scoring.fan_out import score_on_dask

                score_on_dask(scanning, on_progress=advance)
            counts = scanning.counts
            caution = read_caution(settings, scanning.engine) if counts.files and not as_json else None
    if as_json:
        print_json(_as_json(counts))
        return
    tell([f"{counts.sentence()}. {RESEARCH_USE}"])
    listed = (("outcome", counts.outcomes), ("rejected", counts.rejected), ("deferred", counts.deferred))
    for title, counted in (*listed, ("not moved", counts.unarchived)):
        tell(f"  {title:9} {name:28} {number}" for name, number in sorted(counted.items()))
    if caution:
        tell([caution])


def _as_json(counts: ScanCounts) -> dict[str, object]:
    return {
        "scored": counts.scored,
        "already_scored": counts.known,
        "outcomes": dict(counts.outcomes),
        "rejected": dict(counts.rejected),
        "deferred": dict(counts.deferred),
        "unarchived": dict(counts.unarchived),
    }

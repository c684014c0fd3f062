"""The scheduled scoring flow: score the X-rays that arrived since the last run."""

from __future__ import annotations

from typing import Annotated, cast
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from pydantic import Field

from flows.deployments.endings import complete
from flows.deployments.retries import is_passing_fault
from flows.home.folders import enter_home
from flows.home.public_errors import without_words
from flows.registry.standing import read_caution
from flows.scoring.counts import ScanCounts
from flows.scoring.scan import Scan, open_scan
from flows.scoring.score_files import Batch
from flows.settings import read_settings
from xray_core.records import RESEARCH_USE

_BatchSize = Annotated[int | None, Field(ge=1, le=1024)]
_SettleSeconds = Annotated[float | None, Field(ge=0, le=3600)]


@flow(name="score-incoming")
@without_words
def score_incoming(batch_size: _BatchSize = None, settle_seconds: _SettleSeconds = None) -> State[None]:
    """Score every complete X-ray in incoming/ that has no result yet. Research use only, not for diagnosis.

    Args:
        batch_size: X-rays per inference and per transaction; empty means XRAY_BATCH_SIZE (64).
        settle_seconds: a file must be unchanged for this long, seconds; empty means XRAY_SETTLE_SECONDS (5).
    """
    given = {"batch_size": batch_size, "settle_seconds": settle_seconds}
    settings = read_settings().but({key: value for key, value in given.items() if value is not None})
    enter_home(settings)
    with open_scan(settings, flow_run_id=flow_run.id) as scan:
        if settings.task_runner == "local":
            for number, batch in enumerate(scan.find_batches(), start=1):
                score_batch(scan, batch, number)
        else:
            score_elsewhere(scan)
        caution = read_caution(settings) if scan.counts.files else None
        publish_counts(scan.counts, caution)
        return complete(scan.counts.title(), "; ".join(filter(None, (scan.counts.sentence(), caution))))


@task(
    task_run_name="score-batch-{number}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=is_passing_fault,
)
@without_words
def score_batch(scan: Scan, batch: Batch, number: int) -> None:
    """Score one batch of files; what a retry finds scored already is not scored again."""
    description = f"batch {number}: {len(batch.files)} files"
    shown = cast(UUID, create_progress_artifact(0.0, key="scoring", description=description))  # no coroutine here
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        before, done = done, done + count
        if done * 10 // len(batch.files) > before * 10 // len(batch.files):
            update_progress_artifact(shown, progress=100 * done / len(batch.files))

    scan.score(batch, on_progress=advance)
    get_run_logger().info("batch %d: %s so far", number, scan.counts.sentence())


@task(task_run_name="score-on-dask", cache_policy=NO_CACHE, persist_result=False)
@without_words
def score_elsewhere(scan: Scan) -> None:
    """Have all batches scored by the Dask workers of XRAY_TASK_RUNNER."""
    from flows.scoring.fan_out import score_on_dask

    score_on_dask(scan, on_progress=lambda count: get_run_logger().info("%d more files are decided", count))


def publish_counts(counts: ScanCounts, caution: str | None) -> None:
    """A table of outcomes and reason codes; a run that found nothing says so in its state and leaves no table."""
    if not counts.files:
        return
    rows = [
        {"decision": "scored", "outcome or reason": name, "files": n} for name, n in sorted(counts.outcomes.items())
    ]
    if counts.known:
        rows.append({"decision": "scored", "outcome or reason": "same content scored before", "files": counts.known})
    for decision, reasons in (("rejected", counts.rejected), ("deferred", counts.deferred)):
        rows += [{"decision": decision, "outcome or reason": name, "files": n} for name, n in sorted(reasons.items())]
    words = " ".join(filter(None, ("What this run decided.", f"{caution}." if caution else None, RESEARCH_USE)))
    create_table_artifact(rows, key="scan-outcomes", description=words)

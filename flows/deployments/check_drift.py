"""The drift flow: once a day, are the incoming X-rays still like those that the champion was trained on?"""

from __future__ import annotations

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.deployments.endings import complete
from flows.deployments.retries import is_passing_fault
from flows.home.folders import enter_home
from flows.home.public_errors import without_words
from flows.operations.drift import check_drift_of_champion
from flows.registry.standing import read_caution
from flows.settings import Settings, read_settings
from xray_core.errors import NoChampion, RefusedInput
from xray_core.evaluation.drift import Drift
from xray_core.records import RESEARCH_USE


@flow(name="check-drift")
@without_words
def check_drift() -> State[None]:
    """Compare recent X-rays and scores with the champion's own; where they have moved, fewer labels retrain."""
    settings = read_settings()
    enter_home(settings)
    try:
        drift = compare_recent(settings)
    except (RefusedInput, NoChampion) as refusal:  # a new home has no champion yet: nothing failed
        return complete("Nothing to do", str(refusal))
    caution = read_caution(settings)
    publish_drift(drift, caution)
    message = " ".join(filter(None, (drift.sentence, f"{caution}." if caution else None)))
    return complete("Drifted" if drift.moved else "Not moved", message)


@task(
    name="compare-recent",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=is_passing_fault,
)
@without_words
def compare_recent(settings: Settings) -> Drift:
    """Read the newest X-rays again, score them, compare; the answer goes into the ledger."""
    drift = check_drift_of_champion(settings)
    if drift.moved:
        get_run_logger().warning("%s", drift.sentence)
    return drift


def publish_drift(drift: Drift, caution: str | None) -> None:
    """The sentence, every figure with its shift, and what must stand beside the champion's scores."""
    rows = "\n".join(
        f"| {shift.name} | {shift.size:.2f} | {shift.p_value:.3f} | {'MOVED' if shift.has_moved else 'no'} |"
        for shift in drift.figures
    )
    table = f"\n\n| figure | shift, 0 to 1 | p, corrected | moved |\n| --- | --- | --- | --- |\n{rows}" if rows else ""
    create_markdown_artifact(
        f"{drift.sentence}{table}\n\n{caution or ''}\n\n**{RESEARCH_USE}**",
        key="drift",
        description="Have the incoming X-rays moved?",
    )

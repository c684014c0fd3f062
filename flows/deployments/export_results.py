"""The export flow: write the results CSV for review, once a day and by hand."""

from __future__ import annotations

from datetime import datetime

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.deployments.endings import complete
from flows.deployments.retries import is_passing_fault
from flows.home.folders import enter_home
from flows.home.public_errors import without_words
from flows.registry.standing import read_caution, read_predictive_values
from flows.review.exports import as_utc, write_export
from flows.settings import Settings, read_settings
from xray_core.exchange.results_csv import ExportSummary
from xray_core.records import RESEARCH_USE


@flow(name="export-results")
@without_words
def export_results(since: datetime | None = None) -> State[None]:
    """Write one row for every file the service ever decided on into a new CSV in exports/.

    Args:
        since: only files decided at or after this time (UTC); empty means every file.
    """
    settings = read_settings()
    enter_home(settings)
    summary = write_csv(settings, as_utc(since))
    caution = read_caution(settings)
    publish_link(summary, caution)
    worth = read_predictive_values(settings)
    return complete(f"Wrote {summary.rows} rows", "; ".join(filter(None, (f"{summary.rows} rows", worth, caution))))


@task(name="write-csv", cache_policy=NO_CACHE, persist_result=False, retries=2, retry_condition_fn=is_passing_fault)
@without_words
def write_csv(settings: Settings, since: datetime | None) -> ExportSummary:
    """Write the CSV aside and put it in place whole."""
    return write_export(settings, since=since)


def publish_link(summary: ExportSummary, caution: str | None) -> None:
    """A link for a browser on this machine, and the path to copy: most browsers open no file from a web page."""
    words = " ".join(filter(None, (f"{caution}." if caution else None, RESEARCH_USE)))
    create_link_artifact(summary.path.as_uri(), link_text=summary.path.name, key="results-csv", description=words)
    create_markdown_artifact(
        f"`{summary.path}`\n\n{summary.rows} rows, SHA-256 `{summary.sha256}`\n\n**{words}**",
        key="results-csv-path",
    )

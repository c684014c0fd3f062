"""The label flow: take in what reviewers dropped into labels/, and say when enough has gathered to retrain."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.events import emit_event

from flows.deployments.endings import complete
from flows.deployments.retries import is_passing_fault
from flows.home.folders import enter_home
from flows.home.public_errors import without_words
from flows.review.label_import import DroppedFile, await_dropped, count_left_alone, take_in
from flows.scoring.counts import NOTHING_NEW
from flows.settings import Settings, read_settings
from flows.training.due import RetrainingDue, read_due

ENOUGH_LABELS = "xray.labels.enough"


@flow(name="import-labels")
@without_words
def import_labels() -> State[None]:
    """Import every labels CSV in labels/, all rows of a file or none, and fire the retraining when it is due."""
    settings = read_settings()
    enter_home(settings)
    files = [take_in_file(settings, path, number) for number, path in enumerate(await_dropped(settings), start=1)]
    due = read_due(settings)
    if due.due and not due.claimed:
        announce(due)
    publish_imports(files)
    return complete(_title(files), _sentence(files, due, left_alone=count_left_alone(settings)))


@task(
    task_run_name="import-file-{number}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=is_passing_fault,
)
@without_words
def take_in_file(settings: Settings, path: Path, number: int) -> DroppedFile:
    """Import one file or refuse it whole; its problems are listed beside it in labels/refused/, not here."""
    dropped = take_in(settings, path, number)
    if dropped.imported is None:
        told = dropped.fit + ", ".join(f"{n} {code}" for code, n in dropped.problems.items())
        get_run_logger().warning("file %d was refused (%s); every line is listed in labels/refused", number, told)
    return dropped


def announce(due: RetrainingDue) -> None:
    """Emit the event that the retrain deployment listens to; said again by every run until a training claims it."""
    emit_event(
        ENOUGH_LABELS,
        resource={"prefect.resource.id": "xray.labels.default"},
        payload={"new_labels": due.new_labels},
    )


def publish_imports(files: list[DroppedFile]) -> None:
    """A table of what was taken in and refused, by number: file names may name patients."""
    rows = [
        {
            "file": file.number,
            "taken in": "yes" if file.imported else "no, see labels/refused",
            "rows": file.imported.rows if file.imported else 0,
            "new labels": file.imported.new if file.imported else 0,
            **{f"problem {code}": n for code, n in file.problems.items()},
            **{f"label {name}": n for name, n in sorted((file.imported.by_label if file.imported else {}).items())},
        }
        for file in files
    ]
    if rows:
        create_table_artifact(rows, key="labels-imported", description="Labels CSVs of this run, all rows or none")


def _title(files: list[DroppedFile]) -> str:
    taken, refused = sum(file.imported is not None for file in files), sum(file.imported is None for file in files)
    new = sum(file.imported.new for file in files if file.imported)
    parts = [f"{new} new labels"] if taken else []
    return ", ".join(parts + ([f"refused {refused}"] if refused else [])).capitalize() or NOTHING_NEW


def _sentence(files: list[DroppedFile], due: RetrainingDue, *, left_alone: int) -> str:
    new = sum(file.imported.new for file in files if file.imported)
    refused = sum(file.imported is None for file in files)
    parts = [f"{new} new labels"] if files else ["no files"]
    parts += [f"{refused} files refused"] if refused else []
    left = f"; folders and links left alone: {left_alone} (`xray labels import FOLDER` takes a folder per class)"
    return ", ".join([*parts, due.reason]) + (left if left_alone else "")

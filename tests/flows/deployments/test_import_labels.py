"""The label flow's steps: files are taken in one by one, and enough labels make a retraining due."""

from __future__ import annotations

import pytest
from prefect.logging import disable_run_logger

from flows.deployments.import_labels import take_in_file
from flows.review.label_import import DroppedFile, find_dropped
from flows.settings import Settings
from flows.training.due import read_due
from tests.flows.scoring.test_scan import drop_xrays, read_lines, scan
from xray_core.records import Label


@pytest.fixture
def scored(settings: Settings) -> Settings:
    """A home with four scored X-rays, xray-0-000.png to xray-0-003.png."""
    drop_xrays(settings.incoming_dir, 4)
    scan(settings)
    return settings


def take_in_all(settings: Settings) -> list[DroppedFile]:
    """What the flow does with every file, without a server."""
    with disable_run_logger():
        return [take_in_file.fn(settings, path, at) for at, path in enumerate(find_dropped(settings), start=1)]


def drop_csv(settings: Settings, name: str, *rows: str) -> None:
    (settings.labels_dir / name).write_text("\n".join(("filename,label", *rows)))


def test_a_refused_file_does_not_keep_the_others_out(scored: Settings) -> None:
    drop_csv(scored, "a.csv", "xray-0-000.png,covid")
    drop_csv(scored, "b.csv", "xray-0-001.png,covid", "xray-0-002.png,flu")
    drop_csv(scored, "c.csv", "xray-0-003.png,normal")

    files = take_in_all(scored)

    assert [(file.number, file.imported is not None) for file in files] == [(1, True), (2, False), (3, True)]
    labels = {name: line.label for name, line in read_lines(scored).items()}
    assert labels == {
        "xray-0-000.png": Label.COVID,
        "xray-0-001.png": None,
        "xray-0-002.png": None,
        "xray-0-003.png": Label.NORMAL,
    }


def test_a_second_run_finds_nothing_to_do(scored: Settings) -> None:
    drop_csv(scored, "a.csv", "xray-0-000.png,covid")
    drop_csv(scored, "b.csv", "xray-0-001.png,flu")

    first, second = take_in_all(scored), take_in_all(scored)

    assert (len(first), second) == (2, [])


def test_labels_that_are_never_trained_on_bring_no_retraining_nearer(scored: Settings) -> None:
    drop_csv(scored, "a.csv", "xray-0-000.png,covid", "xray-0-001.png,unsure", "xray-0-002.png,exclude")

    take_in_all(scored)

    assert read_due(scored).new_labels == 1


def test_a_second_reader_who_agrees_adds_nothing_to_train_on(scored: Settings) -> None:
    (scored.labels_dir / "a.csv").write_text("filename,label,labelled_by\nxray-0-000.png,covid,A\n")
    (scored.labels_dir / "b.csv").write_text("filename,label,labelled_by\nxray-0-000.png,covid,B\n")

    files = take_in_all(scored)

    assert [file.imported.new for file in files if file.imported] == [1, 1]
    assert read_due(scored).new_labels == 1

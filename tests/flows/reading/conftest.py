"""Homes with films that were scored, and their pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from flows.settings import Settings
from tests.dicom_files import dicom
from tests.flows.reading.served import Served, serve
from tests.flows.scoring.test_scan import drop_xrays, scan

PATIENT = "NGUYEN^VAN^A"


def fill(settings: Settings) -> None:
    """Six films in files with names as they come: a person's, a date's, and what is no film."""
    drop_xrays(settings.incoming_dir, 4)
    first = next(iter(sorted(settings.incoming_dir.iterdir())))
    shutil.move(first, settings.incoming_dir / "Nguyen Van A 1961-04-30.png")
    (settings.incoming_dir / "film.dcm").write_bytes(dicom(PatientID=PATIENT, PatientName=PATIENT))
    (settings.incoming_dir / "report.png").write_bytes(b"%PDF-1.7 not an image")
    scan(settings)


@pytest.fixture(scope="module")
def scored(shared_settings: Settings) -> Settings:
    """A home whose films were scored, for all tests of a module."""
    fill(shared_settings)
    return shared_settings


@pytest.fixture(scope="module")
def results_page(scored: Settings) -> Iterator[Served]:
    """`xray results` in that home."""
    with serve(scored, "results") as served:
        yield served


def today() -> str:
    """The day that the service writes today."""
    return f"{datetime.now(UTC):%Y-%m-%d}"

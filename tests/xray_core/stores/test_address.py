"""Addresses of buckets, and where an archive may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.settings import Settings, read_settings
from xray_core.errors import RefusedInput
from xray_core.stores.address import is_bucket


def test_a_bucket_is_told_from_a_folder() -> None:
    assert [is_bucket(place) for place in ("s3://b/p", "gs://b", "az://c/p", "/data/s3", "s3:/b", "ftp://b")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_an_address_is_one_however_it_ends() -> None:
    assert Settings(incoming="s3://films/in/").incoming_bucket == "s3://films/in"
    assert Settings(incoming="films").incoming_dir == Path("films").absolute()


@pytest.mark.parametrize(
    ("incoming", "archive", "expected"),
    [
        ("s3://films/in", "s3://other/scored", "another prefix of the bucket of XRAY_INCOMING, as s3://films/archive"),
        ("s3://films/in", "/data/archive", "another prefix of the bucket of XRAY_INCOMING"),
        ("/data/in", "s3://films/scored", "expected a folder, for XRAY_INCOMING is one"),
        ("s3://films/in", "s3://films/in/scored", "expected a prefix beside s3://films/in"),
        ("s3://films", "s3://films/scored", "expected a prefix beside s3://films"),
        ("ftp://films/in", None, "expected a folder, or s3://BUCKET/PREFIX"),
    ],
)
def test_a_place_that_films_cannot_come_from_or_go_to_is_one_sentence(
    incoming: str, archive: str | None, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XRAY_HOME", str(tmp_path))
    monkeypatch.setenv("XRAY_INCOMING", incoming)
    if archive:
        monkeypatch.setenv("XRAY_ARCHIVE_DIR", archive)

    with pytest.raises(RefusedInput, match=expected) as refused:
        read_settings()

    assert len(str(refused.value).splitlines()) == 1

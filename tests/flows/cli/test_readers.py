"""`xray readers` on a real home."""

from __future__ import annotations

import pytest

from flows.reading.readers import add_reader, list_readers
from flows.settings import Settings
from xray_core.errors import RefusedInput


def test_a_reader_is_added_once_whatever_the_case_and_blanks(settings: Settings) -> None:
    assert list_readers(settings) == []
    assert add_reader(settings, "Reader A") == ["Reader A"]
    assert add_reader(settings, " reader  a ") == ["Reader A"]
    assert add_reader(settings, "Bo") == ["Reader A", "Bo"]
    assert list_readers(settings) == ["Reader A", "Bo"]


def test_a_name_that_is_none_is_refused(settings: Settings) -> None:
    with pytest.raises(RefusedInput, match="reader: received"):
        add_reader(settings, " ")

"""The database, flow and fault tests once more, on a private PostgreSQL server."""

from __future__ import annotations

import pytest

from tests.databases import server_url
from tests.postgres import ADVICE, find_programs, main

pytestmark = [pytest.mark.processes, pytest.mark.keras]

# The functions of db, and the home that opens them; operations, registry, review and scoring run in the other target.
# `make test-postgres` runs all that know a database, with the kill loops of scanners.
_TOUCH_THE_DATABASE = (
    "tests/db",
    *(f"tests/flows/home/test_{name}.py" for name in ("folders", "other_database", "site_key")),
)
_MARKED = "not slow and not soak and not prefect"


@pytest.mark.timeout(1800)
@pytest.mark.skipif(server_url() is not None, reason="these tests run on PostgreSQL already")
@pytest.mark.skipif(find_programs() is None, reason=ADVICE)
def test_the_database_and_flow_tests_pass_on_postgresql_too(capfd: pytest.CaptureFixture[str]) -> None:
    code = main([*_TOUCH_THE_DATABASE, "-m", _MARKED, "-q", "-p", "no:cacheprovider", "-x"])

    assert code == 0, capfd.readouterr().out

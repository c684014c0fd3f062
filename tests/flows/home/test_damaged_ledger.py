"""A database with a damaged page is refused at every start, however large it is."""

from __future__ import annotations

import pytest

from flows.home import ledger
from flows.home.ledger import prepare_ledger
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, scan
from xray_core.errors import LedgerAltered

PAGE = 4096


@pytest.mark.parametrize("looked_through", [0, ledger._ALWAYS_LOOKED_THROUGH], ids=["large", "small"])
def test_a_damaged_page_is_refused_at_every_start_and_a_whole_database_at_none(
    settings: Settings, sqlite_home: None, monkeypatch: pytest.MonkeyPatch, looked_through: int
) -> None:
    monkeypatch.setattr(ledger, "_ALWAYS_LOOKED_THROUGH", looked_through)
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    prepare_ledger(settings)
    (settings.home / "run" / "ledger-looked-through").unlink(missing_ok=True)
    database = settings.home / "xray.db"
    content = bytearray(database.read_bytes())
    last = (len(content) // PAGE - 1) * PAGE
    content[last : last + PAGE] = b"\xff" * PAGE
    database.write_bytes(content)

    for _ in range(3):
        with pytest.raises(LedgerAltered, match=r"the database is damaged .*`xray restore`"):
            prepare_ledger(settings)

"""Claims that live as long as the work: a scanner that others cannot ask renews the lease of what it holds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from db.engine import transaction
from db.scoring import claims

_log = logging.getLogger("flows.scoring")


class Lease:
    """The files that a scanner holds; from the first one on a thread prolongs them, every third of the lease.

    One that is lost all the same, to a pause longer than the lease, is recorded by whoever has it then, and once.
    """

    def __init__(self, engine: Engine, scanner: str, seconds: float) -> None:
        self._engine = engine
        self._scanner = scanner
        self._seconds = seconds
        self._held: set[int] = set()
        self._changing = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self, file_ids: Iterable[int]) -> None:
        """From now on these are renewed."""
        with self._changing:
            self._held.update(file_ids)
        if self._held and self._thread is None:
            self._thread = threading.Thread(target=self._keep_renewing, name="lease", daemon=True)
            self._thread.start()

    def let_go(self, file_ids: Iterable[int]) -> None:
        """These are decided."""
        with self._changing:
            self._held.difference_update(file_ids)

    def end(self) -> None:
        """Renew nothing any more; returns when no renewal is at work."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _keep_renewing(self) -> None:
        while not self._ended.wait(self._seconds / 3):
            with self._changing:
                held = sorted(self._held)
            if held:
                self._renew(held)

    def _renew(self, held: list[int]) -> None:
        try:
            with transaction(self._engine) as session:
                until = datetime.now(UTC) + timedelta(seconds=self._seconds)
                claims.renew(session, held, scanner=self._scanner, until=until)
        except DBAPIError as error:  # the scan itself meets it at its next commit, and says so
            _log.warning("the lease of %d files was not renewed: %s", len(held), type(error).__name__)

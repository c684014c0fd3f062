"""Models whose stored outcomes are left to a reader now: what was written before their audit is not believed since."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.registry import models
from flows.registry.policy import read_policy
from flows.settings import Settings
from xray_core.records import AuditVerdict, Outcome, withhold


@dataclass(frozen=True, slots=True)
class Withheld:
    """The `versions` whose positive and negative results are shown as refer; the ledger keeps what was said."""

    versions: frozenset[str]

    def show(
        self, version: str | None, outcome: Outcome | None, reason: str | None
    ) -> tuple[Outcome | None, str | None]:
        """Outcome and reason of a result of this version, as every surface shows them today."""
        return withhold(outcome, reason) if version in self.versions else (outcome, reason)


def read_withheld(session: Session, settings: Settings) -> Withheld:
    """Every version that is confounded today, where the policy refers all films then (`refer_while_confounded`).

    The policy is asked only where there is such a model. Raises RefusedInput for one that cannot be read.
    """
    confounded = frozenset(
        model.version for model in models.list_models(session) if model.audit_verdict is AuditVerdict.CONFOUNDED
    )
    if confounded and not read_policy(settings).outcomes.refer_while_confounded:
        return Withheld(frozenset())
    return Withheld(confounded)

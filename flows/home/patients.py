"""Patients in the ledger who cannot be one person."""

from __future__ import annotations

from sqlalchemy.orm import Session

from db.scoring import labels
from xray_core.training.implausible_patients import HANDFUL, is_implausible


def count_doubted(session: Session) -> int:
    """How many labelled X-rays carry a patient id that cannot be one person's: a training takes them as unknown."""
    by_patient = labels.count_by_patient(session, more_than=HANDFUL)
    xrays = labels.count_trainable(session) if by_patient else 0
    return sum(covid + normal for covid, normal in by_patient if is_implausible(covid, normal, xrays))

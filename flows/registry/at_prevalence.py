"""Stored probabilities of any model, as they are at the prevalence that the policy states."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from sqlalchemy.orm import Session

from db.registry import models
from flows.registry.policy import read_policy
from flows.settings import Settings
from xray_core.errors import IncompatibleModel
from xray_core.models.folder import read_manifest
from xray_core.models.prevalence import find_mix, move_to_prevalence
from xray_core.records import AuditVerdict

_PLACES = 6


@dataclass(frozen=True, slots=True)
class AtPrevalence:
    """The stated share of covid, and by version the mix in which that model's scores are probabilities.

    `find_mix` knows none where nobody does, and where the model's shortcut audit is confounded: then no probability
    at any prevalence is to be believed.
    """

    prevalence: float
    find_mix: Callable[[str | None], float | None]

    def move(self, version: str | None, probability: float | None) -> float | None:
        """P(covid) of that version at the stated prevalence, 0..1 to six places; None where it cannot be told."""
        mix = self.find_mix(version)
        if mix is None or probability is None:
            return None
        return round(float(move_to_prevalence(probability, mix, self.prevalence)), _PLACES)

    def say(self, version: str | None, probability: float | None) -> str | None:
        """The same for people, who need no more places than two, or than tell it from 0 and 1."""
        moved = self.move(version, probability)
        if moved is None:
            return None
        rest = min(moved, 1 - moved)
        places = min(max(2, math.ceil(-math.log10(rest))), _PLACES) if rest else 2
        return f"{moved:.{places}f} where {100 * self.prevalence:.3g}% are assumed to be covid"


def read_at_prevalence(session: Session, settings: Settings) -> AtPrevalence:
    """Of every registered model; a folder is read when its version is first asked for.

    Raises RefusedInput for a policy that cannot be read.
    """
    confounded = {
        model.version for model in models.list_models(session) if model.audit_verdict is AuditVerdict.CONFOUNDED
    }

    @cache
    def read_mix(version: str | None) -> float | None:
        if version is None or version in confounded:
            return None
        try:
            return find_mix(read_manifest(settings.models_dir / version).operating_point)
        except IncompatibleModel:
            return None  # `xray verify` names it

    return AtPrevalence(read_policy(settings).use.prevalence, read_mix)

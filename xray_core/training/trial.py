"""One training as a value that grows: each step hands on a copy that holds what it has made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xray_core.networks.fitting import Trained
from xray_core.networks.options import TrainingOptions
from xray_core.processes.helper_process import BackgroundCall
from xray_core.records import Verdict
from xray_core.report.study import Study

if TYPE_CHECKING:
    from xray_core.promotion.gate import PromotionDecision
    from xray_core.training.before_the_fit import Groundwork
    from xray_core.training.candidate import Candidate
    from xray_core.training.images import TrainingImages
    from xray_core.training.judgement import Judgement

_LATER: Any = None  # a step fills it in; no step reads what a later one makes


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a training came to; `is_first` says that there was no champion to beat."""

    version: str
    verdict: Verdict
    reason: str
    is_first: bool

    @property
    def is_champion(self) -> bool:
        """Whether the next scan scores with it."""
        return self.verdict is Verdict.PROMOTE

    @property
    def word(self) -> str:
        """The verdict for people."""
        return self.verdict.say(is_first=self.is_first)


@dataclass(frozen=True, slots=True)
class GivenDataset:
    """The dataset that a training was begun with: the digest of its labels, and whether a CSV said whose X-rays are."""

    label_set_sha256: str
    has_patients_csv: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """A training of one label set, as far as it has come; the fields stand in the order in which they are filled.

    `study` is what the team says of it; `readers` answers what a card asks of the readers whose labels these are, by
    the key of the question.
    """

    options: TrainingOptions
    label_set_sha256: str
    code_revision: str
    key_fingerprint: str
    dataset: GivenDataset | None
    study: Study
    images: TrainingImages = _LATER
    groundwork: Groundwork = _LATER
    trained: Trained = _LATER
    judgement: Judgement = _LATER
    plots: dict[str, BackgroundCall[bytes]] = _LATER
    candidate: Candidate = _LATER
    decision: PromotionDecision = _LATER
    readers: Mapping[str, str] = _LATER
    documents: dict[str, bytes] = _LATER
    conclusion: Conclusion = _LATER

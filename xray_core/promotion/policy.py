"""The retraining policy: what retraining may change, when it is due, how it is tested, what it may affect."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from xray_core.errors import RefusedInput
from xray_core.records import DECISION_THRESHOLDS

_STRICT = ConfigDict(extra="forbid", strict=True)

Count = Annotated[int, Field(ge=1, le=1_000_000)]
AtLeastTwo = Annotated[int, Field(ge=2, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]
Sentence = Annotated[str, Field(min_length=1)]
Sentences = Annotated[tuple[Sentence, ...], Field(min_length=1)]


class RetrainingAugmentation(StrEnum):
    """How strongly a retraining changes its training X-rays at random."""

    AS_THE_CHAMPION = "as the champion"
    TUTORIAL = "tutorial"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class Modifications:
    """What may change without a person, and what may not; sentences for people. And the word for the augmentation."""

    __pydantic_config__ = _STRICT

    may_change: Sentences = ("the weights of the network", "the operating point with its refer band")
    may_not_change: Sentences = ("the classes", "the architecture", "the preprocessing", "the frozen split")
    augmentation: RetrainingAugmentation = RetrainingAugmentation.AS_THE_CHAMPION


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a retraining is due."""

    __pydantic_config__ = _STRICT

    new_labels: Count = 50
    min_xrays_per_class: AtLeastTwo = 20
    min_patients_per_class: AtLeastTwo = 10
    cool_down_hours: Annotated[float, Field(ge=0, le=8760)] = 1.0
    back_off_factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    back_off_limit: Annotated[float, Field(ge=1, le=1000)] = 8.0
    drift_new_labels: Count = 10


FIRST_PROVEN: Final = "first proven champion"


class UnknownPatients(StrEnum):
    """What films of unknown patients may do."""

    NEVER_JUDGE = "never judge"  # they are trained on; the test side holds known patients alone
    JUDGE = "judge as a patient each"  # each counts as a patient, though several may be one person's


@dataclass(frozen=True, slots=True)
class GateTest:
    """How a candidate is tested. Shares and AUROC differences in 0..1."""

    __pydantic_config__ = _STRICT

    min_patients_per_class: AtLeastTwo = 30
    max_patients_per_class: AtLeastTwo = 500
    margin: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    benchmark: Sentence = FIRST_PROVEN
    sensitivity_floor: Share = 0.80
    max_refer_share: Share = 0.60
    slice_margin: Annotated[float, Field(gt=0, le=1)] = 0.10
    resamples: Annotated[int, Field(ge=200, le=100_000)] = 2000
    unknown_patients: UnknownPatients = UnknownPatients.NEVER_JUDGE

    @property
    def most_judges(self) -> int:
        """How many patients of a class judge at most: by default never fewer than must."""
        return max(self.min_patients_per_class, self.max_patients_per_class)

    @property
    def unknown_may_judge(self) -> bool:
        """Whether a film of an unknown patient may stand on the test side."""
        return self.unknown_patients is UnknownPatients.JUDGE


class OtherLabel(StrEnum):
    """What films labelled `other` (abnormal, not covid) are for; on the test side they always judge apart."""

    NOT_COVID = "train as not covid"
    NEVER = "never train"


@dataclass(frozen=True, slots=True)
class LabelRules:
    """What a label must be to count.

    A dataset's own label is a whole reference standard: no second reader is asked of it.
    """

    __pydantic_config__ = _STRICT

    readers_per_film: Annotated[int, Field(ge=1, le=2)] = 1
    hold_disputes: bool = True
    blind_test_side: bool = True
    chance_test_side: bool = True
    other: OtherLabel = OtherLabel.NOT_COVID

    @property
    def other_trains(self) -> bool:
        """Whether films labelled `other` are trained on, as not covid."""
        return self.other is OtherLabel.NOT_COVID


@dataclass(frozen=True, slots=True)
class OutcomeRules:
    """What the service answers while its champion is not to be believed."""

    __pydantic_config__ = _STRICT

    refer_while_confounded: bool = True


@dataclass(frozen=True, slots=True)
class ExternalSet:
    """Labelled films of another place: a folder per class, and a CSV that says whose they are."""

    __pydantic_config__ = _STRICT

    folder: Sentence
    patients: Sentence | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """Where the scores are used: the assumed share of covid, and the chances of covid at which somebody might act.

    At these thresholds the decision curve is drawn: 0.1 says that a found case is worth nine false alarms.
    """

    __pydantic_config__ = _STRICT

    prevalence: Inside = 0.10
    decision_thresholds: Annotated[tuple[Inside, ...], Field(min_length=1)] = DECISION_THRESHOLDS


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change may affect, and the way back; sentences for people."""

    __pydantic_config__ = _STRICT

    affects: Sentences = ("X-rays that are scored after the promotion",)
    does_not_affect: Sentences = ("results that are already stored", "labels", "the frozen split")
    way_back: Sentence = "xray models rollback"


@dataclass(frozen=True, slots=True)
class RetrainingPolicy:
    """The whole policy, in the parts of a predetermined change control plan (FDA guidance, December 2024).

    `external_sets` has a folder of labelled films for the name of each place on which a candidate must do well too,
    alone or with the CSV of its patients.
    """

    __pydantic_config__ = _STRICT

    modifications: Modifications = field(default_factory=Modifications)
    trigger: Trigger = field(default_factory=Trigger)
    labels: LabelRules = field(default_factory=LabelRules)
    test: GateTest = field(default_factory=GateTest)
    external_sets: dict[Sentence, Sentence | ExternalSet] = field(default_factory=dict)
    outcomes: OutcomeRules = field(default_factory=OutcomeRules)
    use: Use = field(default_factory=Use)
    impact: Impact = field(default_factory=Impact)

    @property
    def sha256(self) -> str:
        """The SHA-256 of what the policy says: comments, order and spacing of its file do not count."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def read_retraining_policy(
    path: Path, *, retrain_after: int | None = None, prevalence: float | None = None
) -> RetrainingPolicy:
    """Read and check the policy file; what it leaves out has its default, and an unknown key is refused.

    `retrain_after` replaces `trigger.new_labels`, `prevalence` that of `use` (and both show in the hash, for they are
    part of what was decided by).
    Raises RefusedInput with every problem: what, received, expected.
    """
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RefusedInput(f"{path}: there is no such file; expected the retraining policy") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RefusedInput(f"{path}: not TOML in UTF-8 ({error})") from error
    try:
        policy = _ADAPTER.validate_json(json.dumps(written, default=str))
    except ValidationError as error:
        problems = (_name_problem(problem) for problem in error.errors())
        raise RefusedInput("\n".join((f"{path}: refused", *problems))) from error
    if "max_patients_per_class" in written.get("test", {}):
        _check_bounds(path, policy.test)
    if prevalence is not None:
        policy = replace(policy, use=replace(policy.use, prevalence=prevalence))
    return policy if retrain_after is None else with_retrain_after(policy, retrain_after)


def with_retrain_after(policy: RetrainingPolicy, new_labels: int) -> RetrainingPolicy:
    """The policy with another number of new labels that make a retraining due."""
    return replace(policy, trigger=replace(policy.trigger, new_labels=new_labels))


def _check_bounds(path: Path, test: GateTest) -> None:
    least, most = test.min_patients_per_class, test.max_patients_per_class
    if most < least:
        raise RefusedInput(
            f"{path}: refused\ntest.max_patients_per_class: received {most}; expected test.min_patients_per_class "
            f"({least}) or more, for fewer judge nobody"
        )


_ADAPTER = TypeAdapter(RetrainingPolicy)


def _name_problem(problem: ErrorDetails) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    words = problem["msg"]
    if problem["type"] == "unexpected_keyword_argument":
        words = "Unknown key"
    return f"{place}: received {problem['input']!r}; {words[:1].lower()}{words[1:]}"

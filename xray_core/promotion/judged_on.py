"""On whom a model was judged: by whose labels, and which labelled films had no say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from xray_core.promotion.judging_sample import count_judges_drawn
from xray_core.records import ONE_EACH, Held, LabelledXray, Standard

JUDGED_ON: Final = "judged on"
MORE_JUDGES: Final = "`xray review`: every film that chance chose and that is read without its score can judge"

SAMPLED_BY: Final = "`test.max_patients_per_class` of the policy"

WAYS_OUT = {
    Held.DISPUTED: "`xray labels adjudicate` settles them",
    Held.WAITING: "another reader, by `xray export --for-review`",
    Held.VISIBLE: "`xray export --for-review` has another reader read every film without it",
    Held.UNTOLD: (
        "`xray export --for-review` has them read without it, or a labels CSV says `no` in a column score_visible"
    ),
    Held.UNSURE: "another reader by `xray export --for-review`, then `xray labels adjudicate`",
    Held.CHOSEN: (
        "`xray review` has a share read that chance chose, `xray export --for-review` has another reader read all "
        "without scores, and where no film is left unread all count"
    ),
    Held.OTHER: 'the retraining policy\'s `other = "train as not covid"`',
}


@dataclass(frozen=True, slots=True)
class JudgedOn:
    """Patients of the test side by whose labels they judge, and X-rays of that side that do not judge, by reason.

    A patient with labels of several kinds counts under the weakest. `unknown` X-rays judge without a known patient.
    `sampled` is how many of all these judge, each X-ray of an unknown patient as one, where the side is so large that a
    sample of it does; else None.
    """

    patients: Mapping[Standard, int] = field(default_factory=dict)
    left_out: Mapping[Held, int] = field(default_factory=dict)
    unknown: int = 0
    sampled: int | None = None

    @property
    def sampled_of(self) -> int | None:
        """How many patients the test side has where a sample of them judges; else None."""
        return None if self.sampled is None else sum(self.patients.values()) + self.unknown

    def __str__(self) -> str:
        """As in `84 patients: 61 by two blinded readers, 23 dataset; 12 X-rays left out, the score was visible`."""
        total = sum(self.patients.values())
        kinds = ", ".join(f"{number} {standard}" for standard, number in self.patients.items())
        patients = f"{total} patient{'' if total == 1 else 's'}{f': {kinds}' if kinds else ''}"
        if self.sampled is not None:
            patients = f"a sample of {self.sampled} patients, drawn by the site's key ({SAMPLED_BY}), of {patients}"
        unknown = [f"{self.unknown} X-rays of unknown patients"] if self.unknown else []
        return "; ".join((patients, *unknown, *say_held(self.left_out, "left out")))


def count_judges(
    side: Iterable[LabelledXray],
    left_out: Mapping[Held, int],
    *,
    numbers: Mapping[int, int] = ONE_EACH,
    most: int | None = None,
) -> JudgedOn:
    """Count whose labels the X-rays of a test side judge by.

    One whose id is among `numbers` stands for so many, each of another patient. Where a class has more than `most`
    patients, a sample of them judges.
    """
    side = list(side)
    strength = list(Standard)
    weakest: dict[str, Standard] = {}
    alike: dict[str, int] = {}
    unknown = 0
    for xray in side:
        number = numbers.get(xray.xray_id, 1)
        if not xray.patient_known:
            unknown += number
            continue
        alike[xray.group] = number
        standard = xray.judges_by.standard or Standard.DATASET
        weakest[xray.group] = max(weakest.get(xray.group, standard), standard, key=strength.index)
    counted: Counter[Standard] = Counter()
    for group, standard in weakest.items():
        counted[standard] += alike[group]
    patients = {standard: counted[standard] for standard in Standard if counted[standard]}
    sampled = None if most is None else count_judges_drawn(side, most, numbers=numbers)
    return JudgedOn(patients, left_out, unknown, sampled)


def say_held(held: Mapping[Held, int], what: str) -> tuple[str, ...]:
    """How many X-rays do not count, each reason in words with its way out."""
    return tuple(
        f"{number} X-ray{'' if number == 1 else 's'} {what}, {reason} ({WAYS_OUT[reason]})"
        for reason, number in held.items()
        if number
    )

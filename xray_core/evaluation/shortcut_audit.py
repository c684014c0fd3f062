"""The shortcut audit: could the class be told without looking at the lungs, and does the model do so?

Longer than other files: the lines between clean, suspect and confounded and the sentence of each probe are read
side by side.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from xray_core.evaluation import statistics
from xray_core.evaluation.bootstrap import Cohort, make_cohort, resample_statistics
from xray_core.evaluation.intervals import area_interval
from xray_core.evaluation.shortcut_probes import (
    AuditImages,
    Predict,
    choose,
    cut_out,
    describe_files,
    make_images_cohort,
    measure_brightness,
    paint_centre,
    paint_corners,
    predict_by_patient,
    score,
)
from xray_core.processes.grey_rows import Greys
from xray_core.records import AuditVerdict, Interval

# The judged bound is the end of the 95 % interval nearer to 0.5, so chance alone seldom crosses even the first line.
# At 0.60 something besides the lungs tells the class a little; at 0.75 it ranks three of four pairs rightly by
# itself, half of all there is to gain: whatever the model scores cannot be credited to the lungs any more.
SUSPECT_FROM = 0.60
CONFOUNDED_FROM = 0.75
BEFORE = " before the remedies"
CANNOT_BE_TOLD = "cannot be told"
FEWEST_PATIENTS = 10  # of each class; fewer audit nothing
_CORNER_LOSS = (0.03, 0.10)  # AUROC lost beyond chance with the corners masked: suspect, confounded
BLIND = "model without lungs"
CORNERS = "corners masked"
_RESAMPLES = 1000
MOST_XRAYS = 2000  # that the probes of the data look at
MOST_PROBED = 500  # that the model is shown with something painted over


@dataclass(frozen=True, slots=True)
class Finding:
    """One probe: what it looked at, how well that tells the class (AUC with interval), and a sentence for a reader."""

    name: str
    auc: Interval
    sentence: str
    verdict: AuditVerdict

    @property
    def is_chance(self) -> bool:
        """Whether it tells the class no better than guessing: then an AUC below 0.5 means nothing."""
        return self.name != CORNERS and _is_chance(self.auc, may_rank_backwards=self.name == BLIND)


@dataclass(frozen=True, slots=True)
class ShortcutAudit:
    """All findings, the worst of their verdicts, and the sentence to show beside every score of the model.

    The verdict is None where too few patients are there: then it cannot be told.
    """

    findings: tuple[Finding, ...]
    verdict: AuditVerdict | None
    sentence: str
    xrays: int
    patients: int

    @property
    def word(self) -> str:
        """The verdict for people."""
        return CANNOT_BE_TOLD if self.verdict is None else self.verdict.value

    def to_json(self) -> str:
        """The audit as JSON text."""
        return _ADAPTER.dump_json(self, indent=1).decode()

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON's own values, for the ledger and for `--json`."""
        return dict(json.loads(self.to_json()))


_ADAPTER = TypeAdapter(ShortcutAudit)


def audit_shortcuts(
    images: AuditImages,
    predict: Predict,
    *,
    held_out: NDArray[np.bool_] | None = None,
    of_data: Sequence[Finding] | None = None,
    said: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> ShortcutAudit:
    """Audit a dataset and a model that was trained on it.

    To what `probe_data` finds (`of_data`, where it is known already) comes what the model itself says (`predict`:
    fitted X-rays (n, height, width) uint8 to P(covid) (n,)) of X-rays with the lungs or the corners painted over; for
    that `held_out` (n,) says which X-rays it was not trained on, and chance chooses patients of at most 500 of them.
    What it says of them as they are need not be asked where it is known: `said` (n,), read where `held_out` is true.
    DeGrave et al., Nature Machine Intelligence 2021;3:610-619; Maguolo & Nanni, Information Fusion 2021;76:1-7.
    """
    unseen = np.ones(len(images.greys), dtype=np.bool_) if held_out is None else held_out
    fewest = _count_patients(images)
    if fewest < FEWEST_PATIENTS:
        sentence = (
            f"Too few patients to audit for shortcuts: {fewest} in the smaller class, {FEWEST_PATIENTS} are needed. "
            "Nothing is known of what this model has learned from."
        )
        return ShortcutAudit((), None, sentence, len(images.greys), images.patients)
    findings = (
        *(probe_data(choose_for_probes(images, seed=seed), seed=seed) if of_data is None else of_data),
        *_probe_unseen(images, predict, _choose_unseen(images, unseen, seed), said, seed),
    )
    verdict = max((finding.verdict for finding in findings), key=_SEVERITY.index)
    return ShortcutAudit(findings, verdict, _sum_up(findings, verdict), len(images.greys), images.patients)


def choose_for_probes(images: AuditImages, *, seed: int = 0) -> AuditImages:
    """What `probe_data` looks at: patients by chance with at most 2,000 X-rays, read from where they lie."""
    return images.take(choose(images.groups, MOST_XRAYS, seed))


def _choose_unseen(images: AuditImages, unseen: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    chosen = unseen.copy()
    if unseen.any():
        chosen[unseen] = choose(images.groups[unseen], MOST_PROBED, seed)
    return chosen


def probe_data(images: AuditImages, *, seed: int = 0) -> tuple[Finding, ...]:
    """What small models can tell of the class from what is no lung; nothing (empty) of too few patients.

    They are cross-validated by patient and given file properties, brightness, the outer 15 % of the picture, the
    source, and for comparison the centre, of X-rays that `choose_for_probes` chose. Where remedies changed the pixels,
    brightness and border are asked of the pixels before them too: a remedy that hides a shortcut from the audit need
    not cure the model. No network is needed for it.
    """
    if _count_patients(images) < FEWEST_PATIENTS:
        return ()
    before = () if images.unremedied is None else _probe_outside(images.unremedied, images, seed, BEFORE)
    return (*_probe_properties(images, seed), *before, *_probe_sources(images, seed))


_SEVERITY = [AuditVerdict.CLEAN, AuditVerdict.SUSPECT, AuditVerdict.CONFOUNDED]


def _probe_outside(greys: Greys, images: AuditImages, seed: int, when: str = "") -> list[Finding]:
    """What a small model can tell from brightness and from the border of these pixels (n, height, width)."""
    return [
        _describe(
            f"brightness{when}",
            _measure(images, measure_brightness(greys), seed),
            f"the mean brightness of the picture and of its border{when} tells the class {{told}}",
            "exposure or processing may differ between the classes",
            worst=AuditVerdict.SUSPECT,
        ),
        _describe(
            f"border{when}",
            _measure(images, cut_out(greys, border=True), seed, linear=True),
            f"the outer 15 % of the picture{when}, without the lungs, predicts the label {{told}}",
            "a model may learn where films come from",
        ),
    ]


def _probe_properties(images: AuditImages, seed: int) -> list[Finding]:
    """What a small model can tell from each thing that is no lung, and from the lungs for comparison."""
    findings = [
        _describe(
            "file properties",
            _measure(images, describe_files(images.facts), seed),
            "size, shape and format of the file, without any picture, tell the class {told}",
            "classes come in different files, so they come from different places",
        ),
        *_probe_outside(images.greys, images, seed),
        _describe(
            "centre",
            _measure(images, cut_out(images.greys, border=False), seed, linear=True),
            "the centre of the picture alone, where the lungs are, predicts the label {told}",
            "",
            worst=AuditVerdict.CLEAN,
        ),
    ]
    if len(np.unique(images.sources)) > 1:
        codes = (images.sources[:, np.newaxis] == np.unique(images.sources)[np.newaxis]).astype(np.float64)
        findings.append(
            _describe(
                "source",
                _measure(images, codes, seed),
                "the source of a film alone, without looking at it, tells the class {told}",
                "the classes come from different sources, and nobody can tell disease from source in these data",
            )
        )
    return findings


# What is shown to the small model that looks for a film's source within one class, and what it means that it finds it.
_SEEN = (
    ("", None, "the picture", "films carry the mark of their source, which a model can learn instead of disease"),
    (
        ", lungs",
        False,
        "the centre, where the lungs are,",
        "the mark of the source lies in the lungs too: no crop ends it",
    ),
)


def _probe_sources(images: AuditImages, seed: int) -> list[Finding]:
    """Can the largest source of a class be told from the others of that class by the picture?"""
    findings: list[Finding] = []
    for name, within in (("covid", images.is_covid), ("normal", ~images.is_covid)):
        part = images.take(within)
        names, counts = np.unique(part.sources, return_counts=True)
        is_largest = part.sources == names[counts.argmax()]
        sides = [len(np.unique(part.groups[is_largest == side])) for side in (True, False)]
        if min(sides) < FEWEST_PATIENTS:
            continue
        by_source = replace(part, is_covid=is_largest)
        findings += [
            _describe(
                f"source within {name}{where}",
                _measure(by_source, cut_out(part.greys, border=border), seed, linear=True),
                f"among {name} X-rays alone, {seen} tells the source of a film {{told}}",
                meaning,
                worst=AuditVerdict.SUSPECT,
            )
            for where, border, seen, meaning in _SEEN
        ]
    return findings


def _probe_unseen(
    everything: AuditImages, predict: Predict, chosen: NDArray[np.bool_], said: NDArray[np.float64] | None, seed: int
) -> list[Finding]:
    """What the model itself says of the chosen X-rays when the lungs, or the corners, are painted over."""
    images = everything.take(chosen)
    if _count_patients(images) < FEWEST_PATIENTS:
        return []
    whole = score(images, predict, images.greys) if said is None else make_images_cohort(images, said[chosen])
    blind = score(images, predict, paint_centre(images.greys))
    blind_finding = _describe(
        BLIND,
        _interval_of(blind, seed),
        "with the lungs painted over, the model's own score goes with the label {told}",
        "it does not need the lungs for its answer",
        may_rank_backwards=True,
    )
    return [blind_finding, _probe_corners(whole, score(images, predict, paint_corners(images.greys)), seed)]


def _probe_corners(whole: Cohort, masked: Cohort, seed: int) -> Finding:
    before, after = statistics.auroc(whole), statistics.auroc(masked)
    measured = {"after": after, "loss": lambda weights: before(weights) - after(weights)}
    resampled = resample_statistics(measured, whole, resamples=_RESAMPLES, seed=seed)
    loss, sure = resampled["loss"][0], float(np.quantile(resampled["loss"][1], 0.025))
    changed = float(np.abs(whole.probabilities - masked.probabilities).mean())
    verdict = _SEVERITY[sum(sure >= edge for edge in _CORNER_LOSS)]
    auc = area_interval(*resampled["after"], patients=_fewest(whole), xrays=len(whole.is_covid))
    assert auc is not None, "both classes are there"
    sentence = (
        f"with the four corners masked the score changes by {changed:.2f} on average and the AUC goes from "
        f"{auc.value + loss:.2f} to {auc}"
    )
    if verdict is not AuditVerdict.CLEAN:
        sentence += ": the model leans on what stands in the corners, letters and markers, not on the lungs"
    return Finding(CORNERS, auc, f"{sentence[:1].upper()}{sentence[1:]}.", verdict)


def _measure(images: AuditImages, features: NDArray[np.float64], seed: int, *, linear: bool = False) -> Interval:
    scores = predict_by_patient(features, images.is_covid, images.groups, linear=linear, seed=seed)
    return _interval_of(make_cohort(scores, images.is_covid.tolist(), images.groups.tolist()), seed)


def _interval_of(cohort: Cohort, seed: int) -> Interval:
    resampled = resample_statistics({"auc": statistics.auroc(cohort)}, cohort, resamples=_RESAMPLES, seed=seed)["auc"]
    auc = area_interval(*resampled, patients=_fewest(cohort), xrays=len(cohort.is_covid))
    assert auc is not None, "both classes are there"
    return auc


def _count_patients(images: AuditImages) -> int:
    """Of the smaller class."""
    return min(len(np.unique(images.groups[images.is_covid == truth])) for truth in (True, False))


def _fewest(cohort: Cohort) -> int:
    return min(cohort.count_patients(cohort.is_covid), cohort.count_patients(~cohort.is_covid))


def _describe(
    name: str,
    auc: Interval,
    finding: str,
    meaning: str,
    *,
    worst: AuditVerdict = AuditVerdict.CONFOUNDED,
    may_rank_backwards: bool = False,
) -> Finding:
    """A trained model that ranks backwards tells the class as well; a cross-validated probe below 0.5 knows nothing."""
    bound = max(auc.low, 1 - auc.high) if may_rank_backwards else auc.low
    verdict = _SEVERITY[min(_SEVERITY.index(worst), (bound >= SUSPECT_FROM) + (bound >= CONFOUNDED_FROM))]
    told = "no better than chance" if _is_chance(auc, may_rank_backwards=may_rank_backwards) else f"with AUC {auc}"
    sentence = finding.format(told=told)
    if verdict is not AuditVerdict.CLEAN:
        sentence += f": {meaning}"
    return Finding(name, auc, f"{sentence[:1].upper()}{sentence[1:]}.", verdict)


def _is_chance(auc: Interval, *, may_rank_backwards: bool) -> bool:
    """Whether it may be 0.5, or is below it where that says nothing: a cross-validated probe never ranks backwards."""
    return auc.low <= 0.5 and (auc.high >= 0.5 or not may_rank_backwards)


def _sum_up(findings: Sequence[Finding], verdict: AuditVerdict) -> str:
    if verdict is AuditVerdict.CLEAN:
        return "No shortcut was found: nothing but the lungs tells the class. That is no proof that there is none."
    worst = max(
        (finding for finding in findings if finding.verdict is verdict),
        key=lambda finding: max(finding.auc.low, 1 - finding.auc.high),
    )
    rest = sum(finding.verdict is not AuditVerdict.CLEAN for finding in findings) - 1
    more = f" ({rest} more {'finding' if rest == 1 else 'findings'} of this kind.)" if rest else ""
    return f"{worst.sentence}{more}"

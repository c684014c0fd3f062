"""What is known of a candidate, gathered for its model card."""

from __future__ import annotations

import os
import platform
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from xray_core.evaluation.bootstrap import make_cohort, move_cohort
from xray_core.evaluation.figures import measure_calibration
from xray_core.evaluation.slices import UNKNOWN, name_slices
from xray_core.imaging.content import hash_file
from xray_core.models.chest_reference import ChestReference, read_reference
from xray_core.models.prevalence import find_mix
from xray_core.models.records import REFERENCE_FILE
from xray_core.networks.options import TrainingOptions
from xray_core.networks.quiet_keras import keras, tf
from xray_core.records import Interval, Label, LabelledXray, Split
from xray_core.report.card import CardFacts, Trait
from xray_core.training.candidate import Candidate, describe_options
from xray_core.training.images import TrainingImages
from xray_core.training.judgement import Judgement
from xray_core.training.trial import Trial


def gather_card_facts(trial: Trial, plots: Mapping[str, bytes]) -> CardFacts:
    """Everything that the card of a candidate says; `plots` are PNGs by file name."""
    images, candidate, options, judgement = trial.images, trial.candidate, trial.options, trial.judgement
    reference = _read_reference(candidate)
    return CardFacts(
        version=candidate.version,
        architecture=options.architecture.value,
        created_at=datetime.now(UTC),
        code_revision=trial.code_revision,
        proven=trial.decision.proven,
        preprocessing=images.preprocessing,
        sources=tuple(_count_sources(images.plan.of_classes, trial.study.notes)),
        traits=tuple(_count_traits(list(images.plan.of_classes))),
        counts=images.plan.counts,
        split_notes=tuple(_note_split(images)),
        training=describe_options(options) | _describe_making(),
        layers=candidate.layers,
        operating_point=judgement.operating_point,
        recalibration=candidate.recalibration,
        before_recalibration=_measure_uncalibrated(judgement),
        test=judgement.candidate,
        champion=judgement.champion,
        champion_version=judgement.champion_version,
        external=tuple((one.place, one.evaluation) for one in judgement.external),
        audit=judgement.audit,
        decision=trial.decision,
        odd_limit=None if reference is None else float(reference.limit),
        odd_in_test=None if reference is None else sum(judgement.evidence.is_odd),
        largest_twin_difference=candidate.parity,
        hashes=tuple(_hash_all(images, candidate)),
        commands=_name_commands(trial),
        commands_elsewhere=_name_commands_elsewhere(trial),
        key_fingerprint=trial.key_fingerprint,
        judged_on=judgement.evidence.judged_on,
        plots=plots,
        answers=trial.study.answer_with(trial.readers),
        limits=trial.study.limits,
    )


def _read_reference(candidate: Candidate) -> ChestReference | None:
    file = candidate.folder / REFERENCE_FILE
    return read_reference(file.read_bytes()) if file.exists() else None


def _count_sources(xrays: Iterable[LabelledXray], notes: Mapping[str, str]) -> Iterator[Trait]:
    counted = Counter((xray.source or UNKNOWN, xray.label) for xray in xrays)
    for name in sorted({name for name, _ in counted}):
        yield Trait(name, counted[name, Label.COVID], counted[name, Label.NORMAL], notes.get(name, ""))


def _count_traits(xrays: Sequence[LabelledXray]) -> Iterator[Trait]:
    """Views, sex, age groups, formats and sizes by class; the sources have a table of their own."""
    for name, values in name_slices(xrays).items():
        counted = Counter(zip(values, (xray.label for xray in xrays), strict=True))
        for value in sorted(set(values)) if name != "source" else ():
            yield Trait(f"{name}: {value}", counted[value, Label.COVID], counted[value, Label.NORMAL])


def _describe_making() -> dict[str, str | int | float | bool | None]:
    """What every training here has in common, and what it ran on."""
    return {
        "loss": "binary cross-entropy",
        "network kept": "the one after the last epoch; no other was looked at",
        "software": f"Python {platform.python_version()}, Keras {keras.__version__}, TensorFlow {tf.__version__}",
        "hardware": f"{platform.machine()}, {os.cpu_count()} processor cores",
    }


def _note_split(images: TrainingImages) -> Iterator[str]:
    """Who was left out and why; nothing is left out without a word."""
    plan = images.plan
    if plan.without_patient:
        yield (f"Of {plan.without_patient} X-rays the patient is unknown; {_place_unknown(images)}")
        if plan.doubted:
            yield f"{plan.doubted} of them carry ids of too many films, or of both classes, to be one person's."
    else:
        yield "The patient of every X-ray is known; the split is by patient."
    if images.excluded:
        yield f"Left out: {images.excluded} (X-rays): their source is excluded."
    for reason, number in sorted(Counter(one.reason for one in plan.left_out).items()):
        yield f"Left out: {number} (X-rays): {reason}."
    if plan.most_judges is not None and len(plan.judging) < len(plan.test):
        yield (
            f"Of the test side a sample judges, at most {plan.most_judges} patients of each class, drawn by the site's "
            f"key: {len(plan.judging)} of {len(plan.test)} X-rays. The others were neither trained on nor judged by."
        )
    for code, number in sorted(images.unreadable.items()):
        yield f"Could not be read any more: {number} (X-rays), {code}."
    others = sum(count.xrays for count in plan.counts if count.label is Label.OTHER and count.split is not Split.TEST)
    if others:
        yield f"Labelled other (abnormal, not covid) and trained on as not covid: {others} (X-rays)."
    if plan.not_trainable:
        yield f"Kept and never trained on: {plan.not_trainable} X-rays labelled unsure or exclude."


def _place_unknown(images: TrainingImages) -> str:
    """What X-rays of unknown patients did in this training."""
    judging = sum(not xray.patient_known for xray in images.sides[Split.TEST].xrays)
    if judging:
        return (
            f"{judging} of them judge, each counted as a patient, so X-rays of one patient may stand on two sides and "
            "the figures may flatter."
        )
    return "none of them judges: the test side holds known patients alone."


def _measure_uncalibrated(judgement: Judgement) -> dict[str, Interval | None]:
    """What calibration on the test side was without the recalibration."""
    test = judgement.side
    cohort = make_cohort(judgement.uncalibrated, test.is_covid.tolist(), test.groups)
    cohort = move_cohort(cohort, find_mix(judgement.operating_point), float(test.is_covid.mean()))
    return measure_calibration(cohort, resamples=judgement.candidate.resamples, seed=judgement.candidate.seed)


def _hash_all(images: TrainingImages, candidate: Candidate) -> Iterator[tuple[str, str]]:
    for name in ("model.keras", "model.onnx"):
        yield name, hash_file(candidate.folder / name)
    yield "label set", images.plan.label_set_sha256


def _name_commands(trial: Trial) -> tuple[str, ...]:
    """How to train this model again in the home that made it."""
    revision, changes, _ = trial.code_revision.partition("+changes")
    missing = ["# the code had changes that this commit does not hold: another model may come of it"] if changes else []
    weights = f" --weights {trial.options.weights.name}" if trial.options.weights else ""
    again = f"xray models reproduce {trial.candidate.version}{weights}"
    return (f"git checkout {revision}", *missing, again, "xray verify")


def _name_commands_elsewhere(trial: Trial) -> tuple[str, ...]:
    """How to train it from its dataset in another home; nothing where its labels were not those of one dataset."""
    options, dataset = trial.options, trial.dataset
    if dataset is None or dataset.label_set_sha256 != trial.label_set_sha256:
        return ()
    train = [
        f"xray train DATASET{' --patients PATIENTS.csv' if dataset.has_patients_csv else ''}",
        f"--architecture {options.architecture.value}",
        *(f"--exclude-source {shlex.quote(source)}" for source in options.excluded_sources),
        *(["--frozen"] if options.frozen else _name_fitting(options)),
        *([f"--weights {options.weights.name}"] if options.weights else []),
        *([f"--input-size {options.input_size}"] if options.input_size else []),
        *(f"--remedy {one.value}" for one in options.remedies),
        *(["--remedy erase-border"] if options.erase_border else []),
        f"--seed {options.seed}",
    ]
    return tuple(" \\\n    ".join(train).split("\n"))


def _name_fitting(options: TrainingOptions) -> Iterator[str]:
    """How the weights were moved, and the training X-rays changed."""
    ranges = options.ranges
    yield f"--optimizer {options.optimizer.value} --learning-rate {options.rate:g}"
    yield f"--epochs {options.epochs} --batch-size {options.batch_size}"
    flip = "--flip" if ranges.horizontal_flip else "--no-flip"
    yield f"--augmentation {options.augmented.value} --shear {ranges.shear:g} --zoom {ranges.zoom:g} {flip}"

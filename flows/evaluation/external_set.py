"""An external set: labelled X-rays of another site that judge a model apart and are never trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from db.engine import snapshot, transaction
from db.registry import evaluations
from flows.home.ledger import open_ledger
from flows.registry.external_films import read_external_films
from flows.registry.models import find_model
from flows.registry.policy import read_policy
from flows.registry.registered import open_registered
from flows.registry.rescoring import KnownScore, score_decoded
from flows.registry.standing import publish_addendum
from flows.registry.verdicts import AUDIT_SET
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.evaluation.elsewhere import judge_elsewhere
from xray_core.evaluation.evaluation import Evaluation, evaluate
from xray_core.evaluation.others import OtherFilms
from xray_core.evaluation.slices import name_slices
from xray_core.models.records import OperatingPoint
from xray_core.promotion.policy import Use
from xray_core.records import (
    AuditVerdict,
    Label,
    LabelledXray,
)
from xray_core.training.split import digest_label_set

_RESERVED = {"train", "validation", "test", "drift", AUDIT_SET}


@dataclass(frozen=True, slots=True)
class ExternalEvaluation:
    """How a model does on an external set; `kept_out` counts its files that judge nothing, by reason.

    `odd` is how many of its X-rays the model refers as no chest film of the kind that it was trained on; `remarks`
    are sentences on whose they are; `audit` is the model's shortcut audit, None where nobody made one; `augmentation`
    says how strongly the films were changed at random that it learned from, None where nobody knows or none was.
    """

    name: str
    version: str
    evaluation: Evaluation
    kept_out: dict[str, int]
    odd: int
    remarks: tuple[str, ...]
    audit: AuditVerdict | None
    augmentation: str | None

    @property
    def sentence(self) -> str:
        """What it comes to: whether the model may be used there."""
        return judge_elsewhere(self.name, self.evaluation.to_dict()).sentence


def evaluate_external(
    settings: Settings,
    dataset: Path,
    name: str,
    *,
    patients: Path | None,
    version: str | None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ExternalEvaluation:
    """Evaluate a version (the champion without one) on a folder per class and store the figures under `name`.

    X-rays, patients and near-duplicates of what the ledger has labelled are kept out and counted: the model may have
    been trained on them. What is left becomes external for ever: no training takes it, whoever labels it later.
    Raises RefusedInput for a name that is taken by the service, InvalidDataset when a class is missing then.
    """
    if not name.strip() or name in _RESERVED:
        raise RefusedInput(f"--name: received {name!r}; expected a name of your own, as in siteB")
    model = find_model(settings, version)
    opened = open_registered(settings, model)
    with open_ledger(settings) as engine:
        films = read_external_films(
            settings, engine, dataset, opened.manifest.preprocessing, patients=patients, on_progress=on_progress
        )
        chosen = films.xrays
        scores = score_decoded(opened, (films.decoded[xray.sha256] for xray in chosen))
        evaluation = _evaluate(chosen, scores, opened.manifest.operating_point, read_policy(settings).use)
        with transaction(engine) as session:
            evaluations.add_evaluation(
                session,
                model_id=model.model_id,
                set_name=evaluations.name_external(name),
                label_set_sha256=digest_label_set(chosen),
                figures={
                    "xrays": sorted(xray.sha256 for xray in chosen),
                    "kept_out": films.kept_out,
                    "evaluation": evaluation.to_dict(),
                },
                now=datetime.now(UTC),
            )
        with snapshot(engine) as session:
            publish_addendum(settings, session, model.version)
    odd = sum(scores[xray.sha256].score.is_odd for xray in chosen)
    augmentation = opened.manifest.training.get("augmentation")
    return ExternalEvaluation(
        name,
        model.version,
        evaluation,
        films.kept_out,
        odd,
        films.remarks,
        model.audit_verdict,
        None if augmentation is None else str(augmentation),
    )


def _evaluate(
    chosen: Sequence[LabelledXray], scores: dict[str, KnownScore], point: OperatingPoint, use: Use
) -> Evaluation:
    of_classes, others = ([x for x in chosen if (x.label is Label.OTHER) == is_other] for is_other in (False, True))
    said, of_others = ([scores[each.sha256].score for each in films] for films in (of_classes, others))
    return evaluate(
        [score.probability for score in said],
        [xray.label is Label.COVID for xray in of_classes],
        [xray.group for xray in of_classes],
        point,
        prevalence=use.prevalence,
        decision_thresholds=use.decision_thresholds,
        is_odd=[score.is_odd for score in said],
        slices=name_slices(of_classes),
        others=OtherFilms(
            [score.probability for score in of_others],
            [xray.group for xray in others],
            [score.is_odd for score in of_others],
        ),
    )

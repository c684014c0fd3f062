"""Moving model versions by hand: list, describe, promote past the gate, roll back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from db.engine import snapshot, transaction
from db.records import ChampionTerm, ModelRecord
from db.registry import evaluations, models, terms
from flows.home.ledger import open_ledger
from flows.registry.registered import open_registered, verify_registered
from flows.settings import Settings
from xray_core.errors import NoChampion, RefusedInput
from xray_core.models.folder import read_manifest
from xray_core.models.operating_point import describe_promise, describe_thresholds
from xray_core.models.prevalence import say_mix
from xray_core.records import Interval


def list_models(settings: Settings) -> list[ModelRecord]:
    """Every model version, in the order of registration."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return models.list_models(session)


def describe_model(settings: Settings, version: str) -> dict[str, Any]:
    """What the registry and model.json say of a version. Raises RefusedInput for an unknown one."""
    model = find_model(settings, version)
    manifest = read_manifest(settings.models_dir / version)
    point = manifest.operating_point
    return {
        "version": version,
        "stage": model.stage.value,
        "proven": model.proven,
        "shortcut_audit": model.audit_verdict.value if model.audit_verdict else None,
        "architecture": manifest.architecture,
        "preprocessing": manifest.preprocessing.version,
        "output": manifest.output.value,
        "operating_point": describe_thresholds(point),
        "threshold_promise": describe_promise(point),
        "probability": f"the chance of covid {say_mix(point)}",
        "label_set_sha256": manifest.label_set_sha256,
        "created_at": manifest.created_at.isoformat(),
        "code_revision": manifest.code_revision,
        "training": manifest.training,
        "keras_sha256": manifest.keras_sha256,
        "onnx_sha256": manifest.onnx_sha256,
        "elsewhere": _list_elsewhere(settings, version),
        "evaluations": _list_evaluations(settings, version),
        "folder": str(settings.models_dir / version),
    }


def promote_by_hand(settings: Settings, version: str, reason: str) -> None:
    """Make a version champion past the gate, after loading and probing it. Raises RefusedInput without a reason."""
    if not reason.strip():
        raise RefusedInput("--reason: received nothing; expected why this model should be champion")
    model = find_model(settings, version)
    _prove_usable(settings, model)
    with open_ledger(settings) as engine, transaction(engine) as session:
        models.promote(
            session,
            version,
            actor="operator (override)",
            reason=f"override: {reason}",
            evaluation_id=None,
            now=datetime.now(UTC),
        )


def roll_back(settings: Settings, reason: str) -> str:
    """Make the previous champion champion again, once it has loaded and repeated its probe; returns its version.

    Raises NoChampion where there was none before it.
    """
    with open_ledger(settings) as engine:
        with snapshot(engine) as session:
            target = models.rollback_target(session)
        if target is None:
            raise NoChampion(
                "there is no earlier champion to go back to, `xray models history` shows all of them; `xray models "
                "promote VERSION` makes another version champion"
            )
        _prove_usable(settings, target)
        with transaction(engine) as session:
            now_before = models.rollback_target(session)
            if now_before is None or now_before.version != target.version:
                raise RefusedInput(
                    "another model became champion meanwhile: `xray models history` shows which; roll back again, "
                    "should that one have to go"
                )
            models.promote(
                session,
                target.version,
                actor="operator (rollback)",
                reason=f"rollback: {reason}",
                evaluation_id=None,
                now=datetime.now(UTC),
            )
    return target.version


def read_history(settings: Settings) -> list[ChampionTerm]:
    """Every time as champion, the first one first."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return terms.history(session)


def _prove_usable(settings: Settings, model: ModelRecord) -> None:
    """Raise ModelAltered or IncompatibleModel unless every file is as registered and the probe repeats."""
    verify_registered(settings, model)
    open_registered(settings, model)


def find_model(settings: Settings, version: str | None) -> ModelRecord:
    """A registered model by its version; without one, the champion. Raises RefusedInput or NoChampion."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        model = models.find_model(session, version) if version else models.champion(session)
    if model is None and version is None:
        raise NoChampion(
            "there is no champion: `xray train DATASET_DIR` or `xray models import FILE` makes one, or name a version, "
            "`xray models list` shows all of them",
            public=True,
        )
    if model is None:
        raise RefusedInput(f"{version}: there is no such model; `xray models list` shows all of them")
    return model


def _list_evaluations(settings: Settings, version: str) -> list[str]:
    """One line for each evaluation, audit and drift check of a version, the external sets apart."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        stored = evaluations.list_evaluations(session, version=version)
    return [
        f"{record.created_at:%Y-%m-%d} {record.set_name}: {_sum_up(json.loads(record.figures))}" for record in stored
    ]


def _list_elsewhere(settings: Settings, version: str) -> list[str]:
    """One sentence for each place that the version was evaluated on: whether it may be used there."""
    from xray_core.evaluation.elsewhere import judge_elsewhere

    with open_ledger(settings) as engine, snapshot(engine) as session:
        external = evaluations.latest_external(session, version=version)
    return [judge_elsewhere(name, found["evaluation"]).sentence for name, found in sorted(external.items())]


def _sum_up(figures: dict[str, Any]) -> str:
    """What the stored figures come to: an audit's verdict, a drift's sentence, an evaluation's AUROC and thresholds."""
    from xray_core.evaluation.two_thresholds import ConfusionRow, measure_thresholds

    if "findings" in figures:
        return str(figures["verdict"] or "cannot be told")
    if "sentence" in figures:
        return str(figures["sentence"])
    evaluation = figures.get("evaluation", figures)
    auroc = evaluation["figures"]["auroc"]
    both = measure_thresholds(
        ConfusionRow(**evaluation["confusion_covid"]), ConfusionRow(**evaluation["confusion_normal"])
    )
    words = "AUROC cannot be told" if auroc is None else f"AUROC {Interval(**auroc):.3f}"
    apart = _say_others(evaluation.get("others"))
    return "; ".join([words, *([] if both is None else [f"{both}"]), *([apart] if apart else [])])


def _say_others(others: dict[str, Any] | None) -> str | None:
    """The specificity among films labelled other at both thresholds, None where there was none."""
    if others is None:
        return None
    both = [others[f"specificity_at_{where}"] for where in ("lower", "upper")]
    lower, upper = ("cannot be told" if one is None else f"{Interval(**one):.3f}" for one in both)
    return f"apart, {others['xrays']} X-rays labelled other: specificity {lower} at the lower and {upper} at the upper"


def next_version(models_dir: Path, engine: Engine, kind: str) -> str:
    """A name that neither the registry nor the models folder has: `0003-seed_cnn`."""
    with snapshot(engine) as session:
        taken = {model.version for model in models.list_models(session)}
    taken |= {folder.name for folder in models_dir.iterdir()}
    numbers = [int(name[:4]) for name in taken if name[:4].isdigit()]
    return f"{max(numbers, default=0) + 1:04d}-{kind}"

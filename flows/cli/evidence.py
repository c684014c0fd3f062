"""`xray models audit|evaluate|compare`: what speaks for and against a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.home import Json
from flows.cli.terminal import open_home, print_json, say, tell
from flows.settings import Settings
from xray_core.records import RESEARCH_USE, AuditVerdict, Interval

if TYPE_CHECKING:
    from flows.evaluation.external_set import ExternalEvaluation
    from xray_core.evaluation.evaluation import Evaluation

# Not to be shown beside scores that must not be believed.
_OF_PREVALENCE = ("ppv", "npv", "net_benefit", "precision", "f1")

_AnyVersion = Annotated[str | None, typer.Argument(help="a model version; default: the champion")]
_Patients = Annotated[Path | None, typer.Option(help="CSV with filename, patient_id (more columns are used)")]


def add_evidence_commands(models_app: typer.Typer) -> None:
    """Add the commands to `xray models`."""
    for command in (audit, evaluate, compare, field):
        models_app.command()(command)


def field(version: _AnyVersion = None, as_json: Json = False) -> None:
    """How good is a model on the films that really come in?

    On its audit sample, chosen by chance and read blind. Sensitivity and specificity at both thresholds, weighted
    by the design, with intervals by patient. Nothing is guessed from films that chance did not choose.

    Example: xray models field
    """
    from flows.cli.agreement import print_field
    from flows.registry.field import read_field

    report = read_field(open_home(), version)
    if as_json:
        print_json(report.as_json() | {"sentence": report.sentence, "note": RESEARCH_USE})
    else:
        print_field(report)


def audit(
    version: _AnyVersion = None,
    remedies: Annotated[
        Path | None, typer.Option(help="a dataset folder: train on it with each remedy and show what that does")
    ] = None,
    patients: _Patients = None,
    epochs: Annotated[int, typer.Option(min=1, max=1000, help="of each training with --remedies")] = 8,
    as_json: Json = False,
) -> None:
    """Does it read disease, or where films come from?

    The shortcut audit of a model on the labelled X-rays of the ledger; the verdict is stored. With --remedies, what
    each remedy would do to a new model.

    Example: xray models audit

    Example: xray models audit --remedies dataset/ --patients patients.csv
    """
    from flows.cli.terminal import show_progress
    from flows.evaluation.audit import audit_model

    settings = open_home()
    if remedies is not None:
        _try_remedies(settings, remedies, patients, epochs, as_json)
        return
    with show_progress("auditing", unit="X-rays") as advance:
        model, audit = audit_model(settings, version, on_progress=advance)
    if as_json:
        print_json({"version": model.version, **audit.to_dict()})
        return
    tell([f"{model.version}: {audit.word}, on {audit.xrays} X-rays of {audit.patients} patients"])
    for finding in audit.findings:
        tell([f"  {finding.verdict.value:11} {finding.sentence}"])
    tell([audit.sentence])
    tell([RESEARCH_USE])


def evaluate(
    dataset: Annotated[Path, typer.Option("--on", help="folder with one folder per class, of another site")],
    name: Annotated[str, typer.Option(help="the set's name, as in siteB; its figures are kept under it")],
    version: _AnyVersion = None,
    patients: _Patients = None,
    as_json: Json = False,
) -> None:
    """Evaluate a model on an external set.

    Its figures are reported apart, and no training ever takes its X-rays.

    Example: xray models evaluate --on siteB/ --name siteB --patients siteB.csv
    """
    from flows.cli.terminal import show_progress
    from flows.evaluation.external_set import evaluate_external
    from flows.registry.standing import NOT_SHOWN

    settings = open_home()
    with show_progress("evaluating", unit="X-rays") as advance:
        external = evaluate_external(settings, dataset, name, patients=patients, version=version, on_progress=advance)
    evaluation = external.evaluation
    if as_json:
        print_json(
            {
                "name": name,
                "sentence": external.sentence,
                "version": external.version,
                "kept_out": external.kept_out,
                "unlike_training": external.odd,
            }
            | {"shortcut_audit": external.audit, "augmentation": external.augmentation}
            | {"remarks": list(external.remarks), "evaluation": evaluation.to_dict()}
        )
        return
    tell([f"{external.version} on {name}: covid, {evaluation.covid}; normal, {evaluation.normal}"])
    tell([external.sentence])
    tell(_tell_what_judged(external))
    is_confounded = external.audit is AuditVerdict.CONFOUNDED
    for field in fields(evaluation.figures):
        if not (is_confounded and field.name in _OF_PREVALENCE):
            tell([f"  {field.name.replace('_', ' '):22} {_write(getattr(evaluation.figures, field.name))}"])
    if evaluation.caution:
        tell([f"  {evaluation.caution}"])
    if evaluation.within_view is not None and evaluation.within_view.sentence not in external.sentence:
        tell([f"  {evaluation.within_view.sentence}"])
    tell(_tell_others(evaluation))
    at_prevalence = f"PPV, NPV and net benefit at an assumed prevalence of {evaluation.prevalence:g}"
    tell([f"  {NOT_SHOWN if is_confounded else at_prevalence}"])
    if external.odd:
        tell([f"  {external.odd} of them it refers as unlike its training X-rays, and they count as referred above"])
    tell([RESEARCH_USE])


def _tell_what_judged(external: ExternalEvaluation) -> Iterator[str]:
    """How its films were changed in training, whose films judge, and which do not."""
    if external.augmentation:
        yield (
            f"  trained with {external.augmentation} augmentation; `xray models audit --remedies DATASET` tells what "
            "the strong one does to the shortcuts"
        )
    for remark in external.remarks:
        yield f"  {remark}"
    for reason, number in sorted(external.kept_out.items()):
        yield f"  kept out: {reason} {number}"


def compare(
    version_a: Annotated[str, typer.Argument(help="a model version")],
    version_b: Annotated[str, typer.Argument(help="another one")],
    out: Annotated[Path | None, typer.Option(help="CSV with every X-ray whose outcome changes")] = None,
    as_json: Json = False,
) -> None:
    """Which X-rays would another model call otherwise?

    The flip report, on every X-ray that was scored live.

    Example: xray models compare 0001-seed_cnn 0002-seed_cnn --out flips.csv
    """
    from flows.cli.terminal import show_progress
    from flows.evaluation.compare import compare_models
    from flows.home.folders import refuse_output
    from xray_core.evaluation.flip_report import write_flips_csv

    settings = open_home()
    if out is not None:
        refuse_output(settings, out)  # before an hour's comparison
    with show_progress("comparing", unit="X-rays") as advance:
        report = compare_models(settings, version_a, version_b, on_progress=advance)
    if out is not None:
        write_flips_csv(out, report, with_file_names=settings.file_names_in_exports)
    if as_json:
        print_json(
            {"model_a": version_a, "model_b": version_b, "xrays": len(report.compared), "flips": len(report.flips)}
            | {"shortcut_audit_a": report.audit_a, "shortcut_audit_b": report.audit_b}
            | {"unread": report.unread, "changes": {f"{a} -> {b}": n for (a, b), n in report.count().items()}}
        )
        return
    tell(report.lines())
    if out is not None:
        tell([f"{len(report.flips)} rows in {out}. {RESEARCH_USE}"])


def _tell_others(evaluation: Evaluation) -> Iterator[str]:
    """Lines on films labelled other beside normal ones."""
    others = evaluation.others
    if others is None:
        yield "  no X-ray of it is labelled other (abnormal, not covid): nobody knows what it calls other diseases"
        return
    yield f"  apart: {others.xrays} X-rays of {others.patients} patients labelled other (abnormal, not covid)"
    for where in ("lower", "upper"):
        apart, normal = (getattr(of, f"specificity_at_{where}") for of in (others, evaluation.figures))
        yield f"  specificity at {where}: {_write(apart)} among other abnormal X-rays, {_write(normal)} among normal"


def _try_remedies(settings: Settings, dataset: Path, patients: Path | None, epochs: int, as_json: bool) -> None:
    from flows.evaluation.remedy_trials import tabulate, try_remedies
    from xray_core.networks.options import TrainingOptions

    trials = []
    options, tell_beside = TrainingOptions(epochs=epochs), partial(say, err=True)
    for trial in try_remedies(settings, dataset, options, patients=patients, say=tell_beside):
        trials.append(trial)
        if not as_json:
            typer.echo(tabulate([trial])[1] if len(trials) > 1 else "\n".join(tabulate([trial])))
    if as_json:
        print_json({trial.remedy: {"auroc": _write(trial.auroc), "audit": trial.audit.to_dict()} for trial in trials})
        return
    tell(["Lower is better for every figure but the held-out AUC and the centre. " + RESEARCH_USE])


def _write(figure: Interval | None) -> str:
    return "cannot be told" if figure is None else f"{figure:.3f}"

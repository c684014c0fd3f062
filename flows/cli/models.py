"""`xray models`: the registry of model versions, and who became champion when and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from db.records import ChampionTerm
from flows.cli.home import Json
from flows.cli.terminal import make_home, open_home, print_json, print_table, tell, view_home
from xray_core.imaging.records import Scaling
from xray_core.networks.records import InputRange
from xray_core.records import AUDIT_NOT_KNOWN, Verdict

_NO_MODEL = "no model yet: `xray train DATASET` makes the first, `xray models import FILE` takes one from elsewhere"
models_app = typer.Typer(help="The model registry: list, import, promote, roll back.", no_args_is_help=True)
_Version = Annotated[str, typer.Argument(help="a model version, as `xray models list` shows it")]
_Reason = Annotated[str, typer.Option(help="why; it is kept in the audit log")]


@models_app.command("list")
def list_(as_json: Json = False) -> None:
    """Every model version with its stage.

    Example: xray models list
    """
    from flows.registry.models import list_models

    found = list_models(view_home())
    if as_json:
        print_json({"models": [asdict(model) for model in found]})
        return
    if not found:
        tell([_NO_MODEL])
        return
    print_table(
        ("version", "stage", "gate", "shortcut audit", "made (UTC)"),
        (
            (
                model.version,
                model.stage.value,
                "proven" if model.proven else "unproven",
                model.audit_verdict.value if model.audit_verdict else AUDIT_NOT_KNOWN,
                f"{model.created_at:%Y-%m-%d %H:%M}",
            )
            for model in found
        ),
    )


@models_app.command()
def show(version: _Version, as_json: Json = False) -> None:
    """What model.json says of a version.

    Example: xray models show 0001-seed_cnn
    """
    from flows.registry.models import describe_model

    described = describe_model(view_home(), version)
    if as_json:
        print_json(described)
        return
    print_table(("fact", "value"), _flatten(described))


@models_app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="a .keras or .onnx file")],
    positive_output: Annotated[
        str,
        typer.Option(help="covid or normal: of whom the one output, or the second of two, speaks; or a name"),
    ],
    scaling: Annotated[
        Scaling | None, typer.Option(help="what a Keras network takes; default: read from its first steps")
    ] = None,
    input_range: Annotated[
        InputRange | None, typer.Option(help="what an ONNX network takes; it cannot be read")
    ] = None,
    output_names: Annotated[
        str, typer.Option(help="three outputs or more: their names in order, as covid,normal,pneumonia")
    ] = "",
    logits: Annotated[bool, typer.Option("--logits", help="its outputs are logits: a sigmoid is to come")] = False,
    input_size: Annotated[
        int | None, typer.Option(min=16, max=2048, help="side in pixels, where the model does not say")
    ] = None,
    name: Annotated[str, typer.Option(help="a short name for its version")] = "imported",
    reference: Annotated[
        Path | None,
        typer.Option(help="folder per class of X-rays like its own: pictures unlike them will be referred"),
    ] = None,
    patients: Annotated[Path | None, typer.Option(help="whose these are: CSV with filename, patient_id")] = None,
    as_json: Json = False,
) -> None:
    """A model that you trained elsewhere joins.

    The first one becomes champion (unproven). From Keras, or as ONNX from PyTorch and others. The report shows its
    scores of probe films scaled both ways.

    Example: xray models import ours.keras --positive-output covid --reference dataset/

    Example: xray models import ours.onnx --positive-output covid --input-range imagenet --logits

    Example: xray models import ours.keras --positive-output covid --output-names normal,covid,pneumonia
    """
    from flows.cli.terminal import show_progress
    from flows.registry.foreign_import import import_model

    settings = make_home()
    with show_progress("learning what its chest films look like", unit="X-rays") as advance:
        imported = import_model(
            settings,
            source,
            positive_output=positive_output,
            scaling=scaling,
            input_range=input_range,
            output_names=tuple(name.strip() for name in output_names.split(",") if name.strip()),
            are_logits=logits,
            input_size=(input_size, input_size) if input_size else None,
            name=name,
            reference=reference,
            patients=patients,
            on_progress=advance,
        )
    if as_json:
        print_json({"version": imported.version, "is_champion": imported.is_champion, "notes": list(imported.notes)})
        return
    stage = "champion (unproven)" if imported.is_champion else "candidate"
    tell([f"{imported.version}: {stage}"])
    for note in imported.notes:
        tell([f"  {note}"])


@models_app.command()
def promote(
    version: _Version,
    reason: _Reason = "",
    override: Annotated[bool, typer.Option("--override", help="yes, past the gate; the audit log will say so")] = False,
    as_json: Json = False,
) -> None:
    """Make a version champion on the gate's verdict.

    The gate judges it beside today's champion on the frozen test X-rays. Past the gate with --override, which
    needs a reason and is audited.

    Example: xray models promote 0002-seed_cnn

    Example: xray models promote 0002-seed_cnn --override --reason "agreed in the meeting of the readers"
    """
    from flows.evaluation.promotion import promote_through_gate
    from flows.registry.models import promote_by_hand

    settings = open_home()
    if override:
        promote_by_hand(settings, version, reason)
    decision = None if override else promote_through_gate(settings, version, reason)
    is_champion = decision is None or decision.verdict is Verdict.PROMOTE
    if as_json:
        said = asdict(decision) if decision else {"verdict": None, "reason": reason, "proven": None, "checks": []}
        print_json({"version": version, "is_champion": is_champion, "past_the_gate": override, **said})
    elif decision is not None:
        tell([f"  {check.mark:14} {check.words}" for check in decision.checks])
        tell([f"{version}: {decision.verdict.value}. {decision.reason}"])
    if not is_champion:
        raise typer.Exit(1)
    if not as_json:
        tell([f"{version} is champion; the next scan scores with it"])


@models_app.command()
def rollback(reason: _Reason = "rolled back by hand", as_json: Json = False) -> None:
    """Make the previous champion champion again.

    After loading and probing it.

    Example: xray models rollback --reason "0003 calls everything positive"
    """
    from flows.registry.models import roll_back

    version = roll_back(open_home(), reason)
    if as_json:
        print_json({"version": version, "is_champion": True, "reason": reason})
    else:
        tell([f"{version} is champion again; the next scan scores with it"])


@models_app.command()
def history(as_json: Json = False) -> None:
    """Who or what made which model champion, when and why?

    For how long, and how many X-rays it scored.

    Example: xray models history
    """
    from flows.registry.models import read_history

    terms = read_history(view_home())
    if as_json:
        print_json({"terms": [asdict(term) for term in terms]})
        return
    if not terms:
        tell([_NO_MODEL])
        return
    print_table(
        ("version", "from (UTC)", "to", "for", "X-rays", "by", "on"),
        (
            (
                term.version,
                f"{term.since:%Y-%m-%d %H:%M}",
                f"{term.until:%Y-%m-%d %H:%M}" if term.until else "now",
                _say_length(term),
                term.xrays_scored,
                term.actor,
                f"evaluation {term.evaluation_id}" if term.evaluation_id else "no evaluation",
            )
            for term in terms
        ),
    )
    tell([""])
    tell(f"{term.version}, {term.since:%Y-%m-%d %H:%M}: {term.reason}" for term in terms)


def _flatten(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """A line for every value; one that stands in another is named by both."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{above}{name}.")
        elif isinstance(value, list) and value:
            for line in value:
                yield f"{above}{name}", line
        else:
            yield f"{above}{name}", "-" if value in (None, [], "") else value


def _say_length(term: ChampionTerm) -> str:
    """For how long it was champion: in minutes, then hours, then days."""
    minutes = ((term.until or datetime.now(UTC)) - term.since).total_seconds() / 60
    for unit, length in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * length:
            return f"{minutes // length:.0f} {unit}"
    return f"{minutes:.0f} minutes"

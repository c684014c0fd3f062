"""`xray patients`: whose the X-rays are, where their files do not say."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.home import Json
from flows.cli.terminal import open_home, print_json, tell, view_home
from xray_core.errors import RefusedInput

patients_app = typer.Typer(help="Say whose the X-rays are, and see of how many nobody knows.", no_args_is_help=True)


@patients_app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="a CSV with filename or sha256, and patient_id")],
    to_come: Annotated[bool, typer.Option("--to-come", help="most of its films are not here yet")] = False,
    as_json: Json = False,
) -> None:
    """Take in whose films are, all rows or none.

    Films that are here, and films that have yet to come. The newest word on a film counts, also over its own
    header; what it replaces stays recorded and is counted.

    Example: xray patients import patients.csv
    """
    from flows.review.patient_import import import_patients

    if not source.is_file():
        raise RefusedInput(f"{source}: there is no such file; expected a CSV with filename or sha256, and patient_id")
    done = import_patients(open_home(), source, to_come=to_come)
    if as_json:
        print_json(asdict(done))
        return
    tell(
        [
            f"{done.matched} of its films are here, {done.waiting} have yet to come, "
            f"{done.placeholders} rows name nobody (empty, ANONYMOUS, unknown, 0 ...); {done.new} facts are new"
        ]
    )
    if done.corrected:
        tell(
            [
                f"{done.corrected} X-rays were another patient's until now, {done.against_header} of them by what came "
                "with the film (its header, its dataset): the CSV counts. What was trained on never judges"
            ]
        )


@patients_app.command("status")
def status(as_json: Json = False) -> None:
    """Of how many X-rays is the patient known?

    Example: xray patients status
    """
    from flows.review.patient_import import read_patient_tally

    tally, doubted = read_patient_tally(view_home())
    if as_json:
        print_json({**asdict(tally), "doubted": doubted})
        return
    tell([f"{tally.known} X-rays of {tally.patients} known patients"])
    tell([f"{tally.unknown} X-rays of unknown patients, {tally.labelled_unknown} of them labelled: they never judge"])
    if doubted:
        tell([f"{doubted} labelled X-rays carry patient ids that cannot be one person's: unknown too"])
    tell([f"{tally.waiting} rows of patients CSVs wait for their film"])
    tell(
        [
            f"{tally.corrected} X-rays were said to be another patient's before; "
            f"{tally.against_header} are another's by what came with the film (the CSV counts)"
        ]
    )
    if tally.unknown:
        tell(["`xray patients import CSV` (filename or sha256, patient_id) says whose they are"])

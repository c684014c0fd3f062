"""Commands of the operator: status, verify, backup, restore, doctor, up, demo, sample."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.home import Json
from flows.cli.terminal import fail, make_home, open_home, print_json, read_settings_aloud, say, tell, view_home
from xray_core.errors import RefusedInput


def init(
    accept_folders: Annotated[
        bool, typer.Option("--accept-folders", help="the incoming and archive folders are right as they are now")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a home: folders, ledger, site key, settings.

    With a retraining policy, label words and a study to fill in. Asks nothing, and changes nothing that is there.

    Example: xray init
    """
    from flows.home.initiation import initiate
    from flows.home.mounts import accept_folders as accept

    settings = make_home()
    accepted = accept(settings) if accept_folders else None
    made = initiate(settings)
    if as_json:
        print_json({"accepted_folders": accepted, **made.as_json()})
        return
    if accepted is not None:
        tell([f"{accepted} folders lie elsewhere than before, and are accepted"])
    tell(made.lines())


def status(as_json: Json = False) -> None:
    """How is it doing, and what does it need?

    Counts, champion, last scan, last training; exit code 1 when something needs a person.

    Example: xray status --json
    """
    from flows.operations.status import read_status

    found = read_status(view_home())
    if as_json:
        print_json(found.as_json())
    else:
        tell(found.lines())
    if found.alarms:
        raise typer.Exit(1)


def verify(
    let_go: Annotated[
        bool,
        typer.Option(
            "--let-go",
            help="films that are missing now are known to be gone: goes into the audit log, and `greys/` is emptied",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check every invariant of the data home, and every film.

    Exit code 1 with the first breach; films that are missing are counted and named.

    Example: xray verify
    """
    from flows.cli.terminal import show_progress
    from flows.operations.missing_films import let_missing_go
    from flows.operations.verification import find_breach, list_unfinished

    settings = open_home()
    if let_go:
        with show_progress("looking", unit="films") as advance:
            say(f"{let_missing_go(settings, on_progress=advance)} films are missing, and are let go", err=as_json)
    with show_progress("verifying", unit="films") as advance:
        breach, checked = find_breach(settings, on_progress=advance)
    unfinished = list_unfinished(settings)
    if as_json:
        print_json({"holds": breach is None, "breach": breach, "checked": checked, "unfinished": unfinished})
        raise typer.Exit(0 if breach is None else 1)
    for line in checked:
        tell([f"ok  {line}"])
    for path in unfinished:
        tell([f"    {path}: being written, or left by a process that was killed; a day old, it is removed"])
    if breach:
        sys.exit(fail(f"breach: {breach}", code=1))


def backup(
    target: Annotated[Path, typer.Argument(help="a new folder to write")],
    with_xrays: Annotated[
        bool, typer.Option("--with-xrays", help="films (incoming, archive, datasets) and exports too")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy the home while it is in use.

    Ledger, models and site key go into a new folder, as of one moment, with the home's retraining policy, label words,
    study and review guide; X-rays and exports too, if asked for.

    Example: xray backup /backups/xray-2026-05-01 --with-xrays
    """
    from flows.cli.terminal import show_progress
    from flows.home.backup import back_up

    settings = open_home()
    with show_progress("copying", unit="films, exports and rows") as advance:
        written = back_up(settings, target, with_xrays=with_xrays, on_progress=advance)
    if as_json:
        print_json({"path": target, "files": written.files, "with_xrays": with_xrays, "left_out": written.left_out})
        raise typer.Exit(1 if written.left_out else 0)
    tell([f"{written.files} files in {target}; it holds the site key: keep it as safe as the home"])
    tell(["settings (.env) and a policy outside the home are not in it: keep a copy of them yourself"])
    if not with_xrays:
        tell(["X-rays, exports and labels CSVs are not in it: back up their folders yourself, or use --with-xrays"])
        return
    tell(["X-rays and exports are in it; labels CSVs are not: back up their folder yourself"])
    if written.left_out:
        say(
            f"{written.left_out} films that were scored or labelled are not in it, for they are not here: "
            "`xray verify` names them",
            err=True,
        )
        raise typer.Exit(1)


def restore(
    source: Annotated[Path, typer.Argument(help="a folder that `xray backup` wrote")], as_json: Json = False
) -> None:
    """Make a new home of a backup.

    Once every byte and every invariant of it holds. With XRAY_DATABASE_URL the ledger goes into that empty database:
    so a home moves from SQLite to PostgreSQL, and a backup made there moves back.

    Example: XRAY_HOME=/data/new-home xray restore /backups/xray-2026-05-01

    Example: XRAY_HOME=/data/new-home XRAY_DATABASE_URL=postgresql://xray@db/xray xray restore /backups/xray-2026-05-01
    """
    from flows.cli.terminal import show_progress
    from flows.home.backup import restore as restore_home

    settings = read_settings_aloud()
    with show_progress("restoring", unit="films, exports and rows") as advance:
        models = restore_home(settings, source, on_progress=advance)
    if as_json:
        print_json({"home": settings.home, "models": models, "ledger_in_database": settings.database_url is not None})
        return
    where = f"{settings.home}" if settings.database_url is None else f"{settings.home} and the database that it names"
    tell([f"{models} models and the ledger restored to {where}"])


def doctor(
    migrate: Annotated[
        bool, typer.Option("--migrate", help="bring the database to this version's schema first")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check this machine and this home.

    Versions, pins, permissions, disk and database, each with its fix.

    Example: xray doctor
    """
    from flows.home.ledger import migrate_ledger
    from flows.operations.doctor import examine

    settings = read_settings_aloud()
    if migrate:
        migrate_ledger(settings)
    findings = examine(settings)
    if as_json:
        print_json({"findings": [{"what": finding.what, "fix": finding.fix} for finding in findings]})
        raise typer.Exit(1 if any(finding.fix for finding in findings) else 0)
    for finding in findings:
        tell([f"{'ok ' if finding.fix is None else 'FIX'} {finding.what}"])
        if finding.fix is not None:
            tell([f"    {finding.fix}"])
    if any(finding.fix for finding in findings):
        raise typer.Exit(1)


def up(
    host: Annotated[str, typer.Option(help="anything but loopback needs an API password")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="of the Prefect page and API")] = 4200,
) -> None:
    """Run the service until Ctrl-C.

    Prefect server, deployments and worker in one foreground process; Ctrl-C stops all three.

    Example: xray up --port 4300
    """
    from flows.service.child import Address
    from flows.service.service import run_service

    run_service(make_home(), Address(host, port), say=say)


def demo(
    keep: Annotated[
        Path | None, typer.Option(help="a folder to work in and to keep; default: a throw-away one")
    ] = None,
) -> None:
    """Walk the whole loop on synthetic X-rays.

    In a throw-away home, through a real Prefect server, its deployments and a worker.

    Example: xray demo
    """
    from flows.service.demo import run_demo

    run_demo(keep, say=say)


def sample(folder: Annotated[Path, typer.Argument(help="a new folder to write")], as_json: Json = False) -> None:
    """Draw synthetic films for the tour.

    A dataset with its patients, films that arrive, and a labels CSV; see docs/tour.md.

    Example: xray sample tour
    """
    from xray_core.synthetic.tour import write_tour_set

    if folder.exists():
        raise RefusedInput(f"{folder}: is there already; expected the name of a folder that is not, to be made")
    written = write_tour_set(folder)
    if as_json:
        print_json({"path": folder, "dataset": written.dataset, "films": written.films})
        return
    tell([f"{folder / 'dataset'}: {written.dataset} X-rays to train on; {folder / 'patients.csv'} says whose"])
    tell([f"{folder / 'films'}: {written.films} files that arrive; {folder / 'labels.csv'} says what a reader saw"])
    tell(["All of it is drawn: no film of a person is among them."])

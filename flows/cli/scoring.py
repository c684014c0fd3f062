"""Commands around the scores: scan, why, export, worklist."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.home import Json
from flows.cli.terminal import open_home, print_json, say, tell, view_home
from flows.settings import Settings
from xray_core.imaging.records import UidKind
from xray_core.records import RESEARCH_USE


def scan(as_json: Json = False) -> None:
    """Score what arrived; needs no server.

    One pass over the incoming folder: every complete X-ray without a result gets one.

    Example: xray scan
    """
    from flows.cli.scan import run_scan

    run_scan(as_json=as_json)


def export(
    out: Annotated[Path | None, typer.Option(help="file to write; default: a dated one in exports/")] = None,
    since: Annotated[datetime | None, typer.Option(help="only files decided at or after this time (UTC)")] = None,
    for_review: Annotated[
        bool, typer.Option("--for-review", help="scored files without scores: its labels count as read blind")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the results CSV for review.

    One row for every file that the service ever decided on.

    Example: xray export --out results.csv

    Example: xray export --for-review --out to-read.csv
    """
    from flows.review.exports import as_utc, write_export

    settings = open_home()
    summary = write_export(settings, out=out, since=as_utc(since), for_review=for_review)
    _print_export(settings, summary, as_json, if_empty=_NO_RESULT)


def worklist(
    out: Annotated[Path, typer.Option(help="file to write")] = Path("worklist.csv"),
    limit: Annotated[int, typer.Option(min=1, help="how many X-rays")] = 50,
    as_json: Json = False,
) -> None:
    """Write what to review first, as CSV.

    Films of the audit sample (fixed by chance), up to half of it; then what the model is least sure of.

    Example: xray worklist --limit 20 --out worklist.csv
    """
    from flows.review.exports import write_worklist

    settings = open_home()
    _print_export(settings, write_worklist(settings, out=out, limit=limit), as_json, if_empty=_NOTHING_TO_READ)


def why(
    path: Annotated[
        str,
        typer.Argument(
            metavar="FILE|SHA256|PSEUDONYM",
            help="a file's path or name, 16 digits or more of its SHA-256, or a study or image of the results CSV",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Tell what happened to a file, and why.

    Example: xray why incoming/chest-0412.png

    Example: xray why 9c5e4b1f0a7d3362
    """
    from flows.operations.file_story import explain

    story = explain(view_home(), path)
    if as_json:
        files = [{name: getattr(file, name) for name in _OF_A_FILE} for file in story.files]
        print_json({"story": story.lines, "files": files, "note": RESEARCH_USE})
        return
    tell(story.lines)


# What a program is told of one version of a file.
_OF_A_FILE = (
    "name",
    "state",
    "reason_code",
    "reason_detail",
    "xray_sha256",
    "study",
    "image",
    "first_seen_at",
    "decided_at",
    "retry_at",
    "tries",
    "superseded_at",
    "outcome",
    "probability",
    "model_version",
    "refer_reason",
    "distance",
)


def pseudonyms(
    kind: Annotated[UidKind, typer.Argument(help="whose UIDs they are: Study or SOP Instance UIDs")],
    as_json: Json = False,
) -> None:
    """Turn UIDs of a PACS into the pseudonyms of the results.

    So both can be joined. Reads UIDs from standard input, one a line, and writes a pseudonym for each, in their order:
    so none of them stays in the shell's history, in the list of processes or in a log.

    Example: xray pseudonyms study < study-uids.txt
    """
    from flows.operations.pseudonyms import name_uids

    settings = open_home()
    if sys.stdin.isatty():
        say("UIDs, one a line; Ctrl-D ends", err=True)
    named = name_uids(settings, kind, sys.stdin.buffer)
    if as_json:
        print_json({"kind": kind, "pseudonyms": list(named)})
        return
    for pseudonym in named:
        typer.echo(pseudonym)


_NO_RESULT = (
    "No file was decided on yet, or since then: put films into the incoming folder, then `xray scan`; "
    "`xray status` says how many there are."
)
_NOTHING_TO_READ = (
    "No film of the champion is without a label: put films into the incoming folder, then `xray scan`; "
    "`xray status` says whether there is a champion."
)


def _print_export(settings: Settings, summary: Any, as_json: bool, *, if_empty: str) -> None:
    from flows.registry.standing import read_caution, read_predictive_values

    if as_json:
        print_json({"path": str(summary.path), "rows": summary.rows, "sha256": summary.sha256})
    else:
        told = [f"{summary.rows} rows in {summary.path}. {RESEARCH_USE}"]
        told += [] if summary.rows else [if_empty]
        tell([*told, *filter(None, (read_predictive_values(settings), read_caution(settings)))])

"""`xray labels`: what reviewers send back, and how far the next retraining is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.home import Json
from flows.cli.terminal import open_home, print_json, say, tell, view_home
from xray_core.errors import RefusedInput

labels_app = typer.Typer(help="Import labels and see how far the next retraining is.", no_args_is_help=True)


@labels_app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="a labels CSV, a filled-in results CSV, or a folder per class")],
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="a reader's word and the label it means: pneumonia=other")
    ] = None,
    accept_contradictions: Annotated[
        bool,
        typer.Option("--accept-contradictions", help="though it contradicts known labels of over a fifth of its films"),
    ] = False,
    as_json: Json = False,
) -> None:
    """Import labels, all rows or none.

    Every bad row is listed with its line.

    Example: xray labels import reviewed.csv --map pneumonia=other
    """
    from flows.review.label_import import import_labels_from

    if not (source.is_file() or source.is_dir()):
        raise RefusedInput(f"{source}: there is no such file or folder; expected a labels CSV or a folder per class")
    done = import_labels_from(
        open_home(), source, mapping=_read_mapping(mapping or []), accept_contradictions=accept_contradictions
    )
    if as_json:
        print_json({"rows": done.rows, "new": done.new, "labels": done.by_label})
        return
    tell([f"{done.rows} rows taken in, {done.new} of them new"])
    for label, number in sorted(done.by_label.items()):
        tell([f"  {label:9} {number}"])


@labels_app.command("check")
def check(
    out: Annotated[Path | None, typer.Option(help="CSV with the doubted films: xray_sha256, label, score")] = None,
    as_json: Json = False,
) -> None:
    """Which labels may be wrong?

    Every labelled film is scored by what the films of other patients teach.

    No label is changed: the films that were scored here come onto the next reading lists, for a second reader.

    Example: xray labels check --out doubted.csv
    """
    from flows.cli.terminal import show_progress
    from flows.home.folders import refuse_output
    from flows.training.label_check import check_labels, write_doubted

    settings = open_home()
    if out is not None:
        refuse_output(settings, out)
    with show_progress("checking", unit="X-rays") as advance:
        found = check_labels(settings, on_progress=advance)
    if out is not None:
        write_doubted(out, found)
    if as_json:
        films = [{"xray_sha256": xray.sha256, "label": xray.label, "score": score} for xray, score in found.doubted]
        print_json({"films": found.films, "unread": found.unread, "doubted": films})
        return
    tell([f"{found.sentence}; no label was changed"])
    if found.doubted:
        tell(["those that were scored here come onto the next reading lists: `xray review --reader NAME`"])


@labels_app.command("status")
def status(as_json: Json = False) -> None:
    """What does the next retraining wait for?

    How many new trainable labels have gathered, and where readers disagree.

    Example: xray labels status
    """
    from flows.training.label_status import read_label_status
    from xray_core.reading.readers_words import say_agreement

    due, settled, most_read = read_label_status(view_home())
    if as_json:
        told = {"due": due.due, "new_labels": due.new_labels, "reason": due.reason, "films": settled}
        judged = {"judged_on": asdict(due.judged_on), "not_trained_on": due.held}
        print_json(told | judged | {"agreement": say_agreement(most_read)})
        return
    films = f"labelled films: {', '.join(f'{number} {word}' for word, number in settled.items())}"
    tell([*due.decision.lines, films, say_agreement(most_read), *due.tell_labels()])


@labels_app.command("agreement")
def agreement(
    plot: Annotated[Path | None, typer.Option(help="draw it into this PNG as well")] = None, as_json: Json = False
) -> None:
    """How far do readers agree?

    With each other, with themselves, beside the model, and after a score was shown.

    Example: xray labels agreement

    Example: xray labels agreement --plot agreement.png
    """
    from flows.cli.agreement import print_agreement, write_agreement_plot
    from flows.home.folders import refuse_output
    from flows.registry.reference_standard import read_readers_report

    settings = open_home()
    if plot is not None:
        refuse_output(settings, plot, option="--plot")
    report = read_readers_report(settings)
    if plot is not None and not write_agreement_plot(report, plot):
        say(f"{plot} was not written: no film was read by two readers, or twice by one", err=True)
    if as_json:
        print_json(asdict(report) | {"reveal_sentence": report.reveal.sentence})
    else:
        print_agreement(report)


@labels_app.command("adjudicate")
def adjudicate(
    reader: Annotated[str, typer.Option(help="who settles: a reader who has not read the films, where there is one")],
    size: Annotated[int, typer.Option(min=1, max=50, help="how many films at most")] = 50,
    offline: Annotated[
        Path | None, typer.Option(help="write the page as a folder for another computer instead of serving it")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="write a CSV to fill in instead of serving a page")] = None,
    letters: Annotated[
        bool, typer.Option(help="leave burnt-in letters outside the chest in the folder's films; else they are masked")
    ] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the page in a browser")] = True,
) -> None:
    """Settle the films on which readers contradict each other.

    The page shows their opinions without names. Without a third reader each of the two reads them once more, blind;
    what stays disputed is unsure.

    Example: xray labels adjudicate --reader cleo

    Example: xray labels adjudicate --reader cleo --csv disputes.csv
    """
    from flows.home.folders import refuse_output
    from flows.reading import sitting
    from flows.reading.server import Sitting

    settings = open_home()
    if csv is not None:
        refuse_output(settings, csv, option="--csv")
    if offline is not None and csv is not None:
        raise RefusedInput("--offline and --csv: received both; expected one of them")
    if offline is not None:
        sitting.adjudicate_offline(settings, reader, offline, size=size, masked=not letters, say=say)
    elif csv is not None:
        sitting.adjudicate_by_csv(settings, reader, csv, size=size, say=say)
    else:
        page = Sitting(f"disputes {reader}", "/", opens_browser=browser, say=say)
        sitting.adjudicate_served(settings, page, reader, size=size)


def _read_mapping(pairs: list[str]) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for pair in pairs:
        word, equals, label = pair.partition("=")
        if not (word.strip() and equals and label.strip()):
            raise RefusedInput(f"--map: received {pair!r}; expected WORD=LABEL, as in pneumonia=other")
        mapping[word.strip()] = label.strip()
    return mapping

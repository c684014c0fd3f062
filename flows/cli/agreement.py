"""How `xray labels agreement` and `xray models field` look in a terminal, and as a picture."""

from __future__ import annotations

from pathlib import Path

from flows.cli.terminal import print_table, tell
from flows.registry.field import FieldReport
from xray_core.exchange.atomic_file import write_whole
from xray_core.reading.agreement import Agreement
from xray_core.reading.readers_report import PairFigures, ReadersReport
from xray_core.reading.readers_words import NOTHING_READ, TOO_FEW, say_figure, say_model_beside, tell_readers
from xray_core.records import RESEARCH_USE


def print_agreement(report: ReadersReport) -> None:
    """Every pair with its figures and its table, then what is known of each reader."""
    tell([f"labelled films: {', '.join(f'{number} {word}' for word, number in report.settled.items())}"])
    if not report.pairs:
        tell([NOTHING_READ])
    for pair in report.pairs:
        tell([""])
        _print_pair(pair)
    if report.readers:
        tell([""])
    tell(tell_readers(report) if report.readers else ())
    tell([RESEARCH_USE])


def _print_pair(pair: PairFigures) -> None:
    words = pair.words
    tell([f"{pair.first} and {pair.second}: {words.films} films of {words.patients} patients read blind by both"])
    if words.raw is None:
        tell([TOO_FEW])
    else:
        rows = (("all words", words), ("covid or not", pair.covid))
        print_table(
            ("scale", "films", "raw agreement", "Cohen's kappa", "Gwet's AC1"),
            [(name, found.films, *map(say_figure, (found.raw, found.kappa, found.ac1))) for name, found in rows],
        )
        tell([say_model_beside(pair)])
    print_table((f"{pair.first} \\ {pair.second}", *words.words), list(_list_rows(words)))


def _list_rows(found: Agreement) -> list[tuple[str | int, ...]]:
    return [(word, *row) for word, row in zip(found.words, found.table, strict=True)]


def write_agreement_plot(report: ReadersReport, path: Path) -> bool:
    """The same as a picture: every pair, and every reader who read films twice; whether there was any to draw."""
    from xray_core.report.readers_plot import AgreementLine, plot_agreement

    found = [(f"{pair.first} and {pair.second}", pair.words) for pair in report.pairs]
    found += [(f"{one.reader}, twice", one.repeats) for one in report.readers if one.repeats.films]
    if not found:
        return False
    lines = [AgreementLine(name, one.films, one.raw, one.kappa, one.ac1) for name, one in found]
    films = max(one.films for _, one in found)
    write_whole(path, plot_agreement(lines, n=f"films read blind, at most {films} by one pair"))
    return True


def print_field(report: FieldReport) -> None:
    """The figures of the audit sample, or what to do for them."""
    tell([report.sentence])
    if report.figures:
        tell([f"weighted by the design, on {report.measured.patients if report.measured else 0} patients:"])
    for words, figure in report.figures.items():
        tell([f"  {words:30} {figure}"])
    tell([RESEARCH_USE])

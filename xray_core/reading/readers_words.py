"""The report of readers in sentences: for a terminal, a line of status, and the questions of a model card."""

from __future__ import annotations

from collections.abc import Iterator

from xray_core.reading.agreement import FEWEST_FILMS, FEWEST_PATIENTS, Agreement
from xray_core.reading.most_read import MostRead
from xray_core.reading.readers_report import ModelBeside, PairFigures, ReaderFigures, ReadersReport, Third
from xray_core.records import Interval

TOO_FEW = f"too few: below {FEWEST_FILMS} films of {FEWEST_PATIENTS} patients no figure is shown"
NOTHING_READ = (
    "no film was read by two readers yet: `xray readers add NAME` for each, then `xray review --reader NAME`; "
    "both get the same films"
)


def say_agreement(pair: MostRead | None) -> str:
    """One line for a status: the pair that has read most together."""
    if pair is None:
        return f"agreement: {NOTHING_READ}"
    more = f" ({pair.pairs} pairs of readers: `xray labels agreement`)" if pair.pairs > 1 else ""
    return f"agreement: {pair.first} and {pair.second}, {_say_figures(pair.words)}{more}"


def _say_figures(found: Agreement) -> str:
    told = f"{found.films} films of {found.patients} patients"
    if found.raw is None:
        return f"{told}, {TOO_FEW}"
    return f"{told}, raw {found.raw}, kappa {say_figure(found.kappa)}, AC1 {say_figure(found.ac1)}"


def say_figure(figure: Interval | None) -> str:
    """A figure with its interval, or that there is none."""
    return "cannot be told" if figure is None else f"{figure}"


def tell_readers(report: ReadersReport) -> Iterator[str]:
    """What is known of each reader, then the effect of revealed scores and what was left out."""
    for reader in report.readers:
        yield from _tell_reader(reader)
    if any(one.share for reader in report.readers for one in reader.thirds):
        yield "a share of covid that falls from third to third is tiredness or haste: each list has an order of chance"
    yield f"after a score was revealed: {report.reveal.sentence}"
    if report.seen:
        yield f"left out: {report.seen} verdicts that were given with the score in view"
    if report.unknown_sight:
        yield (
            f"left out: {report.unknown_sight} verdicts of which nobody wrote down whether a score was in view "
            "(`xray export --for-review` gives a CSV without scores, and a labels CSV may say `no` in score_visible)"
        )


def _tell_reader(reader: ReaderFigures) -> Iterator[str]:
    pace = (
        ""
        if reader.seconds is None
        else "; {1:.0f} s a film in the middle, half of them {0:.0f} to {2:.0f} s".format(*reader.seconds)
    )
    yield f"{reader.reader}: {reader.films} films read blind{pace}"
    yield (
        f"  read twice, at least 14 days apart: {_say_figures(reader.repeats)}"
        if reader.repeats.films
        else ("  read twice: nothing yet; repeats come into lists by themselves after 14 days and 50 films")
    )
    if sum(third.films for third in reader.thirds):
        told = ", ".join(map(_say_third, reader.thirds))
        yield f"  called covid in the first, second and last third of a list: {told}"


def _say_third(third: Third) -> str:
    if third.share is None:
        return f"{third.covid} of {third.films}"
    return f"{third.share} of {third.films}"


def say_model_beside(pair: PairFigures) -> str:
    """How the model agrees with what films were settled as, beside how the two readers agree."""
    found: ModelBeside = pair.model
    if found.difference is None or found.model is None or found.readers is None:
        return (
            f"the model beside them: {found.settled} settled films that it decided on and never learned from; {TOO_FEW}"
        )
    is_less, is_more = found.difference.high < 0, found.difference.low > 0
    told = "less than readers agree" if is_less else "more than readers agree" if is_more else "as readers agree"
    low, value, high = found.difference.low, found.difference.value, found.difference.high
    return (
        f"the model beside them: it agrees with the settled label on {found.model}, they with each other on "
        f"{found.readers}; difference {value:+.2f} ({low:+.2f} to {high:+.2f}): {told}, as far as {found.films} "
        f"films can tell, that it decided on and never learned from ({found.referred} referred ones left out)"
    )


def answer_questions(report: ReadersReport) -> dict[str, str]:
    """What a model card asks and the ledger knows, by the key of the question; readers are numbered, not named."""
    labelled = sum(report.settled.values())
    if not labelled:
        return {}
    counted = ", ".join(f"{number} {how}" for how, number in report.settled.items())
    answers = {
        "reference_standard": f"Of {labelled} labelled films here: {counted}. Labels that came with a dataset count as "
        "single; how those were established, and how readers were trained, is not recorded here."
    }
    if not report.readers:
        return answers
    verdicts = sum(reader.films for reader in report.readers)
    answers["blinding"] = (
        f"{verdicts} verdicts of {len(report.readers)} readers were given before any score was "
        f"seen, {report.seen} with a score in view; of {report.unknown_sight} nobody wrote it down. The page on which "
        "films are read shows the film alone."
    )
    numbers = {reader.reader: number for number, reader in enumerate(report.readers, start=1)}
    told = [
        f"readers {numbers[pair.first]} and {numbers[pair.second]}: {_say_figures(pair.words)}" for pair in report.pairs
    ]
    told += [
        f"reader {number} with the same reader's first verdict: {_say_figures(reader.repeats)}"
        for number, reader in enumerate(report.readers, start=1)
        if reader.repeats.films
    ]
    answers["agreement"] = "; ".join(told) or "No film was read by two readers, and none twice."
    return answers

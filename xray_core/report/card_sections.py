"""The sections of a model card that hold figures: performance, thresholds, calibration, slices, audit, other places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from xray_core.evaluation.figures import OF_CALIBRATION
from xray_core.evaluation.slices import TOO_FEW_XRAYS
from xray_core.records import Interval, Label
from xray_core.report.card_document import Block, Items, Paragraph, Picture, Table
from xray_core.report.card_facts import CardEvaluation, CardFacts, CardPart, CardSlice
from xray_core.report.card_wording import FIGURES, UNTOLD


def describe_performance(facts: CardFacts) -> tuple[Block, ...]:
    """Figures on the test X-rays, and those of the champion then on the same ones."""
    if facts.test is None:
        return (Paragraph("Unknown: it was not evaluated here."), *take_pictures(facts, CardPart.PERFORMANCE))
    before = _describe_evaluation(facts.champion) if facts.champion else []
    return (*_describe_evaluation(facts.test), *take_pictures(facts, CardPart.PERFORMANCE), *before)


def _describe_evaluation(one: CardEvaluation) -> list[Block]:
    names = [name for name in FIGURES if name in one.figures and name not in OF_CALIBRATION]
    how = (
        f"{one.name}: {count_xrays(one)}. Intervals are 95 %, from {one.resamples:,} draws of patients. "
        f"PPV, NPV and net benefit are for a prevalence of {one.prevalence:.1%}."
    )
    outcomes = (("covid", *map(str, one.covid_outcomes)), ("normal", *map(str, one.normal_outcomes)))
    table = _tabulate_figures(one, names)
    untold = [Paragraph(UNTOLD)] if any(one.figures[name] is None for name in names) else []
    return [
        Paragraph(how),
        table,
        *untold,
        Table(("Label", "called positive", "referred", "called negative"), outcomes),
    ]


def describe_operating_point(facts: CardFacts) -> tuple[Block, ...]:
    """The thresholds, what they were chosen on, and what they came to on the test X-rays, which chose nothing."""
    point = facts.operating_point
    if point is None:
        return (Paragraph("Unknown."), *take_pictures(facts, CardPart.OPERATING_POINT))
    chosen = f"{point.chosen_on.value} X-rays" if point.chosen_on else "nothing: nobody has chosen it here"
    judged = facts.test.figures if facts.test else {}
    rows = (
        ("positive", f"P(covid) at or above {point.upper:.4f}"),
        ("refer", f"between: a reader decides ({point.lower:.4f} to {point.upper:.4f})"),
        ("negative", f"P(covid) below {point.lower:.4f}"),
        ("Chosen on", f"{chosen} ({point.positives} covid, {point.negatives} normal)"),
        ("Chosen for a sensitivity of", _write_share(point.target_sensitivity)),
        ("Sensitivity, where it was chosen", _write_share(point.sensitivity)),
        ("Sensitivity, judged on test X-rays", write_interval(judged.get("sensitivity"))),
        ("Specificity, where it was chosen", _write_share(point.specificity)),
        ("Specificity, judged on test X-rays", write_interval(judged.get("specificity"))),
    )
    return (Table(("Outcome or fact", "Value"), rows), *take_pictures(facts, CardPart.OPERATING_POINT))


def describe_calibration(facts: CardFacts) -> tuple[Block, ...]:
    """What the scores were before recalibration and what they are now, on the test X-rays."""
    names = [name for name in OF_CALIBRATION if facts.test and name in facts.test.figures]
    if facts.test is None or not names:
        return (Paragraph("Unknown."), *take_pictures(facts, CardPart.CALIBRATION))
    text = "Does a score of 0.8 mean 8 in 10? Only if the share of covid is as in the test X-rays."
    table = _tabulate_figures(facts.test, names)
    how = "It was not recalibrated here: the scores are the network's own."
    if (line := facts.recalibration) is not None:
        how = (
            f"The scores are recalibrated: the network's log-odds are multiplied by {line.slope:.3f}, then "
            f"{line.intercept:+.3f} is added. Both numbers were chosen on {line.xrays} validation X-rays and on no "
            "others; the test X-rays below only judge. The order of the X-rays stays as it was, and so does the AUROC."
        )
        table = Table(
            ("Figure, on test X-rays", "Before (95 % interval)", "Now (95 % interval)", "What it means"),
            tuple(
                (row[0], _write_figure(line.before.get(name)), *row[1:])
                for name, row in zip(names, table.rows, strict=True)
            ),
        )
    untold = [Paragraph(UNTOLD)] if any(facts.test.figures[name] is None for name in names) else []
    return (Paragraph(text), Paragraph(how), table, *untold, *take_pictures(facts, CardPart.CALIBRATION))


def describe_slices(facts: CardFacts) -> tuple[Block, ...]:
    """The slices that can be judged, each in a row, then the names of those that have too few X-rays."""
    if not facts.slices:
        return (Paragraph("Unknown: no slice was examined."), *take_pictures(facts, CardPart.SLICES))
    judged = [one for one in facts.slices if one.xrays >= TOO_FEW_XRAYS]
    rows = [
        (
            f"{one.name}: {one.value}",
            f"{one.xrays} / {one.patients}",
            *(_write_figure(each, one.remark) for each in (one.auroc, one.sensitivity, one.specificity)),
        )
        for one in judged
    ]
    header = ("Slice", "X-rays / patients", "AUROC", "Sensitivity", "Specificity")
    table = make_table(header, rows, f"No slice has {TOO_FEW_XRAYS} X-rays: nothing can be said of any.")
    small = [one for one in facts.slices if one.xrays < TOO_FEW_XRAYS]
    too_few: list[Block] = []
    if small:
        told = f"Too few X-rays to say anything (under {TOO_FEW_XRAYS} of the test X-rays; their number in brackets):"
        too_few = [Paragraph(told), Items(tuple(_name_small(small)))]
    return (table, *too_few, *take_pictures(facts, CardPart.SLICES))


def _name_small(slices: Sequence[CardSlice]) -> Iterator[str]:
    """One line for each kind of slice; collections with several places are named once."""
    for name, members in groupby(slices, key=lambda one: one.name):
        heads: dict[str, list[str]] = {}
        for one in members:
            head, _, place = one.value.rpartition(" (")
            heads.setdefault(head, []).append(f"{place.removesuffix(')') if head else one.value} ({one.xrays})")
        told = "; ".join(f"{head}: {', '.join(each)}" if head else ", ".join(each) for head, each in heads.items())
        yield f"{name}: too few: {told}"


def describe_audit(facts: CardFacts) -> tuple[Block, ...]:
    """Every finding of the shortcut audit as a sentence with its interval."""
    if facts.audit is None:
        return (Paragraph("Not done: unknown whether it reads disease or data source."),)
    rows = [(f.name, f.sentence, write_interval(f.auc), f.verdict.value) for f in facts.audit.findings]
    return (
        Paragraph(f"Verdict: {facts.audit.verdict.value}. {facts.audit.sentence}"),
        make_table(("Probe", "Finding", "AUC", "Verdict"), rows, "No probe could be made."),
        *take_pictures(facts, CardPart.AUDIT),
    )


def describe_external(facts: CardFacts) -> tuple[Block, ...]:
    """Sets of other places, apart from the test X-rays."""
    if not facts.external:
        later = f"What was evaluated after this card was written is listed by: xray models show {facts.version}"
        return (Paragraph("None: how it does on X-rays of another place is unknown."), Paragraph(later))
    return tuple(block for one in facts.external for block in _describe_evaluation(one))


def make_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]], otherwise: str) -> Block:
    """A table, or a sentence where it would be empty."""
    return Table(header, tuple(rows)) if rows else Paragraph(otherwise)


def take_pictures(facts: CardFacts, part: CardPart) -> tuple[Block, ...]:
    """The plots that belong to a part of the card."""
    return tuple(Picture(p.file, p.caption, p.png) for p in facts.pictures if p.part is part)


def count_xrays(one: CardEvaluation) -> str:
    """How many X-rays of how many patients, by class."""
    return (
        f"{one.covid_xrays} {Label.COVID} X-rays of {one.covid_patients} patients and {one.normal_xrays} "
        f"{Label.NORMAL} X-rays of {one.normal_patients} patients"
    )


def write_interval(interval: Interval | None) -> str:
    """`0.912 (0.850 to 0.960)`, or `unknown`."""
    return _write_figure(interval, "unknown")


def write_value(value: str | float | bool | None) -> str:
    """A fact in words."""
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)


def _tabulate_figures(one: CardEvaluation, names: Sequence[str]) -> Table:
    rows = tuple((FIGURES[name][0], _write_figure(one.figures[name]), FIGURES[name][1]) for name in names)
    return Table(("Figure", "Value (95 % interval)", "What it means"), rows)


def _write_figure(interval: Interval | None, otherwise: str = "cannot be told") -> str:
    if interval is None:
        return otherwise or "cannot be told"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _write_share(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.3f}"

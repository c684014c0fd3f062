"""The model card: what a clinician must know of one model version before believing a score of it."""

from __future__ import annotations

from collections.abc import Sequence

from xray_core.card_checklist import GUIDELINES, QUESTIONS
from xray_core.card_document import (
    Alarm,
    Block,
    Document,
    Items,
    Paragraph,
    Picture,
    Section,
    Table,
    Text,
    to_html,
    to_markdown,
)
from xray_core.card_facts import CardEvaluation, CardFacts, CardPart
from xray_core.card_wording import FIGURES, INTENDED, LIMITS, NOT_INTENDED, OF_CALIBRATION, SIDES
from xray_core.records import RESEARCH_USE, AuditVerdict, Interval, Label, Verdict


def write_card(facts: CardFacts) -> tuple[str, str]:
    """MODEL_CARD.md and the same as one self-contained HTML page; what is not known is called unknown."""
    document = Document(
        title=f"Model card: {facts.architecture} {facts.version}",
        opening=(*_warn(facts), Paragraph(_sum_up(facts))),
        sections=(
            Section("What it is", _describe_model(facts)),
            Section("What it is for, and what it is not for", _describe_use()),
            Section("Data and sources", _describe_data(facts)),
            Section("Training", _describe_training(facts)),
            Section("How well it did on X-rays it never saw", _describe_performance(facts)),
            Section("Operating point", _describe_operating_point(facts)),
            Section("Calibration", _describe_calibration(facts)),
            Section("Slices", _describe_slices(facts)),
            Section("Shortcut audit", _describe_audit(facts)),
            Section("External X-rays", _describe_external(facts)),
            Section("Promotion", _describe_promotion(facts)),
            Section("Where it looked", _describe_explanation(facts)),
            Section("Limits", (Items((*LIMITS, *facts.limits)),)),
            Section("What else a reader should ask", _answer_checklist(facts)),
            Section("Reproduce and verify", _describe_provenance(facts)),
        ),
        footer=RESEARCH_USE,
    )
    return to_markdown(document), to_html(document)


def _warn(facts: CardFacts) -> list[Block]:
    warnings: list[Block] = [Alarm(RESEARCH_USE, "No score of this model may decide anything about a patient.")]
    if facts.audit is None:
        warnings.append(Alarm("Not audited for shortcuts", "Nobody knows whether it reads disease or data source."))
    elif facts.audit.verdict is AuditVerdict.CONFOUNDED:
        warnings.append(Alarm("CONFOUNDED: do not believe these scores", facts.audit.sentence))
    elif facts.audit.verdict is AuditVerdict.SUSPECT:
        warnings.append(Alarm("Suspect of a shortcut", facts.audit.sentence))
    if not facts.proven:
        text = "It has not been shown to be better than a champion before it, on X-rays that both had never seen."
        warnings.append(Alarm("Unproven", text))
    if facts.test is None:
        warnings.append(Alarm("Not evaluated here", "There are no figures on X-rays that it never saw."))
    return warnings


def _sum_up(facts: CardFacts) -> str:
    if facts.test is None:
        return "A network that gives a chest X-ray a number between 0 and 1, meant as the probability of covid."
    figures = facts.test.figures
    return (
        "A network that gives a chest X-ray a number between 0 and 1, meant as the probability of covid. On "
        f"{_count_test(facts.test)} it never saw: AUROC {_interval(figures.get('auroc'))}, sensitivity "
        f"{_interval(figures.get('sensitivity'))} and specificity {_interval(figures.get('specificity'))} at its "
        f"operating point. Shortcut audit: {facts.audit.verdict.value if facts.audit else 'not done'}."
    )


def _describe_model(facts: CardFacts) -> tuple[Block, ...]:
    size = facts.preprocessing
    shape = (
        f"{size.height} x {size.width} pixels, {size.channels} channels, scaling {size.scaling.value}" if size else ""
    )
    rows = (
        ("Version", facts.version),
        ("Architecture", facts.architecture),
        ("Made", f"{facts.created_at:%Y-%m-%d %H:%M} UTC"),
        ("Input", shape or "unknown"),
        ("Remedies against shortcuts", ", ".join(size.remedies) or "none" if size else "unknown"),
        ("Output", "P(covid), 0 to 1; positive always means covid"),
        ("Standing", "proven against the champion before it" if facts.proven else "unproven"),
        ("Code", facts.code_revision),
    )
    return (Table(("Fact", "Value"), rows),)


def _describe_use() -> tuple[Block, ...]:
    return (Paragraph("For:"), Items(INTENDED), Paragraph("Not for:"), Items(NOT_INTENDED))


def _describe_data(facts: CardFacts) -> tuple[Block, ...]:
    blocks: list[Block] = []
    has_notes = any(source.note for source in facts.sources)
    sources = [(s.name, str(s.covid), str(s.normal), *([s.note] if has_notes else [])) for s in facts.sources]
    header = ("Source", "covid X-rays", "normal X-rays", *(["Note"] if has_notes else []))
    blocks.append(_table(header, sources, "The sources are unknown."))
    if facts.sources and not any(source.covid and source.normal for source in facts.sources):
        text = (
            "No source gave X-rays of both classes, so whatever tells the sources apart also tells the classes apart."
        )
        blocks.append(Alarm("Class equals source", text))
    blocks.append(Paragraph("A patient stands on one side for ever: nobody whose X-rays judge it was learned from."))
    counts = [(SIDES[c.split], c.label.value, str(c.xrays), str(c.patients)) for c in facts.counts]
    blocks.append(_table(("Side", "Class", "X-rays", "Patients"), counts, "The split is unknown."))
    if facts.split_notes:
        blocks.append(Items(facts.split_notes))
    return (*blocks, *_pictures(facts, CardPart.DATA))


def _describe_training(facts: CardFacts) -> tuple[Block, ...]:
    options = [
        (name.replace("_", " "), "none" if value is None else _value(value)) for name, value in facts.training.items()
    ]
    blocks = [_table(("Option", "Value"), options, "How it was trained is unknown.")]
    if facts.layers:
        layers = [(name, kind, shape, f"{parameters:,}") for name, kind, shape, parameters in facts.layers]
        layers.append(("all layers", "", "", f"{sum(layer[3] for layer in facts.layers):,}"))
        blocks.append(Table(("Layer", "Kind", "Output", "Parameters"), tuple(layers)))
    else:
        blocks.append(Paragraph("The layers are unknown."))
    return (*blocks, *_pictures(facts, CardPart.TRAINING))


def _describe_performance(facts: CardFacts) -> tuple[Block, ...]:
    if facts.test is None:
        return (Paragraph("Unknown: it was not evaluated here."), *_pictures(facts, CardPart.PERFORMANCE))
    before = _describe_evaluation(facts.champion) if facts.champion else []
    return (*_describe_evaluation(facts.test), *_pictures(facts, CardPart.PERFORMANCE), *before)


def _describe_evaluation(one: CardEvaluation) -> list[Block]:
    names = [name for name in FIGURES if name in one.figures and name not in OF_CALIBRATION]
    how = (
        f"{one.name}: {_count_test(one)}. Intervals are 95 %, from {one.resamples:,} draws of patients. "
        f"PPV, NPV and net benefit are for a prevalence of {one.prevalence:.1%}."
    )
    outcomes = (("covid", *map(str, one.covid_outcomes)), ("normal", *map(str, one.normal_outcomes)))
    return [
        Paragraph(how),
        _tabulate_figures(one, names),
        Table(("Label", "called positive", "referred", "called negative"), outcomes),
    ]


def _describe_operating_point(facts: CardFacts) -> tuple[Block, ...]:
    point = facts.operating_point
    if point is None:
        return (Paragraph("Unknown."), *_pictures(facts, CardPart.OPERATING_POINT))
    chosen = f"{point.chosen_on.value} X-rays" if point.chosen_on else "nothing: nobody has chosen it here"
    rows = (
        ("positive", f"P(covid) at or above {point.upper:.4f}"),
        ("refer", f"between: a reader decides ({point.lower:.4f} to {point.upper:.4f})"),
        ("negative", f"P(covid) below {point.lower:.4f}"),
        ("Chosen for a sensitivity of", _value(point.target_sensitivity)),
        ("Sensitivity there", _value(point.sensitivity)),
        ("Specificity there", _value(point.specificity)),
        ("Chosen on", f"{chosen} ({point.positives} covid, {point.negatives} normal)"),
    )
    return (Table(("Outcome or fact", "Value"), rows), *_pictures(facts, CardPart.OPERATING_POINT))


def _describe_calibration(facts: CardFacts) -> tuple[Block, ...]:
    names = [name for name in OF_CALIBRATION if facts.test and name in facts.test.figures]
    if facts.test is None or not names:
        return (Paragraph("Unknown."), *_pictures(facts, CardPart.CALIBRATION))
    text = "Does a score of 0.8 mean 8 in 10? Only if the share of covid is as in the test X-rays."
    return (Paragraph(text), _tabulate_figures(facts.test, names), *_pictures(facts, CardPart.CALIBRATION))


def _describe_slices(facts: CardFacts) -> tuple[Block, ...]:
    rows = [
        (
            f"{s.name}: {s.value}",
            f"{s.xrays} / {s.patients}",
            *map(_interval, (s.auroc, s.sensitivity, s.specificity)),
            s.remark,
        )
        for s in facts.slices
    ]
    header = ("Slice", "X-rays / patients", "AUROC", "Sensitivity", "Specificity", "Remark")
    return (_table(header, rows, "Unknown: no slice was examined."), *_pictures(facts, CardPart.SLICES))


def _describe_audit(facts: CardFacts) -> tuple[Block, ...]:
    if facts.audit is None:
        return (Paragraph("Not done: unknown whether it reads disease or data source."),)
    rows = [(f.name, f.sentence, _interval(f.auc), f.verdict.value) for f in facts.audit.findings]
    return (
        Paragraph(f"Verdict: {facts.audit.verdict.value}. {facts.audit.sentence}"),
        _table(("Probe", "Finding", "AUC", "Verdict"), rows, "No probe could be made."),
        *_pictures(facts, CardPart.AUDIT),
    )


def _describe_external(facts: CardFacts) -> tuple[Block, ...]:
    if not facts.external:
        return (Paragraph("None: how it does on X-rays of another place is unknown."),)
    return tuple(block for one in facts.external for block in _describe_evaluation(one))


def _describe_promotion(facts: CardFacts) -> tuple[Block, ...]:
    if facts.promotion is None:
        return (Paragraph("Unknown: the gate has not judged it."), *_pictures(facts, CardPart.PROMOTION))
    meant = {
        Verdict.PROMOTE: "it became champion",
        Verdict.REJECT: "it did not become champion",
        Verdict.INSUFFICIENT_EVIDENCE: "there was too little to tell, so the champion stayed",
    }[facts.promotion.verdict]
    against = facts.promotion.champion or "nothing: there was no champion before it"
    rows = (
        ("Verdict", f"{facts.promotion.verdict.value}: {meant}"),
        ("Reason", facts.promotion.reason),
        ("Compared with", against),
    )
    marks = {True: "passed", False: "FAILED", None: "cannot be told"}
    checks = [(check.name, marks[check.passed], check.words) for check in facts.promotion.checks]
    return (
        Table(("Gate", "Said"), rows),
        _table(("Check", "Result", "In words"), checks, "What it checked is unknown."),
        *_pictures(facts, CardPart.PROMOTION),
    )


def _describe_explanation(facts: CardFacts) -> tuple[Block, ...]:
    return _pictures(facts, CardPart.EXPLANATION) or (Paragraph("Unknown: no heat map was drawn."),)


def _answer_checklist(facts: CardFacts) -> tuple[Block, ...]:
    rows = tuple((question, facts.answers.get(key, "").strip() or "unknown") for key, question in QUESTIONS.items())
    text = f"Asked by {GUIDELINES}, and beyond what the service can know by itself."
    return (Paragraph(text), Table(("Question", "Answer of the team"), rows))


def _describe_provenance(facts: CardFacts) -> tuple[Block, ...]:
    difference = facts.largest_twin_difference
    twin = "unknown" if difference is None else f"{difference:.1e} on the held-out X-rays (at most 1e-5 is accepted)"
    hashes = [*facts.hashes, ("largest difference between the Keras model and its ONNX twin", twin)]
    commands = Text("\n".join(facts.commands)) if facts.commands else Paragraph("How to make it again is unknown.")
    return (Table(("What", "SHA-256 or figure"), tuple(hashes)), commands)


def _tabulate_figures(one: CardEvaluation, names: Sequence[str]) -> Table:
    rows = tuple((FIGURES[name][0], _interval(one.figures[name]), FIGURES[name][1]) for name in names)
    return Table(("Figure", "Value (95 % interval)", "What it means"), rows)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]], otherwise: str) -> Block:
    return Table(header, tuple(rows)) if rows else Paragraph(otherwise)


def _pictures(facts: CardFacts, part: CardPart) -> tuple[Block, ...]:
    return tuple(Picture(p.file, p.caption, p.png) for p in facts.pictures if p.part is part)


def _count_test(one: CardEvaluation) -> str:
    return (
        f"{one.covid_xrays} {Label.COVID} X-rays of {one.covid_patients} patients and {one.normal_xrays} "
        f"{Label.NORMAL} X-rays of {one.normal_patients} patients"
    )


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "unknown"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _value(value: str | float | bool | None) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)

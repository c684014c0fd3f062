"""The model card: what a clinician must know of one model version before believing a score of it."""

from __future__ import annotations

from xray_core.records import RESEARCH_USE, AuditVerdict, Verdict
from xray_core.report.card_checklist import GUIDELINES, QUESTIONS
from xray_core.report.card_document import (
    Alarm,
    Block,
    Document,
    Items,
    Paragraph,
    Section,
    Table,
    Text,
    to_html,
    to_markdown,
)
from xray_core.report.card_facts import CardFacts, CardPart
from xray_core.report.card_sections import (
    count_xrays,
    describe_audit,
    describe_calibration,
    describe_external,
    describe_operating_point,
    describe_performance,
    describe_slices,
    make_table,
    take_pictures,
    write_interval,
    write_value,
)
from xray_core.report.card_wording import CONFOUNDED, DEFAULTS, INTENDED, LIMITS, NOT_INTENDED, SIDES


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
            Section("How well it did on X-rays it never saw", describe_performance(facts)),
            Section("Operating point", describe_operating_point(facts)),
            Section("Calibration", describe_calibration(facts)),
            Section("Slices", describe_slices(facts)),
            Section("Shortcut audit", describe_audit(facts)),
            Section("External X-rays", describe_external(facts)),
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
        warnings.append(Alarm("CONFOUNDED: do not believe these scores", f"{CONFOUNDED} {facts.audit.sentence}"))
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
    auroc, sensitivity, specificity = (
        write_interval(figures.get(name)) for name in ("auroc", "sensitivity", "specificity")
    )
    return (
        "A network that gives a chest X-ray a number between 0 and 1, meant as the probability of covid. On "
        f"{count_xrays(facts.test)} it never saw: AUROC {auroc}, sensitivity {sensitivity} and specificity "
        f"{specificity} at its operating point. "
        f"Shortcut audit: {facts.audit.verdict.value if facts.audit else 'not done'}."
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
        ("Pictures unlike its films", _describe_odd(facts)),
        ("Standing", "proven against the champion before it" if facts.proven else "unproven"),
        ("Code", facts.code_revision),
    )
    return (Table(("Fact", "Value"), rows),)


def _describe_odd(facts: CardFacts) -> str:
    if facts.odd_limit is None:
        return "NOT referred: its training films are not known, so a photograph gets a score like any chest film"
    counted = "" if facts.odd_in_test is None else f"; so are {facts.odd_in_test} of the test X-rays"
    return (
        f"referred to a reader whatever their score: farther than {facts.odd_limit:.2f} from its training films (an "
        "ordinary film is at about 1), negatives, and films on their side or head"
        f"{counted}. Mirrored films cannot be told"
    )


def _describe_use() -> tuple[Block, ...]:
    return (Paragraph("For:"), Items(INTENDED), Paragraph("Not for:"), Items(NOT_INTENDED))


def _describe_data(facts: CardFacts) -> tuple[Block, ...]:
    blocks: list[Block] = []
    has_notes = any(source.note for source in facts.sources)
    sources = [(s.name, str(s.covid), str(s.normal), *([s.note] if has_notes else [])) for s in facts.sources]
    header = ("Source", "covid X-rays", "normal X-rays", *(["Note"] if has_notes else []))
    blocks.append(make_table(header, sources, "The sources are unknown."))
    if facts.sources and not any(source.covid and source.normal for source in facts.sources):
        text = (
            "No source gave X-rays of both classes, so whatever tells the sources apart also tells the classes apart."
        )
        blocks.append(Alarm("Class equals source", text))
    traits = [(f"{t.name}: {t.value}", str(t.covid), str(t.normal)) for t in facts.traits]
    header = ("What is known of the X-rays", "covid X-rays", "normal X-rays")
    blocks.append(make_table(header, traits, "Views, sex and age of the patients are unknown."))
    blocks.append(Paragraph("A patient stands on one side for ever: nobody whose X-rays judge it was learned from."))
    counts = [(SIDES[c.split], c.label.value, str(c.xrays), str(c.patients)) for c in facts.counts]
    blocks.append(make_table(("Side", "Class", "X-rays", "Patients"), counts, "The split is unknown."))
    if facts.split_notes:
        blocks.append(Items(facts.split_notes))
    return (*blocks, *take_pictures(facts, CardPart.DATA))


def _describe_training(facts: CardFacts) -> tuple[Block, ...]:
    options = [
        (name.replace("_", " "), DEFAULTS.get(name, "none") if value is None else write_value(value))
        for name, value in facts.training.items()
    ]
    blocks = [make_table(("Option", "Value"), options, "How it was trained is unknown.")]
    if facts.layers:
        layers = [(name, kind, shape, f"{parameters:,}") for name, kind, shape, parameters in facts.layers]
        layers.append(("all layers", "", "", f"{sum(layer[3] for layer in facts.layers):,}"))
        blocks.append(Table(("Layer", "Kind", "Output", "Parameters"), tuple(layers)))
    else:
        blocks.append(Paragraph("The layers are unknown."))
    return (*blocks, *take_pictures(facts, CardPart.TRAINING))


def _describe_promotion(facts: CardFacts) -> tuple[Block, ...]:
    if facts.promotion is None:
        return (Paragraph("Unknown: the gate has not judged it."), *take_pictures(facts, CardPart.PROMOTION))
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
        make_table(("Check", "Result", "In words"), checks, "What it checked is unknown."),
        *take_pictures(facts, CardPart.PROMOTION),
    )


def _describe_explanation(facts: CardFacts) -> tuple[Block, ...]:
    return take_pictures(facts, CardPart.EXPLANATION) or (Paragraph("Unknown: no heat map was drawn."),)


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

"""What a model's folder holds for people: plots, figures, the card."""

from __future__ import annotations

from xray_core.report.card import write_card
from xray_core.training.card import gather_card_facts
from xray_core.training.trial import Trial


def write_documents(trial: Trial) -> dict[str, bytes]:
    """Every document by its file name, the plots among them."""
    judgement = trial.judgement
    drawn = {name: trial.plots[name].result() for name in reversed(trial.plots)}
    markdown, page = write_card(gather_card_facts(trial, drawn))
    figures = {
        "evaluation.json": judgement.candidate.to_json(),
        "audit.json": judgement.audit.to_json(),
        "MODEL_CARD.md": markdown,
        "MODEL_CARD.html": page,
    }
    if judgement.champion is not None:
        figures["champion_evaluation.json"] = judgement.champion.to_json()
    return {name: text.encode() for name, text in figures.items()} | drawn

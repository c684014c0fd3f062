"""What a model's folder holds for people: plots, figures, the card."""

from __future__ import annotations

from flows.candidate import Candidate
from flows.card import gather_card_facts
from flows.material import Material
from flows.pictures import draw_plots
from flows.training import Judgement
from xray_core.model_card import write_card
from xray_core.training import Trained, TrainingOptions


def write_documents(
    material: Material, trained: Trained, candidate: Candidate, options: TrainingOptions, judgement: Judgement
) -> dict[str, bytes]:
    """Every document by its file name."""
    plots = draw_plots(material, trained, candidate, judgement)
    markdown, page = write_card(gather_card_facts(material, candidate, options, judgement, plots))
    figures = {
        "evaluation.json": judgement.candidate.to_json(),
        "audit.json": judgement.audit.to_json(),
        "MODEL_CARD.md": markdown,
        "MODEL_CARD.html": page,
    }
    if judgement.champion is not None:
        figures["champion_evaluation.json"] = judgement.champion.to_json()
    return {name: text.encode() for name, text in figures.items()} | plots

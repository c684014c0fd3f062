"""What a model's folder holds for people: plots, figures, the card."""

from __future__ import annotations

from flows.candidate import Candidate
from flows.card import gather_card_facts
from flows.judgement import Judgement
from flows.material import Material
from flows.second_process import Errand
from xray_core.model_card import write_card
from xray_core.promotion import PromotionDecision
from xray_core.training import TrainingOptions


def write_documents(
    material: Material,
    candidate: Candidate,
    options: TrainingOptions,
    judgement: Judgement,
    decision: PromotionDecision,
    plots: dict[str, Errand[bytes]],
) -> dict[str, bytes]:
    """Every document by its file name, the plots among them."""
    drawn = {name: plots[name].result() for name in reversed(plots)}
    markdown, page = write_card(gather_card_facts(material, candidate, options, judgement, decision, drawn))
    figures = {
        "evaluation.json": judgement.candidate.to_json(),
        "audit.json": judgement.audit.to_json(),
        "MODEL_CARD.md": markdown,
        "MODEL_CARD.html": page,
    }
    if judgement.champion is not None:
        figures["champion_evaluation.json"] = judgement.champion.to_json()
    return {name: text.encode() for name, text in figures.items()} | drawn

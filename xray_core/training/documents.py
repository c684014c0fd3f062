"""What a model's folder holds for people: plots, figures, the card."""

from __future__ import annotations

from xray_core.networks.fitting import TrainingOptions
from xray_core.processes.helper_process import BackgroundCall
from xray_core.promotion.gate import PromotionDecision
from xray_core.report.card import write_card
from xray_core.training.candidate import Candidate
from xray_core.training.card import gather_card_facts
from xray_core.training.images import TrainingImages
from xray_core.training.judgement import Judgement


def write_documents(
    images: TrainingImages,
    candidate: Candidate,
    options: TrainingOptions,
    judgement: Judgement,
    decision: PromotionDecision,
    plots: dict[str, BackgroundCall[bytes]],
    *,
    code_revision: str,
) -> dict[str, bytes]:
    """Every document by its file name, the plots among them."""
    drawn = {name: plots[name].result() for name in reversed(plots)}
    markdown, page = write_card(
        gather_card_facts(images, candidate, options, judgement, decision, drawn, code_revision=code_revision)
    )
    figures = {
        "evaluation.json": judgement.candidate.to_json(),
        "audit.json": judgement.audit.to_json(),
        "MODEL_CARD.md": markdown,
        "MODEL_CARD.html": page,
    }
    if judgement.champion is not None:
        figures["champion_evaluation.json"] = judgement.champion.to_json()
    return {name: text.encode() for name, text in figures.items()} | drawn

"""What a model's folder holds for people: plots, figures, the card."""

from __future__ import annotations

from flows.candidate import Candidate
from flows.material import Material
from flows.pictures import draw_plots
from flows.training import Judgement
from xray_core.training import Trained, TrainingOptions


def write_documents(
    material: Material, trained: Trained, candidate: Candidate, options: TrainingOptions, judgement: Judgement
) -> dict[str, bytes]:
    """Every document by its file name."""
    return {
        "evaluation.json": judgement.candidate.to_json().encode(),
        "audit.json": judgement.audit.to_json().encode(),
        **draw_plots(material, trained, candidate, judgement),
    }

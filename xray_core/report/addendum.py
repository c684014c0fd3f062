"""What became known of a model after its card was written: the card is part of an immutable folder, this is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from xray_core.evaluation.elsewhere import judge_elsewhere
from xray_core.records import RESEARCH_USE, Interval
from xray_core.report.markdown import open_markdown, render_markdown

_FIGURES: Final = {
    "AUROC": "auroc",
    "sensitivity at the lower threshold": "sensitivity_at_lower",
    "specificity at the lower threshold": "specificity_at_lower",
    "sensitivity at the upper threshold": "sensitivity_at_upper",
    "specificity at the upper threshold": "specificity_at_upper",
    "referred": "refer_share",
}


def name_addendum(version: str) -> str:
    """Its file name, beside the model's folder."""
    return f"{version}.addendum.md"


def write_addendum(
    version: str,
    external: Mapping[str, Mapping[str, Any]],
    drift: str | None,
    audits: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Markdown: where the model was found wanting, its figures there, whether incoming films have moved, its audit.

    `external` holds the newest stored evaluation (`Evaluation.to_dict`) of each place, `audits` the shortcut
    audits (`ShortcutAudit.to_dict`) that were made since the card, in their order. The newest with a verdict counts.
    """
    audit = next((one for one in reversed(audits) if one["verdict"]), None)
    too_few = audits[-1]["sentence"] if audits and not audits[-1]["verdict"] else None
    places = sorted(external)
    return render_markdown(
        open_markdown().get_template("addendum.md.j2"),
        version=version,
        judged=[judge_elsewhere(place, external[place]) for place in places],
        places=places,
        lines=[
            (words, [_write(external[place]["figures"][name]) for place in places]) for words, name in _FIGURES.items()
        ],
        drift=drift,
        audit=None if audit is None else f"{audit['verdict']}. {audit['sentence']}",
        too_few=too_few,
        research_use=RESEARCH_USE,
    )


def _write(figure: Mapping[str, float] | None) -> str:
    return "cannot be told" if figure is None else f"{Interval(**figure)}"

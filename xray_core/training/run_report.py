"""What a training came to, on one page: verdict, next step, candidate beside champion, and the pictures in order."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from xray_core.promotion.judged_on import say_held
from xray_core.records import RESEARCH_USE, Split, Verdict
from xray_core.report.markdown import open_markdown, render_markdown
from xray_core.training.judgement import Judgement
from xray_core.training.trial import Conclusion, Trial

# The server takes 1.5 MB an event; text and base64 of these pictures stay well below it.
_PICTURE_BYTES: Final = 900_000

_PICTURES: Final[Mapping[str, tuple[str, str]]] = {
    "comparison.png": (
        "Candidate and champion",
        "Above, the paired difference on the same test X-rays and the margin that decides; below, both apart.",
    ),
    "first_xrays.png": ("The first X-rays", "The first training X-rays of each class, as the network gets them."),
    "learning.png": (
        "Learning",
        "Accuracy and loss by epoch; where the held-out line turns up while the other falls, it learned by heart.",
    ),
    "roc.png": ("ROC", "Sensitivity against false alarms at every threshold; the diagonal is guessing."),
    "precision_recall.png": ("Precision and recall", "How many of those called positive are, at every threshold."),
    "confusion.png": ("Outcomes", "What the test X-rays of each class were called at the operating point."),
    "scores.png": ("Scores", "The scores of each class; between the two thresholds X-rays are referred."),
    "decision.png": (
        "Net benefit",
        "Against calling everybody, or nobody, positive; where its line is the highest it may be of use.",
    ),
    "calibration.png": (
        "Calibration",
        "Mean score against the share of covid; points on the diagonal are scores that can be read as probabilities.",
    ),
    "slices.png": ("Slices", "AUROC within groups of X-rays; an interval far from the others deserves a look."),
    "audit.png": (
        "Shortcut audit",
        "What tells the class without the lungs; a bar in the confounded zone says that films give it away.",
    ),
}

_FIGURES: Final = {
    "AUROC": "auroc",
    "sensitivity at the lower threshold": "sensitivity_at_lower",
    "specificity at the lower threshold": "specificity_at_lower",
    "sensitivity at the upper threshold": "sensitivity_at_upper",
    "specificity at the upper threshold": "specificity_at_upper",
    "referred": "refer_share",
    "average precision": "auprc",
    "Brier score (low is good)": "brier",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot with its title and the sentence that says how to read it; no data where it would be too much."""

    title: str
    sentence: str
    data: Markup | None


def write_run_report(trial: Trial) -> str:
    """Markdown of a concluded training, below 1.4 MB, without the X-rays of single patients that stand in the card."""
    judgement, conclusion = trial.judgement, trial.conclusion
    candidate, champion = judgement.candidate.figures, judgement.champion and judgement.champion.figures
    return render_markdown(
        open_markdown().get_template("run_report.md.j2"),
        version=conclusion.version,
        verdict=conclusion.word,
        reason=conclusion.reason,
        next_step=say_next_step(conclusion),
        champion=champion,
        figures=[
            {"name": words, "candidate": _say(candidate, name), "champion": _say(champion, name)}
            for words, name in _FIGURES.items()
        ]
        + list(_compare_others(judgement)),
        within_view=judgement.candidate.within_view,
        judged_on=judgement.candidate,
        whose_labels=f"{trial.images.judged_on}",
        held=say_held(trial.images.plan.count_held(Split.TRAIN, Split.VALIDATION), "not trained on"),
        checks=trial.decision.checks,
        audit=judgement.audit,
        readers=list(trial.readers.values()),
        pictures=list(_choose_pictures(trial.documents)),
        research_use=RESEARCH_USE,
    )


def _compare_others(judgement: Judgement) -> Iterator[dict[str, str]]:
    """The figures among films that are abnormal and not covid; nothing where there is no such film."""
    both = judgement.candidate.others, judgement.champion and judgement.champion.others
    if both[0] is None:
        return
    for where in ("lower", "upper"):
        ours, theirs = (_say(others, f"specificity_at_{where}") for others in both)
        name = f"specificity at the {where} threshold among {both[0].xrays} other abnormal X-rays"
        yield {"name": name, "candidate": ours, "champion": theirs}


def say_next_step(conclusion: Conclusion) -> str:
    """What a person may do after this verdict; pure."""
    version = conclusion.version
    if conclusion.is_champion and conclusion.is_first:
        return f"The next scan scores with {version}, which has beaten nobody yet: read its card before its scores."
    if conclusion.is_champion:
        return (
            f"The next scan scores with {version}. Read its card; `xray models rollback` makes the one before champion "
            "again."
        )
    if conclusion.verdict is Verdict.REJECT and conclusion.is_first:
        return "There is no champion yet: mend what the checks below say, and train again with `xray train`."
    if conclusion.verdict is Verdict.REJECT:
        return (
            "The champion stays. Read the checks below; more labels start another training by themselves, and "
            f'`xray models promote {version} --override --reason "..."` goes past the gate, audited.'
        )
    return (
        "The champion stays until there is enough to judge by. `xray labels status` says what is missing, "
        "`xray worklist` what to label first."
    )


def _choose_pictures(documents: Mapping[str, bytes]) -> Iterator[Picture]:
    left = _PICTURE_BYTES
    for name, (title, sentence) in _PICTURES.items():
        if name not in documents:
            continue
        content = documents[name]
        if len(content) > left:
            yield Picture(title, f"{sentence} (Too large for this page: it stands in the model card.)", None)
            continue
        left -= len(content)
        yield Picture(title, sentence, Markup(base64.b64encode(content).decode()))  # noqa: S704  # base64 has no mark-up


def _say(figures: Any, name: str) -> str:
    value = getattr(figures, name, None)
    return "cannot be told" if value is None else f"{value}"

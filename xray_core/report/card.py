"""The model card: what a clinician must know of one model version before believing a score of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Template

from xray_core.imaging.records import Preprocessing
from xray_core.models.operating_point import describe_lack, describe_promise
from xray_core.models.prevalence import say_mix
from xray_core.models.recalibration import Recalibration
from xray_core.models.records import OperatingPoint
from xray_core.records import RESEARCH_USE, Interval, SideCount
from xray_core.report.markdown import open_markdown, render_markdown
from xray_core.report.page import render_page
from xray_core.report.study import read_questions

if TYPE_CHECKING:
    from xray_core.evaluation.evaluation import Evaluation
    from xray_core.evaluation.shortcut_audit import ShortcutAudit
    from xray_core.evaluation.slices import SliceFigures
    from xray_core.promotion.gate import PromotionDecision
    from xray_core.promotion.judged_on import JudgedOn


class Trait(NamedTuple):
    """How many X-rays of each class have something in common: a source, a view, a sex, a size."""

    name: str
    covid: int
    normal: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Everything that a card says of one model version; what is missing the card calls unknown.

    `test` is how the model did on the test X-rays, `champion` how the champion before it did on the same ones,
    `external` how it did elsewhere, by the name of the place. `before_recalibration` holds the calibration figures of
    the uncalibrated scores. `proven` is False for a champion that no predecessor was beaten for. `layers` has a name,
    a kind, an output shape and a parameter count for each layer, `hashes` names and SHA-256 sums. `answers` to the
    questions of `read_questions`, by key, are the ledger's, or a team's own words. `commands` make this model again
    where it was made, `commands_elsewhere` in another home (none for a retraining) with the site key of
    `key_fingerprint`, on which its sides hang. Beyond the distance `odd_limit` a picture is referred as no chest film
    (None: no picture is); so many of the test X-rays are (`odd_in_test`), and count as referred in the figures.
    `judged_on` says by whose labels the test X-rays judge. `plots` are PNGs by file name.
    """

    version: str
    architecture: str
    created_at: datetime
    code_revision: str
    proven: bool
    preprocessing: Preprocessing | None = None
    sources: tuple[Trait, ...] = ()
    traits: tuple[Trait, ...] = ()
    counts: tuple[SideCount, ...] = ()
    split_notes: tuple[str, ...] = ()
    training: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    layers: tuple[tuple[str, str, str, int], ...] = ()
    operating_point: OperatingPoint | None = None
    recalibration: Recalibration | None = None
    before_recalibration: Mapping[str, Interval | None] = field(default_factory=dict)
    test: Evaluation | None = None
    champion: Evaluation | None = None
    champion_version: str | None = None
    external: tuple[tuple[str, Evaluation], ...] = ()
    audit: ShortcutAudit | None = None
    decision: PromotionDecision | None = None
    largest_twin_difference: float | None = None
    limits: tuple[str, ...] = ()
    hashes: tuple[tuple[str, str], ...] = ()
    commands: tuple[str, ...] = ()
    commands_elsewhere: tuple[str, ...] = ()
    key_fingerprint: str | None = None
    plots: Mapping[str, bytes] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    odd_limit: float | None = None
    odd_in_test: int | None = None
    judged_on: JudgedOn | None = None


def write_card(facts: CardFacts) -> tuple[str, str]:
    """MODEL_CARD.md and the same as one self-contained HTML page, both from `templates/card.md.j2`."""
    from xray_core.evaluation.slices import TOO_FEW_XRAYS

    markdown = render_markdown(
        _open_template(),
        facts=facts,
        plots=facts.plots,
        questions=read_questions(),
        research_use=RESEARCH_USE,
        too_few=TOO_FEW_XRAYS,
    )
    return markdown, render_page(markdown, facts.plots)


@cache
def _open_template() -> Template:
    environment = open_markdown()
    environment.filters |= {"by_collection": _group_by_collection, "in_words": _write_value}
    environment.filters |= {"promise": describe_promise, "lack": describe_lack, "mix": say_mix}
    return environment.get_template("card.md.j2")


def _group_by_collection(slices: Sequence[SliceFigures]) -> Iterator[tuple[str, str]]:
    """The values of each kind of slice with their numbers; collections with several places are named once."""
    for name, members in groupby(slices, key=lambda member: member.name):
        heads: dict[str, list[str]] = {}
        for member in members:
            head, _, place = member.value.rpartition(" (")
            heads.setdefault(head, []).append(f"{place.removesuffix(')') if head else member.value} ({member.xrays})")
        yield name, "; ".join(f"{head}: {', '.join(each)}" if head else ", ".join(each) for head, each in heads.items())


def _write_value(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

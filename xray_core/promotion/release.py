"""What would release a confounded model: how many films of one's own make the source tell the class no more."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from xray_core.evaluation.shortcut_audit import CONFOUNDED_FROM
from xray_core.records import Label, LabelledXray

_MOST: Final = 1_000_000
_OWN_LABELS: Final = (
    "; twenty or more make a model of them alone: `xray train --own-labels --architecture efficientnet_lite0 --frozen`"
)
_MOST_NAMED: Final = 4  # sources that a sentence names


def count_own_labels(sources: Sequence[tuple[int, int]]) -> int:
    """How many labelled films of one new source, half of them covid, bring the source's AUC below "confounded".

    `sources` has the covid and the other X-rays of each source that there is. Told by its source alone, by the
    source's share of covid, a film's class has an AUC of (pairs that stand in order + half of those that tie) / all
    pairs. With 100 covid films of one source and 100 normal ones of another it takes 484. 0 where it is below already.
    """
    low, high = 0, _MOST
    if _rank_by_source(sources) < CONFOUNDED_FROM:
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _rank_by_source([*sources, (middle, middle)]) < CONFOUNDED_FROM else (middle, high)
    return 2 * high


def say_release(labelled: Iterable[LabelledXray], *, own_labels: bool = False) -> str:
    """What may release a model that was trained on these, in words for every surface that says "confounded".

    `own_labels` says that they are this site's labels alone: it is not told to become what it is.
    """
    counts: dict[str, list[int]] = {}
    for xray in labelled:
        if xray.label.is_trainable:
            counts.setdefault(xray.source or "", [0, 0])[xray.label is not Label.COVID] += 1
    wanted = count_own_labels([(covid, normal) for covid, normal in counts.values()])
    number = f"about {_round(wanted):,} more labelled" if wanted else "more labelled"
    return (
        f"{number} films of your own, of both classes, may release it{'' if own_labels else _OWN_LABELS}"
        f"{_say_exclusion(counts)}; or a remedy: `xray models audit --remedies DATASET` tries each"
    )


def _say_exclusion(counts: Mapping[str, Sequence[int]]) -> str:
    """That sources can be left out, and which hold one class alone; films without a source cannot be named so.

    `counts` has the covid and the other X-rays by source.
    """
    named = sorted(source for source in counts if source)
    if not named:
        return ""
    of_one_class = [source for source in named if not all(counts[source])]
    rest = [both for source, both in counts.items() if source not in of_one_class]
    if 0 < len(of_one_class) <= _MOST_NAMED and all(sum(one) for one in zip(*rest, strict=True)) and rest:
        options = " ".join(f"--exclude-source {shlex.quote(source)}" for source in of_one_class)
        return f"; or one without the sources that hold one class alone: `xray train {options}`"
    return "; or, once other films hold both classes, one without a source: `xray train --exclude-source SOURCE`"


def _rank_by_source(sources: Sequence[tuple[int, int]]) -> float:
    """AUC of the class by the source's share of covid; 0.5 where a class is missing."""
    ordered = sorted((covid / (covid + normal), covid, normal) for covid, normal in sources if covid + normal)
    all_covid, all_normal = sum(covid for _, covid, _ in ordered), sum(normal for _, _, normal in ordered)
    if not all_covid or not all_normal:
        return 0.5
    wins, below = 0.0, 0
    for _, covid, normal in ordered:
        wins += covid * (below + normal / 2)
        below += normal
    return wins / (all_covid * all_normal)


def _round(number: int) -> int:
    """Two digits: no more is known."""
    return int(float(f"{number:.2g}"))

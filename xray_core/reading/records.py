"""Words and values of reading; standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from xray_core.records import FilmPath, Label, Outcome


class ListReason(StrEnum):
    """Why a film is on a list, in the order in which a list is filled."""

    AUDIT = "audit"  # by keyed hash of its content, before any ranking
    REPEAT = "repeat"  # this reader read it long ago
    UNLIKE = "unlike"  # referred as unlike a chest film
    REFER = "refer"  # inside the refer band
    SHADOW = "shadow"  # champion and shadow disagree
    DOUBT = "doubt"  # near a threshold
    LABEL = "label"  # the old label may be wrong, or readers contradict each other


class LabelSource(StrEnum):
    """How a label came in."""

    CSV = "csv"
    FOLDER = "folder"
    DATASET = "dataset"
    PAGE = "page"


class ListPurpose(StrEnum):
    """What a list is for."""

    READING = "reading"
    ADJUDICATION = "adjudication"  # a third reader settles what two dispute, and sees what was said
    AGAIN = "again"  # without a third reader both read a disputed film once more, blind


class ReaderRole(StrEnum):
    """As what a person labelled."""

    READER = "reader"
    ADJUDICATOR = "adjudicator"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What was said of a film once: by whom, as what, and whether with the score in view (None: nobody wrote it down).

    A nameless opinion of a dataset is the dataset's own label. `again` says that it was read anew after a dispute,
    `chosen_for` why the film stood on its reader's list, None where it stood on none.
    """

    reader: str | None
    role: ReaderRole
    label: Label
    source: LabelSource = LabelSource.CSV
    score_visible: bool | None = None
    sure: bool | None = None
    exclude_reason: str | None = None
    again: bool = False
    chosen_for: ListReason | None = None

    @property
    def by_chance(self) -> bool:
        """Whether chance, or a dataset, brought this film: then no score had a say in that it was read."""
        return self.source is LabelSource.DATASET or self.chosen_for is ListReason.AUDIT

    @property
    def by_score(self) -> bool:
        """Whether a score had a say in that it was read, or may have had: it came beside scores, as from a worklist."""
        if self.chosen_for is None:
            return bool(self.score_visible)
        return self.chosen_for not in (ListReason.AUDIT, ListReason.REPEAT)

    @property
    def is_blind(self) -> bool:
        """Whether the model cannot have had a say in it."""
        return self.source is LabelSource.DATASET or self.score_visible is False


@dataclass(frozen=True, slots=True)
class Reading:
    """One row of what a named reader said of a film, with what is known of how it was read.

    `group` is the film's patient, or the film itself where nobody knows; `reader` a folded name. What belongs to a list
    is None for a label that came without one. `shown` is what the champion had said of the film by then.
    """

    xray_id: int
    group: str
    reader: str
    role: ReaderRole
    label: Label
    score_visible: bool | None
    seconds: float | None
    item_id: int | None
    purpose: ListPurpose | None
    reason: ListReason | None
    reveal: bool
    position: int | None
    list_size: int | None
    shown: Outcome | None


@dataclass(frozen=True, slots=True)
class ChosenFilm:
    """A film for a list, by its X-ray's id; the probability of being chosen by chance is 1 where a rule chose it."""

    xray_id: int
    reason: ListReason
    selection_probability: float
    reveal: bool


@dataclass(frozen=True, slots=True)
class ReadingList:
    """One reader's list; positions run from 1 to `size`."""

    list_id: int
    reader: str
    size: int
    guide_sha256: str | None
    made_at: datetime
    seed: int
    purpose: ListPurpose


@dataclass(frozen=True, slots=True)
class ReaderVerdict:
    """What a reader said of the film at a position of a list; `seconds` since it was shown, on a page.

    `request_id` (at most 64 characters) is the same for every try to record one key press.
    """

    list_id: int
    position: int
    label: Label
    sure: bool | None
    exclude_reason: str | None
    flagged_note: str | None
    shown_at: datetime | None
    seconds: float | None
    score_visible: bool
    prior_used: bool | None
    request_id: str


@dataclass(frozen=True, slots=True)
class ListItem:
    """A film on a list as its page may know it, and the label that its reader gave last there, if any."""

    list_id: int
    position: int
    xray_id: int
    sha256: str
    path: FilmPath
    reveal: bool
    label: Label | None
    sure: bool | None


def fold_name(name: str) -> str:
    """A reader's name without regard to case and blanks: `Reader A` and `reader  a` are one person."""
    return "".join(name.casefold().split())


def is_complete(items: Iterable[ListItem]) -> bool:
    """Whether every film of a list has a verdict: from then on its films are among the results, so a score is seen."""
    return all(item.label is not None for item in items)

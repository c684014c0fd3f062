"""Which of the labelled films a training takes: all, those of this site alone, or all but those of some sources."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xray_core.errors import RefusedInput
from xray_core.records import FolderKind, LabelledXray

if TYPE_CHECKING:
    from xray_core.networks.options import TrainingOptions


@dataclass(frozen=True, slots=True)
class FilmChoice:
    """`own_labels` takes films that arrived at this site and were not given as a dataset.

    Films of `excluded_sources` are left out.
    """

    own_labels: bool = False
    excluded_sources: tuple[str, ...] = ()

    def choose(self, labelled: Iterable[LabelledXray]) -> list[LabelledXray]:
        """Those of the films that are taken, in their order."""
        return [
            xray
            for xray in labelled
            if xray.source not in self.excluded_sources
            and not (self.own_labels and xray.path.kind is FolderKind.DATASET)
        ]

    def count_excluded(self, labelled: Iterable[LabelledXray]) -> int:
        """How many labelled films are left out for their source alone."""
        return sum(xray.counts and xray.source in self.excluded_sources for xray in labelled)


def find_choice(options: TrainingOptions) -> FilmChoice:
    """What a training with these options takes."""
    return FilmChoice(options.own_labels, options.excluded_sources)


def read_choice(training: Mapping[str, object]) -> FilmChoice:
    """What the training of a model took, by the `training` part of its model.json."""
    excluded = training.get("excluded_sources")
    sources = tuple(json.loads(excluded)) if isinstance(excluded, str) else ()
    return FilmChoice(bool(training.get("own_labels")), sources)


def check_sources(sources: Sequence[str], labelled: Iterable[LabelledXray]) -> None:
    """Raise RefusedInput where a source is to be excluded of which nothing here comes."""
    known = sorted({xray.source for xray in labelled if xray.source is not None})
    unknown = [source for source in sources if source not in known]
    if unknown:
        expected = f"one of {', '.join(known)}" if known else "none: of no labelled film here the source is known"
        raise RefusedInput(f"--exclude-source: received {', '.join(unknown)}; expected {expected}", public=True)

"""A folder per class: which files below it may be X-rays, and which folders hold none."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from xray_core.exchange.patient_sidecar import ENDING

_NOT_XRAYS = {".csv", ".txt", ".md", ".json", ".xlsx", ".html", ".pdf", ".db", ".ini", ".zip", ".gz"}

_SIDECAR = os.fsdecode(ENDING)
UNREAD_SIDECARS = "patients' ids beside X-rays, which XRAY_PATIENT_FROM=sidecar reads"

# What stands beside the pictures in public sets and exports: masks, drawings on them, what a Mac's zip leaves.
_NO_FILMS = re.compile(
    r"masks?|seg|segs|segmentations?|annotations?|labels?|heatmaps?|overlays?|contours?|gradcam|saliency|attention|"
    r"bbox(es)?|roi|rois|groundtruth|gt|thumbnails?|thumbs?|previews?|macosx",
)
# Where a class has this sub-folder, its pictures are there (COVID-19 Radiography Database: COVID/images, COVID/masks).
_PICTURES = {"images", "image", "imgs", "img"}


def holds_no_films(folder: str) -> bool:
    """Whether a folder's name says that it holds masks, drawings or another program's files: `masks`, `lung_masks`,
    `Segmentation-2`, `__MACOSX`."""
    words = [word for word in re.split(r"[\W_\d]+", folder.casefold()) if word]
    return any(_NO_FILMS.fullmatch(word) for word in (*words, "".join(words)))


def holds_pictures(folder: str) -> bool:
    """Whether a folder's name says no more than that pictures are in it."""
    return folder.casefold() in _PICTURES


def find_class_files(folder: Path, kept_out: Counter[str]) -> Iterator[Path]:
    """Regular files below a class's folder in the order of their paths; what is kept out is counted by its reason.

    Sub-folders count (a patient each, a series each), save those whose names say that they hold no films, and save
    the neighbours of an `images` folder. The format is found by content, so an ending only rules out.
    """
    for place, folders, names in os.walk(folder):
        inside = sorted(name for name in folders if not name.startswith("."))
        pictures = [name for name in inside if holds_pictures(name)] if Path(place) == folder else []
        folders[:] = [name for name in pictures or inside if not holds_no_films(name)]
        kept_out["a link or no regular file"] += sum((Path(place) / name).is_symlink() for name in folders)
        for name in set(inside) - set(folders):
            kept_out[f"in folders called {name!r} beside the X-rays"] += count_files(Path(place) / name)
        for file in (Path(place) / name for name in sorted(names) if not name.startswith(".")):
            if file.is_symlink() or not file.is_file():
                kept_out["a link or no regular file"] += 1
            elif file.suffix == _SIDECAR:
                kept_out[UNREAD_SIDECARS] += 1
            elif file.suffix.casefold() in _NOT_XRAYS:
                kept_out["not an X-ray by its ending"] += 1
            else:
                yield file


def count_files(folder: Path) -> int:
    """How many files lie below a folder that is not read."""
    return sum(len(names) for _, _, names in os.walk(folder))

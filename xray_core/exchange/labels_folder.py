"""The labels/ folder: which files are there to import, and which entries are refused."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from xray_core.exchange.class_folders import holds_no_films
from xray_core.exchange.csv_table import normal_text
from xray_core.exchange.label_rows import ReadLabels, gather_rows, name_words, own_word, quote, read_mapping
from xray_core.exchange.records import LabelLine
from xray_core.imaging.content import hash_file
from xray_core.imaging.folder import is_ignored
from xray_core.records import Label, LabelProblem, escape_name
from xray_core.records import LabelProblemCode as Code


def read_labels_folder(path: Path, *, mapping: Mapping[str, str]) -> ReadLabels:
    """Read a folder per class (`covid/`, `normal/`): each file is a label for the X-ray with its very content.

    Sub-folders count as their class, but masks and their like are refused (`holds_no_films`). Files beside the class
    folders do not count, nor do dot-files and what intake ignores. `line` is the file's place in the order of paths.
    Problems are a folder whose name is no label, what is no regular file, and no file at all. Raises RefusedInput for
    the mapping; OSError.
    """
    words = read_mapping(mapping)
    rows: list[LabelLine] = []
    problems: list[LabelProblem] = []
    for folder in sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")):
        label = words.get(normal_text(folder.name))
        if label is None or folder.is_symlink():
            problems.append(_refuse_folder(folder, words))
            continue
        for file in _find_files(folder):
            if file.is_dir() and not file.is_symlink():
                received = f"folder {quote(file)} in {quote(folder)}, which holds no X-rays by its name"
                problems.append(LabelProblem(None, Code.NOT_REGULAR_FILE, received, "X-rays alone: take it out"))
            elif file.is_symlink() or not file.is_file():
                received = f"{quote(file)} in {quote(folder)}, a link or no file"
                problems.append(LabelProblem(None, Code.NOT_REGULAR_FILE, received, "a copy of the X-ray"))
            else:
                name = escape_name(os.fsencode(file.name))
                word = own_word(normal_text(folder.name), label)
                rows.append(LabelLine(len(rows) + 1, name, hash_file(file), label, None, None, word=word))
    return gather_rows(
        escape_name(os.fsencode(path.name)), rows, problems, "no X-ray in a folder per class", numbered=False
    )


def _refuse_folder(folder: Path, words: Mapping[str, Label]) -> LabelProblem:
    if folder.is_symlink():
        return LabelProblem(None, Code.NOT_REGULAR_FILE, f"folder {quote(folder)}, a link", "a real folder")
    return LabelProblem(None, Code.UNKNOWN_LABEL, f"folder {quote(folder)}", name_words(words))


def _find_files(folder: Path) -> Iterator[Path]:
    """The files below a class's folder, and the folders in it that hold no films, or are links."""
    for place, folders, names in os.walk(folder):
        inside = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(place) / name for name in inside]
        yield from (path for path in paths if holds_no_films(path.name) or path.is_symlink())
        folders[:] = [name for name in inside if not holds_no_films(name)]
        yield from (Path(place) / name for name in sorted(names) if not is_ignored(os.fsencode(name)))

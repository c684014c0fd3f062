"""Which X-ray's file a row of a CSV means, where programs on the way have written the name in another form."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from db.scoring import film_names
from xray_core.exchange.file_names import find_longer, looks_rewritten, match_names
from xray_core.exchange.records import LabelLine


def resolve_names(session: Session, rows: Sequence[LabelLine]) -> tuple[list[LabelLine], list[str]]:
    """The rows under the names that the ledger has, and a sentence for each whose name cannot be trusted.

    A row with a SHA-256 needs no name. What no likeness finds stays as it is, for `match_labels` to refuse.
    """
    named = [row.filename for row in rows if not row.xray_sha256]
    known = film_names.find_known_names(session, named)
    strangers = [name for name in named if name not in known]
    meant = match_names(strangers, film_names.iter_film_names(session)) if strangers else {}
    mangled = find_mangled(session, named, known)
    resolved: list[LabelLine] = []
    problems: list[str] = []
    for row in rows:
        if row.xray_sha256:
            resolved.append(row)
        elif row.filename in mangled:
            problems.append(f"line {row.line}: {mangled[row.filename]}")
        elif len(names := meant.get(row.filename, set())) > 1:
            problems.append(f"line {row.line}: {row.filename} may be any of {len(names)} files; give xray_sha256")
        else:
            resolved.append(replace(row, filename=min(names)) if names else row)
    return resolved, problems


def find_mangled(session: Session, names: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """A sentence for each name that a spreadsheet may have made of another one; `known` are those of some film."""
    rewritten = {
        name: f"{name} looks like a name that a spreadsheet rewrote; format the column as text, or give xray_sha256"
        for name in names
        if name not in known and looks_rewritten(name)
    }
    has_numbers = any(name.isdecimal() for name in names)
    longer = find_longer(names, film_names.iter_film_names(session)) if has_numbers else {}
    return rewritten | {
        name: f"{name} may once have been {longer[name]}, whose zeros a spreadsheet takes away; give xray_sha256"
        for name in names
        if name in longer
    }

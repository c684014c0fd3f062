"""Which X-ray's file a row of a labels CSV means, where programs on the way have written the name in another form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from db.scoring import film_names
from xray_core.exchange.file_names import looks_rewritten, lost_zeros, match_names
from xray_core.exchange.records import LabelLine


def resolve_names(session: Session, rows: Sequence[LabelLine]) -> tuple[list[LabelLine], list[str]]:
    """The rows under the names that the ledger has, and a sentence for each whose name cannot be trusted.

    A row with a SHA-256 needs no name. What no likeness finds stays as it is, for `match_labels` to refuse.
    """
    named = [row.filename for row in rows if not row.xray_sha256]
    known = film_names.find_known_names(session, named)
    strangers = [name for name in named if name not in known]
    meant = match_names(strangers, film_names.iter_film_names(session)) if strangers else {}
    # A CSV that still has a zero in front of some number was never through a program that takes zeros away.
    shortened = {} if any(name.startswith("0") and name.isdecimal() for name in named) else _find_longer(session, named)
    resolved: list[LabelLine] = []
    problems: list[str] = []
    for row in rows:
        if row.xray_sha256:
            resolved.append(row)
        elif row.filename in shortened:
            problems.append(
                f"line {row.line}: {row.filename} may once have been {shortened[row.filename]}, whose zeros a "
                "spreadsheet takes away; give xray_sha256"
            )
        elif row.filename not in known and looks_rewritten(row.filename):
            problems.append(
                f"line {row.line}: {row.filename} looks like a name that a spreadsheet rewrote; "
                "format the column as text, or give xray_sha256"
            )
        elif len(names := meant.get(row.filename, set())) > 1:
            problems.append(f"line {row.line}: {row.filename} may be any of {len(names)} files; give xray_sha256")
        else:
            resolved.append(replace(row, filename=min(names)) if names else row)
    return resolved, problems


def _find_longer(session: Session, names: Sequence[str]) -> dict[str, str]:
    """The numbers among the names that are another film's name without its leading zeros."""
    longer = {candidate: name for name in names for candidate in lost_zeros(name)}
    return {longer[found]: found for found in film_names.find_known_names(session, list(longer))} if longer else {}

"""A reader's next list: gathered from the ledger, composed by rule and chance, written down whole."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime

from sqlalchemy import Engine

from db.engine import transaction
from db.reading import films, lists, readers
from db.reading.candidates import list_candidates
from db.registry import models
from flows.home.site_key import read_site_key
from flows.settings import Settings
from flows.training.label_check import read_doubted
from xray_core.errors import NoChampion, RefusedInput
from xray_core.models.folder import read_manifest
from xray_core.reading.reading_list import LONGEST_LIST, compose_list

GUIDE = "review-guide.md"


def make_list(
    settings: Settings, engine: Engine, reader: str, *, size: int, reveal_share: float, seed: int | None = None
) -> int | None:
    """Write a reader's next list; its id, or None where there is no film left to read.

    Raises RefusedInput for a size beyond fifty or a reader that nobody added, NoChampion where nothing was scored.
    """
    if not 1 <= size <= LONGEST_LIST:
        raise RefusedInput(f"--size: received {size}; expected 1 to {LONGEST_LIST}: within a longer list readers tire")
    now, seed = datetime.now(UTC), secrets.randbelow(2**31) if seed is None else seed
    with transaction(engine) as session:
        reader_id = readers.find_reader(session, reader)
        if reader_id is None:
            raise RefusedInput(f'no reader {reader!r} here; `xray readers add "{reader}"` adds one')
        champion = models.champion(session)
        if champion is None:
            raise NoChampion(NoChampion.kind_sentence)
        point, key = read_manifest(settings.models_dir / champion.version).operating_point, read_site_key(settings)
        own = films.list_own_readings(session, reader_id)
        read = {reading.xray_id for reading in own}
        doubted = read_doubted(session)
        chosen = compose_list(
            list_candidates(session, champion.model_id, point, key, size=size, without=read, doubted=doubted),
            own,
            films.list_shared_films(session, reader_id),
            point,
            key,
            size=size,
            reveal_share=reveal_share,
            seed=seed,
            now=now,
        )
        if not chosen:
            return None
        return lists.add_list(
            session,
            reader_id,
            chosen,
            seed=seed,
            reveal_share=reveal_share,
            guide_sha256=hash_guide(settings),
            now=now,
        )


def hash_guide(settings: Settings) -> str | None:
    """The SHA-256 of the home's own guide for readers, None where there is none."""
    path = settings.home / GUIDE
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None

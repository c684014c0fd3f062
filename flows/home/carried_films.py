"""Films, exports and what people wrote for a home as parts of a backup, and back to where a home looks for them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sqlalchemy.orm import Session

from db.scoring import whereabouts
from flows.home.films import make_locator, own_folder, restored_dataset
from flows.home.initiation import POLICY_FILE
from flows.home.label_words import LABEL_WORDS_FILE
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.exchange.atomic_file import UNFINISHED
from xray_core.imaging.content import hash_file
from xray_core.records import FolderKind, unescape_name
from xray_core.report.study import STUDY_FILE

OnProgress = Callable[[int], None]
# The parts of a backup that only `--with-xrays` writes.
DATASETS = "datasets"
_ASIDE = ".restoring.part"
# What people wrote for this home; `.env` is of one machine, and may hold passwords.
WRITTEN_BY_PEOPLE = (POLICY_FILE, LABEL_WORDS_FILE, STUDY_FILE, "review-guide.md")


def find_parts(settings: Settings) -> dict[str, Path]:
    """The folders that are carried whole: their name in a backup, and where this home has them.

    Incoming comes before the archive: what a scan moves meanwhile is in one of the two copies at least.
    """
    kinds = {kind.value: own_folder(settings, kind) for kind in (FolderKind.INCOMING, FolderKind.ARCHIVE)}
    return kinds | {"exports": settings.exports_dir}


def carry_written(settings: Settings, target: Path) -> None:
    """Copy what people wrote for this home, where they did, into a backup that is being written."""
    for name in WRITTEN_BY_PEOPLE:
        if (settings.home / name).is_file():
            shutil.copyfile(settings.home / name, target / name)
            (target / name).chmod(0o600)


def carry_films(settings: Settings, session: Session, target: Path, *, on_progress: OnProgress) -> None:
    """Copy this home's films and exports into a backup that is being written; `session` reads its ledger.

    Incoming, archive and exports are copied whole; of a dataset's folder the films that the ledger knows.
    """
    for part, folder in find_parts(settings).items():
        for path in _list_files(folder):
            if _copy_film(folder / path, target / part / path):
                on_progress(1)
    locate = make_locator(settings)
    for film in whereabouts.iter_films(session):
        if film.path.kind is not FolderKind.DATASET:
            continue
        root = target / DATASETS / str(film.path.folder_id)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)  # an empty one too: no other home's films are read instead
        place = locate(film.path)
        if isinstance(place, bytes) and _copy_film(
            Path(os.fsdecode(place)), root / os.fsdecode(unescape_name(film.path.path))
        ):
            on_progress(1)


def settle_moved(session: Session, target: Path, hashes: Mapping[str, str]) -> dict[str, str]:
    """Lay films that were archived while the backup was written where its ledger has them; returns what was added."""
    by_content = {sha256: name for name, sha256 in hashes.items()}
    added = {}
    for film in whereabouts.iter_films(session):
        name = f"{FolderKind.INCOMING.value}/{os.fsdecode(unescape_name(film.path.path))}"
        is_own = film.path.kind is FolderKind.INCOMING and not film.path.place
        was_moved = is_own and name not in hashes and film.sha256 in by_content
        if was_moved and _copy_film(target / by_content[film.sha256], target / name):
            added[name] = film.sha256
    return added


def count_left_out(session: Session, hashes: Mapping[str, str]) -> int:
    """How many films that were scored or labelled have their bytes nowhere in the backup, and are not let go."""
    carried, known_gone = set(hashes.values()), whereabouts.read_let_go(session)
    return sum(
        film.sha256 not in carried and film.xray_id not in known_gone for film in whereabouts.iter_films(session)
    )


def refuse_target(settings: Settings, target: Path) -> None:
    """Raise RefusedInput where a backup would copy itself, lying in a folder that it copies; and for a bucket."""
    if settings.incoming_bucket is not None:
        raise RefusedInput(
            f"--with-xrays: the films lie in {settings.incoming_bucket}, which a backup does not copy: keep that "
            "by the store's own means (versions, replication), and back up without --with-xrays"
        )
    for folder in find_parts(settings).values():
        if target.resolve().is_relative_to(folder.resolve()):
            raise RefusedInput(f"{target}: lies in {folder}, which it would hold; expected a folder elsewhere")


def plan_return(settings: Settings, hashes: Mapping[str, str]) -> dict[str, Path]:
    """Where each carried file of a backup goes in this home, by its name in the backup.

    What people wrote for this home stays as it is; the backup's is for a home that has none.
    Raises RefusedInput where another file is in the way, or a configured folder is not there.
    """
    parts = find_parts(settings)
    plan = {}
    for name, sha256 in hashes.items():
        part, _, rest = name.partition("/")
        if part == DATASETS:
            number, _, rest = rest.partition("/")
            plan[name] = restored_dataset(settings, int(number)) / rest
        elif part in parts and rest:
            plan[name] = parts[part] / rest
        if name in plan and os.path.lexists(plan[name]) and _hash(plan[name]) != sha256:
            raise RefusedInput(
                f"{plan[name]}: is in the way of another file of the backup; expected nothing there, or the same bytes"
            )
    for folder in (settings.incoming, settings.archive_dir):
        if plan and isinstance(folder, Path) and not folder.is_relative_to(settings.home) and not folder.is_dir():
            raise RefusedInput(f"{folder}: is not there; mount or make the folder before a restore puts films into it")
    written = {name: settings.home / name for name in WRITTEN_BY_PEOPLE if name in hashes}
    return plan | {name: path for name, path in written.items() if not os.path.lexists(path)}


def return_films(source: Path, plan: Mapping[str, Path], *, on_progress: OnProgress) -> None:
    """Put the files of a plan in place; each appears whole, those that are there already stay."""
    for name, path in plan.items():
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            aside = path.with_name(_ASIDE)
            _copy_film(source / name, aside)
            aside.replace(path)
        on_progress(1)


def _list_files(folder: Path) -> Iterator[Path]:
    """Regular files below a folder, relative to it; no links, and nothing that is being written."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != UNFINISHED]
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink() and not name.endswith(".part"):
                yield path.relative_to(folder)


def _copy_film(source: Path, target: Path) -> bool:
    """Bytes and time, for this user; whether there was a file to copy. Links are none."""
    try:
        if source.is_symlink() or not source.is_file():
            return False
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        found = source.stat()
    except FileNotFoundError:  # a scan has archived it: the archive is copied later
        return False
    target.chmod(0o600)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    return True


def _hash(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    return hash_file(path)

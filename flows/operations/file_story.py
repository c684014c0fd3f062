"""What happened to a file, and why, in sentences."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from db.engine import snapshot
from db.reading.opinions import FilmStanding, read_standings
from db.records import FileHistory
from db.scoring import file_history
from flows.home.ledger import open_ledger
from flows.registry.at_prevalence import AtPrevalence, read_at_prevalence
from flows.registry.withheld import Withheld, read_withheld
from flows.settings import Settings
from xray_core.errors import RefusedInput, UnreadableXray
from xray_core.imaging.folder import is_ignored, look_up, refuse_by_kind
from xray_core.imaging.records import FileSeen
from xray_core.records import FileState, escape_name, is_unlike, say_why_referred
from xray_core.stores.bucket import open_bucket

# In bytes; no file system of ours takes a longer name, no store a longer key.
_LONGEST_NAME = 255
_LONGEST_KEY = 1024
# As results CSVs and `xray why` show the start of a SHA-256, up to a whole one; a pseudonym has 32.
_DIGITS = re.compile(r"[0-9a-f]{16,64}")


@dataclass(frozen=True, slots=True)
class FileStory:
    """What a person is told of files, line by line, and what it was told from: their versions, the newest first."""

    lines: list[str]
    files: list[FileHistory]


def explain(settings: Settings, path: Path | str) -> FileStory:
    """The story of a file by its path or name: every decision with its reason, or why there is none yet.

    Where no file is called so, of the files whose content, study or image is: by the first 16 digits or more of a
    SHA-256, or by a whole pseudonym. In a bucket a film's name is its key below the prefix; the whole address does too.
    Raises RefusedInput for what is no film's name, NoBucket where nobody can tell whether there is one.
    """
    name = _find_name(settings, path)
    longest = _LONGEST_NAME if settings.incoming_bucket is None else _LONGEST_KEY
    if name in (b"", b"..") or len(name) > longest:
        raise RefusedInput(f"received {escape_name(os.fsencode(path))!r}; expected the name of one file")
    with open_ledger(settings) as engine, snapshot(engine) as session:
        digits = str(path).lower() if _DIGITS.fullmatch(str(path).lower()) else None
        versions = file_history.explain_file(session, escape_name(name))
        if digits and not versions:
            versions = file_history.explain_content(session, digits)
        at_prevalence = read_at_prevalence(session, settings)
        withheld = read_withheld(session, settings)
        versions = [_show(version, withheld) for version in versions]
        standings = read_standings(
            session, sha256s=[version.xray_sha256 for version in versions if version.xray_sha256]
        )
    lines = []
    for called, group in groupby(versions, key=lambda version: version.name):
        told = [line for version in group for line in _tell(version, at_prevalence, standings)]
        lines += [f"{called}:", *told]
    if digits and any(version.study == digits for version in versions):
        lines.append("images of this study that were refused are found by name or SHA-256 only")
    unknown = [f"{escape_name(name)}:", _tell_unknown(settings, name, may_be_content=digits is not None)]
    return FileStory(lines or unknown, versions)


def _show(version: FileHistory, withheld: Withheld) -> FileHistory:
    """With the outcome as every surface shows it today."""
    outcome, reason = withheld.show(version.model_version, version.outcome, version.refer_reason)
    return replace(version, outcome=outcome, refer_reason=reason)


def _find_name(settings: Settings, path: Path | str) -> bytes:
    if settings.incoming_bucket is None:
        return os.fsencode(Path(path).name)
    return os.fsencode(str(path).removeprefix(f"{settings.incoming_bucket}/"))


def _look_up(settings: Settings, name: bytes) -> FileSeen | None:
    if settings.incoming_bucket is None:
        return look_up(settings.incoming_dir, name)
    bucket = open_bucket(settings.incoming_bucket)
    seen = bucket.look_up(name)
    if seen is None:
        bucket.ensure_there()
    return seen


def _tell(version: FileHistory, at_prevalence: AtPrevalence, standings: Mapping[str, FilmStanding]) -> list[str]:
    when = version.decided_at or version.first_seen_at
    story, details = f"  {when:%Y-%m-%d %H:%M:%S} UTC  ", []
    match version.state:
        case FileState.SCORED if version.probability is not None:
            story += (
                f"scored: P(covid) {_tell_probability(version, at_prevalence)}, {version.outcome} by model "
                f"{version.model_version}, X-ray {(version.xray_sha256 or '')[:16]}"
            )
            story += _tell_label(standings.get(version.xray_sha256 or ""))
            if why := say_why_referred(version.outcome, version.refer_reason):
                details.append(f"    referred because {why}")
            if likeness := _tell_likeness(version):
                details.append(f"    {likeness}")
        case FileState.SCORED:
            story += f"scored: the same content as X-ray {(version.xray_sha256 or '')[:16]}"
        case FileState.REJECTED:
            story += f"rejected for good: {version.reason_code}, {version.reason_detail}"
        case FileState.DEFERRED:
            story += (
                f"deferred: {version.reason_code}, {version.reason_detail}; looked at {version.tries} times, "
                f"again at {version.retry_at:%H:%M:%S} UTC or as soon as it changes"
            )
        case FileState.NEW:
            story += f"seen and claimed by {version.claimed_by}, not decided yet"
    return [story + ("; another version has come since" if version.superseded_at else ""), *details]


def _tell_label(standing: FilmStanding | None) -> str:
    """What the readers of a film come to; nothing where nobody has read it."""
    if standing is None:
        return ""
    if standing.label is None:
        return ", its label is disputed: `xray labels adjudicate` settles it"
    return f", labelled {standing.label} ({standing.settlement})"


def _tell_probability(version: FileHistory, at_prevalence: AtPrevalence) -> str:
    """The stored score with its mix, and what it comes to at the stated prevalence."""
    mix = at_prevalence.find_mix(version.model_version)
    moved = at_prevalence.say(version.model_version, version.probability)
    return f"{version.probability:.4f}" + (f" (where {mix:.0%} are covid; {moved})" if moved else "")


def _tell_likeness(version: FileHistory) -> str | None:
    """That it looks like a chest film to the model that scored it, or that nobody could ask; None where it does not."""
    if is_unlike(version.refer_reason):
        return None
    if version.distance is None:
        return (
            f"whether it is a chest film was not asked: nobody knows what {version.model_version} was trained on, "
            "so it refers nothing as out of distribution"
        )
    return f"like the chest X-rays that the model was trained on, distance {version.distance:.2f}"


def _tell_unknown(settings: Settings, name: bytes, *, may_be_content: bool) -> str:
    """Why the ledger has never heard of it."""
    if is_ignored(name.rpartition(b"/")[2]):
        return "  a temporary or foreign name (dot-file, .part, .tmp ...): not a delivery until it is renamed"
    place = settings.incoming_bucket or settings.incoming_dir
    try:
        seen = _look_up(settings, name)
    except UnreadableXray as error:
        return f"  no scan has ever seen it, and {place} does not tell whether it is there: {error.detail}"
    if seen is None and may_be_content:
        return f"  neither a file in {place} nor a content, study or image of which there is a result"
    if seen is None:
        return f"  not in {place}, and no scan has ever seen it"
    if refusal := refuse_by_kind(seen):
        return f"  not scanned yet; the next scan will reject it: {refusal.reason}, {refusal.detail}"
    return "  not scanned yet; the next scan looks at it"

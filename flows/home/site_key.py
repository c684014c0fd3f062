"""The site key: the secret under which patients are pseudonyms and splits are drawn."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets

from flows.settings import Settings
from xray_core.errors import WrongSiteKey
from xray_core.exchange.atomic_file import write_once
from xray_core.imaging.patient_ids import is_placeholder
from xray_core.imaging.records import UidKind

_WORD = b"xray site key"


def create_site_key(settings: Settings) -> None:
    """Make a key where there is none (0600)."""
    write_once(settings.home / "site.key", f"{secrets.token_hex(32)}\n".encode())


def read_site_key(settings: Settings) -> bytes:
    """The key, 32 bytes; losing it loses the link between exams. Raises WrongSiteKey for a file that holds none."""
    path = settings.home / "site.key"
    try:
        return bytes.fromhex(path.read_text().strip())
    except ValueError:
        raise WrongSiteKey(f"{path}: holds no key; expected 64 hex digits: put it back from a backup") from None


def is_key_withheld(settings: Settings) -> bool:
    """Whether there is a key that this user may not read: somebody who may only look."""
    path = settings.home / "site.key"
    return path.exists() and not os.access(path, os.R_OK)


def fingerprint(key: bytes) -> str:
    """What tells one key from another and gives neither away: the HMAC-SHA256 of a fixed word, in hex."""
    return hmac.new(key, _WORD, hashlib.sha256).hexdigest()


def name_patient(key: bytes, patient_id: str | None) -> str | None:
    """The pseudonym of a patient id, None where there is none or it is a placeholder: nobody knows whose that is."""
    return None if patient_id is None or is_placeholder(patient_id) else pseudonym(key, patient_id)


def name_uid(key: bytes, kind: UidKind, uid: str | None) -> str | None:
    """The pseudonym of a study's or an image's UID, None where there is none."""
    return None if uid is None else _hash_identifier(key, kind.value, uid)


def seal_key(key: bytes) -> bytes:
    """The key of the ledger's audit chain and seals, drawn from the site key: the HMAC-SHA256 of a fixed word."""
    return hmac.new(key, b"xray ledger seals", hashlib.sha256).digest()


def pseudonym(key: bytes, patient_id: str) -> str:
    """A patient's name in this database: 32 hex digits of HMAC-SHA256 under the site key."""
    return _hash_identifier(key, "patient", patient_id.strip())


def _hash_identifier(key: bytes, kind: str, identifier: str) -> str:
    return hmac.new(key, f"{kind}:{identifier}".encode(), hashlib.sha256).hexdigest()[:32]

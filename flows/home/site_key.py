"""The site key: the secret under which patients are pseudonyms and splits are drawn."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from flows.home.secret_file import create_secret
from flows.settings import Settings
from xray_core.errors import WrongSiteKey

_WORD = b"xray site key"


def create_site_key(settings: Settings) -> None:
    """Make a key where there is none (0600)."""
    create_secret(settings.home / "site.key", secrets.token_hex(32))


def read_site_key(settings: Settings) -> bytes:
    """The key, 32 bytes; losing it loses the link between exams. Raises WrongSiteKey for a file that holds none."""
    path = settings.home / "site.key"
    try:
        return bytes.fromhex(path.read_text().strip())
    except ValueError:
        raise WrongSiteKey(f"{path}: holds no key; expected 64 hex digits: put it back from a backup") from None


def fingerprint(key: bytes) -> str:
    """What tells one key from another and gives neither away: the HMAC-SHA256 of a fixed word, in hex."""
    return hmac.new(key, _WORD, hashlib.sha256).hexdigest()


def pseudonym(key: bytes, patient_id: str) -> str:
    """A patient's name in this database: 32 hex digits of HMAC-SHA256 under the site key."""
    return hmac.new(key, b"patient:" + patient_id.strip().encode(), hashlib.sha256).hexdigest()[:32]

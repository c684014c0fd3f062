"""What `xray init` puts into a new home beside ledger and key: the retraining policy, and the settings in force."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from flows.home.label_words import LABEL_WORDS_FILE, TEMPLATE
from flows.home.mounts import check_folders
from flows.home.site_key import fingerprint, read_site_key
from flows.settings import Settings, find_shipped
from xray_core.exchange.atomic_file import write_whole

POLICY_FILE = "retraining-policy.toml"
# Where the file lies is what these two say.
_NOT_IN_THE_FILE = ("XRAY_HOME", "XRAY_ENV_FILE")


def initiate(settings: Settings) -> list[str]:
    """Write what is not there yet into a home that is; says in lines what it has. Raises FolderMissing."""
    check_folders(settings)
    policy, file = settings.home / POLICY_FILE, settings.home / ".env"
    if not policy.exists():
        write_whole(policy, find_shipped(POLICY_FILE).read_bytes())
    words = settings.home / LABEL_WORDS_FILE
    if not words.exists():
        write_whole(words, TEMPLATE.encode())
    if not file.exists():
        _write_settings(file, os.environ)
    return [
        f"home      {settings.home}",
        f"X-rays    arrive in {settings.incoming_dir}",
        f"site key  {settings.home / 'site.key'}, fingerprint {fingerprint(read_site_key(settings))[:12]}: keep a copy",
        f"policy    {policy}",
        f"words     {words}: what this site's own words for labels mean",
        f"settings  {file}",
    ]


def _write_settings(file: Path, environment: Mapping[str, str]) -> None:
    """The XRAY_ variables that are set now, so that every later command has them too."""
    lines = [
        f"{name}={_quote(value)}"
        for name, value in sorted(environment.items())
        if name.startswith("XRAY_") and name not in _NOT_IN_THE_FILE
    ]
    words = "\n".join(("# Settings of this home; see docs/settings.md. The environment wins.", *lines))
    write_whole(file, f"{words}\n".encode())


def _quote(value: str) -> str:
    return f"'{value}'" if set(value) & set(' #"{}$') and "'" not in value else value

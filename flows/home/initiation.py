"""What `xray init` puts into a new home beside ledger and key: policy, settings, and the study, which is read here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from flows.home.label_words import LABEL_WORDS_FILE, TEMPLATE
from flows.home.mounts import check_folders
from flows.home.site_key import fingerprint, read_site_key
from flows.settings import Settings, find_shipped
from xray_core.exchange.atomic_file import write_whole
from xray_core.report.study import STUDY_FILE, Study, parse_study, read_questions, write_empty_study

POLICY_FILE = "retraining-policy.toml"
# Where the file lies is what these two say.
_NOT_IN_THE_FILE = ("XRAY_HOME", "XRAY_ENV_FILE")


@dataclass(frozen=True, slots=True)
class Initiated:
    """What a home has, and where: paths, and the fingerprint of its site key."""

    home: Path
    incoming: Path | str
    key_fingerprint: str
    policy: Path
    label_words: Path
    study: Path
    settings: Path

    def as_json(self) -> dict[str, str]:
        """For programs."""
        return {name: str(value) for name, value in asdict(self).items()}

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"home      {self.home}",
            f"X-rays    arrive in {self.incoming}",
            f"site key  {self.home / 'site.key'}, fingerprint {self.key_fingerprint[:12]}: keep a copy",
            f"policy    {self.policy}",
            f"words     {self.label_words}: what this site's own words for labels mean",
            f"study     {self.study}: {len(read_questions())} questions that the model card leaves to the team",
            f"settings  {self.settings}",
        ]


def initiate(settings: Settings) -> Initiated:
    """Write what is not there yet into a home that is; says what it has. Raises FolderMissing."""
    check_folders(settings)
    policy, file = settings.home / POLICY_FILE, settings.home / ".env"
    if not os.path.lexists(policy):
        write_whole(policy, find_shipped(POLICY_FILE).read_bytes())
    words = settings.home / LABEL_WORDS_FILE
    if not os.path.lexists(words):
        write_whole(words, TEMPLATE.encode())
    study = settings.home / STUDY_FILE
    if not os.path.lexists(study):
        write_whole(study, write_empty_study().encode())
    if not os.path.lexists(file):
        _write_settings(file, os.environ)
    key = fingerprint(read_site_key(settings))
    return Initiated(settings.home, settings.incoming_bucket or settings.incoming_dir, key, policy, words, study, file)


def read_study(settings: Settings) -> Study:
    """The home's study, one that says nothing where there is no file. Raises RefusedInput for a file with a mistake.

    And OSError for what is there and cannot be read.
    """
    path = settings.home / STUDY_FILE
    return parse_study(path.read_bytes()) if os.path.lexists(path) else Study()


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

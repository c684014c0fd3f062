"""The service's settings: the only reader of the environment, read at the first line of a flow or command."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from flows.settings_file import find_bad_json, find_settings_file, find_unknown, read_given, show_value
from xray_core.errors import RefusedInput
from xray_core.processes.records import DecoderLimits
from xray_core.records import Label, PatientSource
from xray_core.stores.address import is_bucket, refuse_archive

# A bucket's address, a mistyped one too (`s3:/films`): never the name of a folder.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
CHECKOUT = Path(__file__).resolve().parent.parent


def find_shipped(name: str) -> Path:
    """A file that comes with the code: at the checkout's top, or inside the installed package."""
    return (CHECKOUT / "flows" / name).resolve()


class Settings(BaseSettings):
    """Everything that may differ between two installations; a field is `XRAY_<NAME>` or a line of the home's `.env`."""

    model_config = SettingsConfigDict(env_prefix="XRAY_", extra="ignore", frozen=True)

    home: Path = Field(Path("xray-home"), description="data home: database, incoming, labels, exports, models, prefect")
    database_url: str | None = Field(None, description="results database; default is xray.db in the home")
    env_file: Path | None = Field(None, description="file with more of these lines; default is .env in the home")
    incoming: Path | str | None = Field(
        None,
        description="folder where X-rays arrive, or s3://BUCKET/PREFIX (also gs://, az://; docs/scale.md); default is "
        "incoming/ in the home",
    )
    archive_dir: Path | str | None = Field(
        None,
        description="where scored files move after the commit, for a bucket another prefix of it; default: they stay",
    )
    settle_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        5, description="a file that was not renamed into place must be unchanged for this long"
    )
    defer_hours: Annotated[float, Field(gt=0, le=87_600)] = Field(
        24, description="an incomplete file is looked at again for this long, then rejected"
    )
    batch_size: Annotated[int, Field(ge=1, le=1024)] = Field(64, description="X-rays per inference and per transaction")
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        default_factory=lambda: max(1, min(4, os.cpu_count() or 1)), description="decoder processes"
    )
    decode_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(20, description="time limit for decoding one file")
    decode_mib: Annotated[int, Field(ge=256, le=2**20)] = Field(
        1024, description="memory limit of one decoder process, MiB"
    )
    lease_seconds: Annotated[float, Field(gt=0, le=2_592_000)] = Field(
        60, description="after this long without renewal a claim of a scanner that nobody can ask counts as dead"
    )
    scanners: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="how many runs of score-incoming may scan at once, on however many hosts (docs/scale.md)"
    )
    task_runner: str = Field(
        "local", description="who scores: local (the process of the run), or a Dask scheduler (docs/scale.md)"
    )
    kept_mib: Annotated[int, Field(ge=0)] = Field(
        4096,
        description="what the fitted grey levels of labelled films, kept for trainings to come, may take of the disk, "
        "MiB; 0 keeps none (docs/operate.md)",
    )
    min_free_mib: Annotated[int, Field(ge=0)] = Field(1024, description="intake pauses below this much free disk, MiB")
    retrain_after: Annotated[int, Field(ge=1)] | None = Field(
        None, description="new trainable labels that make a retraining due; overrides retraining-policy.toml"
    )
    retraining_policy: Path = Field(
        find_shipped("retraining-policy.toml"), description="what retraining may do, and when"
    )
    class_names: Annotated[dict[str, Label], Field(min_length=1)] = Field(
        {"covid": Label.COVID, "normal": Label.NORMAL}, description="folder or reader word to label, as JSON"
    )
    chest_words: tuple[str, ...] = Field(
        (),
        description="this site's own words for the chest as a DICOM body part, as a JSON list, besides the known ones",
    )
    patient_from: PatientSource | None = Field(
        None,
        description="where else a film's patient stands: sidecar (`NAME.patient`), or folder (a folder per patient, in "
        "datasets); default: nowhere (docs/patients.md)",
    )
    prevalence: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="assumed share of covid where the scores are used; overrides retraining-policy.toml"
    )
    target_sensitivity: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="what the lower threshold promises: share of new covid X-rays not called negative"
    )
    target_specificity: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="what the upper threshold promises: share of new normal X-rays not called positive"
    )
    file_names_in_exports: bool = Field(True, description="whether the CSV names files; off: pseudonyms only")
    public_host: str | None = Field(None, description="host name under which a proxy shows the page; default: none")
    notify: tuple[str, ...] = Field(
        (),
        description="addresses of Apprise, as a JSON list, that are told of a failed run, a verdict, or when a person "
        "is needed; counts only",
    )
    shadow: bool = Field(False, description="let the newest candidate score live X-rays too, marked and never exported")

    @field_validator("task_runner")
    @classmethod
    def _local_or_dask(cls, task_runner: str) -> str:
        """A scheduler unpickles whatever it is sent, so only this machine may reach one without TLS."""
        scheme, separator, place = task_runner.partition("://")
        host, _, port = place.rpartition(":")
        if task_runner == "local" or (scheme == "dask+tls" and host and port.isdecimal()):
            return task_runner
        if not (scheme == "dask" and separator and host and port.isdecimal()):
            raise ValueError("expected local, dask://127.0.0.1:PORT or dask+tls://HOST:PORT")
        if host not in ("127.0.0.1", "localhost", "[::1]"):
            raise ValueError(
                "a Dask scheduler runs what anybody sends it: expected dask+tls://HOST:PORT for another machine"
            )
        return task_runner

    @field_validator("home", "env_file", "retraining_policy")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path is not None else None

    @field_validator("home")
    @classmethod
    def _no_file(cls, home: Path) -> Path:
        there = next((path for path in (home, *home.parents) if os.path.lexists(path)), home.parent)
        if not there.is_dir():
            raise ValueError(f"{there} is a file; expected a folder, or the name of a new one")
        return home

    @field_validator("incoming", "archive_dir", mode="before")
    @classmethod
    def _folder_or_bucket(cls, place: Path | str | None) -> Path | str | None:
        if place is None or (isinstance(place, str) and is_bucket(place)):
            return place and str(place).rstrip("/")
        if _ADDRESS.match(str(place)):
            raise ValueError("expected a folder, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX")
        return Path(place).expanduser().absolute()

    @field_validator("archive_dir")
    @classmethod
    def _beside_incoming(cls, archive: Path | str | None, given: ValidationInfo) -> Path | str | None:
        refuse_archive(given.data.get("incoming"), archive)
        return archive

    @property
    def incoming_bucket(self) -> str | None:
        """The address of the bucket where X-rays arrive, None where that is a folder."""
        return self.incoming if isinstance(self.incoming, str) else None

    @property
    def archive_bucket(self) -> str | None:
        """The address of the bucket that scored films are moved to, None where that is a folder or they stay."""
        return self.archive_dir if isinstance(self.archive_dir, str) else None

    @property
    def incoming_dir(self) -> Path:
        """The folder where X-rays arrive; only for a home that has one: ask `incoming_bucket` first."""
        assert not isinstance(self.incoming, str), "a bucket is no folder"
        return self.incoming or self.home / "incoming"

    @property
    def archive_folder(self) -> Path | None:
        """The folder that scored films are moved to, None where they stay, or where it is a bucket."""
        return self.archive_dir if isinstance(self.archive_dir, Path) else None

    @property
    def labels_dir(self) -> Path:
        """Where reviewers drop filled-in CSVs."""
        return self.home / "labels"

    @property
    def exports_dir(self) -> Path:
        """Where results CSVs are written."""
        return self.home / "exports"

    @property
    def models_dir(self) -> Path:
        """One immutable folder per model version."""
        return self.home / "models"

    @property
    def greys_dir(self) -> Path:
        """Fitted grey levels of labelled films: derived, in no backup, and made anew where it is gone."""
        return self.home / "greys"

    @property
    def decoder_limits(self) -> DecoderLimits:
        """What decoder processes may take."""
        return DecoderLimits(self.workers, self.decode_seconds, self.decode_mib, self.chest_words)

    @property
    def url(self) -> str:
        """The results database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.home / 'xray.db'}"


def read_settings() -> Settings:
    """Read the environment and the settings file; raises RefusedInput naming every wrong variable and what it takes.

    The file is what XRAY_ENV_FILE names, else `.env` of the home; never one of the current folder: it may be
    anybody's.
    """
    file, given = find_settings_file(os.environ), read_given(os.environ)
    try:
        settings = Settings(_env_file=file)
        if not os.environ.get("XRAY_ENV_FILE") and file is not None and settings.home != file.parent:
            raise RefusedInput(
                f"{file}: names another home, {settings.home}; expected no XRAY_HOME in a home's own file"
            )
        return settings.model_copy(update={"env_file": file})
    except ValidationError as error:
        problems = [
            f"{name}: received {show_value(name, problem['input'])}; {problem['msg'][:1].lower()}{problem['msg'][1:]}"
            for problem in error.errors()
            for name in [f"XRAY_{'_'.join(str(part).upper() for part in problem['loc'][:1])}"]
        ]
        raise RefusedInput("\n".join(problems)) from error
    except SettingsError as error:  # one that takes JSON, and got none
        raise RefusedInput("\n".join(find_bad_json(given))) from error


def describe_sources() -> str:
    """The settings file that is obeyed, and which settings come from it or the environment: names, never a value."""
    known = {f"XRAY_{name.upper()}" for name in Settings.model_fields}
    set_here = {name.upper() for name in os.environ} & known
    in_file = set(read_given(os.environ)) & known - set_here
    file = find_settings_file(os.environ) or "none"
    return (
        f"settings file {file}: {', '.join(sorted(in_file)) or 'nothing'} comes from it; "
        f"{', '.join(sorted(set_here)) or 'nothing'} from the environment"
    )


def find_unknown_variables() -> list[str]:
    """A sentence for every XRAY_ variable, set or in the settings file, that is no setting and has no effect."""
    known = {f"XRAY_{name.upper()}" for name in Settings.model_fields}
    return find_unknown(read_given(os.environ), known)

"""The service's settings: the only reader of the environment, read at the first line of a flow or command."""

# ruff: noqa: RUF009  # `_setting` makes a description of its own for each

import os
from collections.abc import Mapping
from copy import copy
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Self

from msgspec import Meta

from flows.setting_values import default_of, refuse_setting, say_value, take_settings
from flows.settings_file import find_settings_file, find_unknown, read_given
from xray_core.errors import RefusedInput
from xray_core.processes.records import DecoderLimits
from xray_core.records import Label, PatientSource
from xray_core.stores.address import refuse_archive

CHECKOUT = Path(__file__).resolve().parent.parent


def find_shipped(name: str) -> Path:
    """A file that comes with the code: at the checkout's top, or inside the installed package."""
    return (CHECKOUT / "flows" / name).resolve()


def _setting(default: Any, description: str) -> Any:
    return field(metadata={"default": default, "description": description})


# Without pydantic: that is a sixth of what a scan of one film takes to start (docs/speed.md).
@dataclass(frozen=True, init=False, repr=False)
class Settings:
    """Everything that may differ between two installations; a setting is `XRAY_<NAME>` or a line of the home's `.env`.

    Whoever makes one by hand gives some of them; the others are the environment's, or defaults.
    """

    home: Path = _setting(Path("xray-home"), "data home: database, incoming, labels, exports, models, prefect")
    database_url: str | None = _setting(None, "results database; default is xray.db in the home")
    env_file: Path | None = _setting(None, "file with more of these lines; default is .env in the home")
    incoming: Path | str | None = _setting(
        None,
        "folder where X-rays arrive, or s3://BUCKET/PREFIX (also gs://, az://; docs/scale.md); default is "
        "incoming/ in the home",
    )
    archive_dir: Path | str | None = _setting(
        None,
        "where scored files move after the commit, for a bucket another prefix of it; default: they stay",
    )
    settle_seconds: Annotated[float, Meta(ge=0, le=3600)] = _setting(
        5.0, "a file that was not renamed into place must be unchanged for this long"
    )
    defer_hours: Annotated[float, Meta(gt=0, le=87_600)] = _setting(
        24.0, "an incomplete file is looked at again for this long, then rejected"
    )
    batch_size: Annotated[int, Meta(ge=1, le=1024)] = _setting(64, "X-rays per inference and per transaction")
    workers: Annotated[int, Meta(ge=1, le=64)] = _setting(
        lambda: max(1, min(4, os.cpu_count() or 1)), "decoder processes"
    )
    decode_seconds: Annotated[float, Meta(gt=0, le=3600)] = _setting(20.0, "time limit for decoding one file")
    decode_mib: Annotated[int, Meta(ge=256, le=2**20)] = _setting(1024, "memory limit of one decoder process, MiB")
    lease_seconds: Annotated[float, Meta(gt=0, le=2_592_000)] = _setting(
        60.0, "after this long without renewal a claim of a scanner that nobody can ask counts as dead"
    )
    scanners: Annotated[int, Meta(ge=1, le=64)] = _setting(
        1, "how many runs of score-incoming may scan at once, on however many hosts (docs/scale.md)"
    )
    task_runner: str = _setting(
        "local", "who scores: local (the process of the run), or a Dask scheduler (docs/scale.md)"
    )
    kept_mib: Annotated[int, Meta(ge=0)] = _setting(
        4096,
        "what the fitted grey levels of labelled films, kept for trainings to come, may take of the disk, "
        "MiB; 0 keeps none (docs/operate.md)",
    )
    min_free_mib: Annotated[int, Meta(ge=0)] = _setting(1024, "intake pauses below this much free disk, MiB")
    retrain_after: Annotated[int, Meta(ge=1)] | None = _setting(
        None, "new trainable labels that make a retraining due; overrides retraining-policy.toml"
    )
    retraining_policy: Path = _setting(find_shipped("retraining-policy.toml"), "what retraining may do, and when")
    class_names: Annotated[dict[str, Label], Meta(min_length=1)] = _setting(
        {"covid": Label.COVID, "normal": Label.NORMAL}, "folder or reader word to label, as JSON"
    )
    chest_words: tuple[str, ...] = _setting(
        (),
        "this site's own words for the chest as a DICOM body part, as a JSON list, besides the known ones",
    )
    patient_from: PatientSource | None = _setting(
        None,
        "where else a film's patient stands: sidecar (`NAME.patient`), or folder (a folder per patient, in "
        "datasets); default: nowhere (docs/patients.md)",
    )
    prevalence: Annotated[float, Meta(gt=0, lt=1)] | None = _setting(
        None, "assumed share of covid where the scores are used; overrides retraining-policy.toml"
    )
    target_sensitivity: Annotated[float, Meta(gt=0.5, lt=1)] = _setting(
        0.95, "what the lower threshold promises: share of new covid X-rays not called negative"
    )
    target_specificity: Annotated[float, Meta(gt=0.5, lt=1)] = _setting(
        0.95, "what the upper threshold promises: share of new normal X-rays not called positive"
    )
    file_names_in_exports: bool = _setting(True, "whether the CSV names files; off: pseudonyms only")
    public_host: str | None = _setting(None, "host name under which a proxy shows the page; default: none")
    notify: tuple[str, ...] = _setting(
        (),
        "addresses of Apprise, as a JSON list, that are told of a failed run, a verdict, or when a person "
        "is needed; counts only",
    )
    shadow: bool = _setting(False, "let the newest candidate score live X-rays too, marked and never exported")

    chosen: frozenset[str] = field(default=frozenset(), compare=False)  # what was set; the rest are defaults

    def __init__(self, **given: Any) -> None:
        """Raises RefusedInput naming every wrong variable and what it takes; TypeError for what is no setting."""
        if unknown := given.keys() - SETTINGS.keys():
            raise TypeError(f"no settings: {', '.join(unknown)}")
        said = _choose_settings({name.upper(): word for name, word in os.environ.items()}) | given
        values, problems = take_settings(SETTINGS, said)
        try:
            refuse_archive(values.get("incoming"), values.get("archive_dir"))
        except ValueError as error:
            problems.append(refuse_setting(SETTINGS["archive_dir"], said["archive_dir"], error))
        if problems:
            raise RefusedInput("\n".join(problems))
        self.__dict__.update(values, chosen=frozenset(said))

    def but(self, changes: Mapping[str, Any]) -> Self:
        """The same but for these values, which nobody checks."""
        changed = copy(self)
        assert changes.keys() <= SETTINGS.keys(), "no settings"
        changed.__dict__.update(changes, chosen=self.chosen | changes.keys())
        return changed

    def in_words(self) -> dict[str, str]:
        """The variables that say the same to another process; what is a default is left out, but for the home."""
        said = {name: getattr(self, name) for name in SETTINGS}
        return {
            f"XRAY_{name.upper()}": say_value(value)
            for name, value in said.items()
            if value is not None and (name == "home" or value != default_of(SETTINGS[name]))
        }

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


SETTINGS: Mapping[str, Field[Any]] = {one.name: one for one in fields(Settings) if one.metadata}


def read_settings() -> Settings:
    """Read the environment and the settings file; raises RefusedInput naming every wrong variable and what it takes.

    The file is what XRAY_ENV_FILE names, else `.env` of the home; never one of the current folder: it may be
    anybody's.
    """
    file, given = find_settings_file(os.environ), read_given(os.environ)
    settings = Settings(**_choose_settings(given))
    if not os.environ.get("XRAY_ENV_FILE") and file is not None and settings.home != file.parent:
        raise RefusedInput(f"{file}: names another home, {settings.home}; expected no XRAY_HOME in a home's own file")
    return settings.but({"env_file": file})


def describe_sources() -> str:
    """The settings file that is obeyed, and which settings come from it or the environment: names, never a value."""
    known = _variables()
    set_here = {name.upper() for name in os.environ} & known
    in_file = set(read_given(os.environ)) & known - set_here
    file = find_settings_file(os.environ) or "none"
    return (
        f"settings file {file}: {', '.join(sorted(in_file)) or 'nothing'} comes from it; "
        f"{', '.join(sorted(set_here)) or 'nothing'} from the environment"
    )


def find_unknown_variables() -> list[str]:
    """A sentence for every XRAY_ variable, set or in the settings file, that is no setting and has no effect."""
    return find_unknown(read_given(os.environ), _variables())


def _variables() -> set[str]:
    return {f"XRAY_{name.upper()}" for name in SETTINGS}


def _choose_settings(variables: Mapping[str, str]) -> dict[str, Any]:
    """The words of those variables that are settings, by the settings' names."""
    return {name: variables[word] for name in SETTINGS if (word := f"XRAY_{name.upper()}") in variables}

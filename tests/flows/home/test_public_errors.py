"""Planted names in every kind of error: none gets past the wrapper, into Prefect's database or into a log."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow, Task
from prefect.exceptions import ParameterTypeError

import flows.deployments
from flows.home.public_errors import Fault, make_public, passes_by_itself, say_publicly, without_words
from flows.settings import CHECKOUT
from tests.flows.test_privacy import dump, find_in_files
from xray_core.errors import NoChampion, RefusedInput, XrayError

NAME = "ZZPLANTED"

# What each kind of library and each kind of ours would say; the names are in arguments, attributes and contexts.
PLANTED = """
import io, json, sqlite3, zipfile
from pathlib import Path
import numpy as np
from xray_core import errors
from xray_core.records import LabelProblem, LabelProblemCode, ReasonCode

NAME = "ZZPLANTED"

def missing_file():
    Path(f"/nosuch/{NAME}.dcm").read_bytes()

def cross_device():
    raise OSError(18, "Invalid cross-device link", f"/incoming/{NAME}.png", None, f"/archive/{NAME}.png")

def database_parameters():
    from sqlalchemy import NullPool, create_engine, text
    with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
        connection.execute(text("INSERT INTO nothing VALUES (:name)"), {"name": NAME})

def database_integrity():
    from sqlalchemy import NullPool, create_engine, text
    with create_engine("sqlite://", poolclass=NullPool).begin() as connection:
        connection.execute(text("CREATE TABLE films (name TEXT UNIQUE)"))
        for _ in range(2):
            connection.execute(text("INSERT INTO films VALUES (:name)"), {"name": NAME})

def busy_database():
    from sqlalchemy.exc import OperationalError
    raise OperationalError(f"INSERT {NAME}", {"name": NAME}, sqlite3.OperationalError("database is locked"))

def dicom_file():
    from pydicom import dcmread
    dcmread(io.BytesIO(NAME.encode()))

def dicom_value():
    from pydicom.errors import BytesLengthException
    raise BytesLengthException(f"Expected total bytes of {NAME}")

def picture():
    from PIL import Image
    Image.open(io.BytesIO(NAME.encode() * 9)).load()

def unknown_letters():
    (NAME.encode() + bytes([0xff])).decode()

def missing_key():
    {}[NAME]

def not_json():
    json.loads("{" + NAME)

def wrong_setting():
    from flows.settings import Settings
    Settings(batch_size=NAME)

def archive():
    zipfile.ZipFile(io.BytesIO(NAME.encode()))

def array():
    np.array([NAME]).astype(float)

def several():
    raise ExceptionGroup(NAME, [ValueError(NAME), OSError(2, NAME, NAME)])

def noted():
    error = ValueError(NAME)
    error.add_note(NAME)
    raise error

def behind_another():
    try:
        missing_file()
    except OSError as error:
        raise RuntimeError(NAME) from error

def refused_input():
    raise errors.RefusedInput(f"{NAME}.csv: received nothing; expected rows")

def refused_labels():
    raise errors.InvalidLabelsCsv(f"{NAME}.csv", [f"{NAME}: unknown X-ray"])

def refused_dataset():
    raise errors.InvalidDataset(f"/data/{NAME}: not a folder")

def unreadable():
    raise errors.IncompatibleModel(f"{NAME}.keras: it cannot be read")

def altered():
    raise errors.ModelAltered(f"/models/{NAME}: sha256 differs")

def low_disk():
    raise errors.LowDisk(f"1 MiB free on the disk of /data/{NAME}")

def old_schema():
    raise errors.SchemaOutOfDate(f"sqlite:////data/{NAME}/xray.db: revision none")

def claim_lost():
    raise errors.ClaimLost(f"{NAME}.0123 does not hold it")

EVERY = [value for value in list(globals().values()) if getattr(value, "__module__", "") == __name__]
"""


def planted() -> dict[str, Callable[[], None]]:
    space: dict[str, Any] = {"__name__": "planted"}
    exec(compile(PLANTED, "planted.py", "exec"), space)  # noqa: S102  # our own text, above
    return {function.__name__: function for function in space["EVERY"]}


@pytest.mark.parametrize("kind", sorted(planted()))
def test_an_error_of_any_kind_leaves_without_its_words(kind: str) -> None:
    function = planted()[kind]
    with pytest.raises(Exception) as original:  # noqa: PT011  # each kind has its own
        function()
    with pytest.raises(Exception) as public:  # noqa: PT011
        without_words(function)()

    error = public.value
    assert type(error).__name__ == type(original.value).__name__
    assert str(error).strip() or isinstance(error, Fault)
    assert (error.__cause__, error.__context__) == (None, None)
    for said in (str(error), repr(error), repr(error.__dict__), say_publicly(error), say_publicly(original.value)):
        assert NAME not in said
    assert passes_by_itself(error) == passes_by_itself(original.value)
    assert str(make_public(error)) == str(error)


@pytest.mark.parametrize("name", ["check_drift", "export_results", "import_labels", "retrain", "score_incoming"])
def test_a_flow_without_words_still_knows_what_it_may_be_given(name: str) -> None:
    flow = getattr(importlib.import_module(f"flows.deployments.{name}"), name)

    flow.validate_parameters({})  # raises where a type of a parameter is not to be found
    if name == "retrain":
        with pytest.raises(ParameterTypeError, match="epochs"):
            flow.validate_parameters({"epochs": 0})


def test_a_number_and_the_place_stay(tmp_path: Path) -> None:
    with pytest.raises(Fault) as missing:
        without_words(planted()["missing_file"])()

    assert type(missing.value).__name__ == "FileNotFoundError"
    assert "ENOENT" in str(missing.value)
    assert say_publicly(missing.value).startswith("FileNotFoundError: ENOENT")


def test_our_own_sentences_for_people_stay_where_they_name_nobody() -> None:
    def refuse() -> None:
        raise RefusedInput("another model became champion meanwhile: train again", public=True)

    def lack() -> None:
        raise NoChampion("anything")

    with pytest.raises(RefusedInput, match="another model became champion meanwhile: train again"):
        without_words(refuse)()
    with pytest.raises(NoChampion, match="xray train"):
        without_words(lack)()


def test_a_stop_that_a_library_took_for_a_fault_of_its_own_is_still_a_stop() -> None:
    def interrupted() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as stop:
            raise sqlite3.OperationalError(NAME) from stop

    with pytest.raises(KeyboardInterrupt):
        without_words(interrupted)()


@pytest.mark.parametrize("kind", XrayError.__subclasses__() + RefusedInput.__subclasses__())
def test_every_kind_of_ours_has_a_sentence_of_its_own(kind: type[XrayError]) -> None:
    assert kind.kind_sentence


def test_every_flow_and_every_task_is_wrapped() -> None:
    modules = [
        importlib.import_module(f"flows.deployments.{found.name}")
        for found in pkgutil.iter_modules(flows.deployments.__path__)
    ]
    ours = {
        found.fn.__qualname__: found.fn
        for module in modules
        for found in vars(module).values()
        if isinstance(found, Flow | Task) and found.fn.__module__ == module.__name__
    }

    assert (
        len(ours) >= 9
    )  # the steps of a retraining are tasks made one by one, wrapped where `take_as_task` makes them
    for name, function in ours.items():
        assert getattr(function, "__code__", None) is without_words(len).__code__, f"{name} is not wrapped"  # type: ignore[attr-defined]


# Each kind from a task, caught, and the last from a flow.
_RUN = """
import sys
from prefect import flow, task
from flows.home.public_errors import without_words
from flows.deployments.retries import is_passing_fault

def fail(function):
    @flow(name="fail-" + function.__name__)
    @without_words
    def failing():
        task(name=function.__name__, retries=1, retry_condition_fn=is_passing_fault)(without_words(function))()
    return failing

states = [fail(function)(return_state=True) for function in EVERY]
print(*(state.type.value for state in states))
for state in states:
    print(state.message)
"""


@pytest.mark.prefect
def test_prefects_database_and_logs_hold_none_of_the_names(
    tmp_path: Path, prefect_api: str, prefect_home: Path
) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")} | {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": prefect_api,
        "DO_NOT_TRACK": "1",
    }
    (tmp_path / "run.log").touch()
    with (tmp_path / "run.log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", PLANTED + _RUN],
            cwd=CHECKOUT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            check=False,
        )
    said = (tmp_path / "run.log").read_text()

    assert done.returncode == 0, said[-3000:]
    assert done.stdout.splitlines()[0].split() == ["FAILED"] * len(planted())
    assert "ENOENT" in done.stdout
    assert NAME not in done.stdout + said
    assert "Traceback" in said  # the log is Prefect's full one, and still says nothing
    assert "ENOENT" in dump(prefect_home / "prefect.db").decode()  # what they said has arrived
    for folder in (tmp_path, prefect_home):
        assert find_in_files(folder, NAME, but=()) == []

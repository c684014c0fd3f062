"""The house rules, measured: small folders, small files, short functions, one meaning a name, nothing without a use."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from tests.architecture import exceptions, house
from tests.architecture.__main__ import describe

LONGEST_FILE = 250
LONGEST_FUNCTION = 50
MOST_PARAMETERS = 5


def assert_only(received: Collection[str], allowed: Collection[str]) -> None:
    """Nothing but what is allowed, and nothing allowed that is no longer there."""
    more, mended = sorted(set(received) - set(allowed)), sorted(set(allowed) - set(received))
    assert not more, f"against the house rules (see CONTRIBUTING.md): {more}"
    assert not mended, f"mended, so take them out of tests/architecture/exceptions.py: {mended}"


def test_the_figures_are_printed() -> None:
    table = describe()

    print(f"\n{table}")

    assert "lines of a function" in table


def test_a_folder_has_at_most_sixteen_files() -> None:
    assert {folder: count for folder, count in house.count_files().items() if count > 16} == {}


def test_a_file_has_at_most_250_lines_but_three_that_say_why() -> None:
    long = [each.name for each in house.read_modules() if each.lines > LONGEST_FILE]

    assert_only(long, exceptions.LONG_FILES)
    assert len(exceptions.LONG_FILES) <= 3


def test_functions_are_short() -> None:
    lengths = sorted(each.lines for each in house.read_functions() if not each.is_command)

    assert lengths[len(lengths) // 2] <= 9
    assert lengths[len(lengths) * 9 // 10] <= 22
    long = [each.name for each in house.read_functions() if each.lines > LONGEST_FUNCTION and not each.is_command]
    assert_only(long, exceptions.LONG_FUNCTIONS)


def test_a_function_takes_at_most_five_values_by_place() -> None:
    many = [each.name for each in house.read_functions() if each.parameters > MOST_PARAMETERS]

    assert_only(many, exceptions.MANY_PARAMETERS)


def test_a_public_class_name_stands_once() -> None:
    assert_only(house.find_twice_named_classes(), exceptions.TWICE_NAMED)


def test_nothing_in_the_core_or_the_database_catches_everything() -> None:
    found = {place.partition(":")[0] for place in house.find_broad_excepts("xray_core", "db")}

    assert_only(found, exceptions.BROAD_EXCEPTS)


def test_an_init_file_is_one_docstring_line() -> None:
    assert_only(house.find_wordy_inits(), exceptions.WORDY_INITS)


def test_nothing_is_without_a_caller() -> None:
    assert_only(house.find_unused(), exceptions.CALLED_BY_OTHERS)


@pytest.mark.parametrize(
    "allowed", [value for name, value in vars(exceptions).items() if name.isupper()], ids=lambda value: str(len(value))
)
def test_every_exception_has_a_reason(allowed: dict[str, str]) -> None:
    assert all(allowed.values())

"""On what a training ran, and what is other when it runs again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xray_core.training.reproduction.circumstances import Circumstances, find_differences, read_circumstances

THEN = Circumstances(
    processor="One CPU",
    cores=2,
    versions={"Python": "3.12.1", "Keras": "3.15.0"},
    switches={},
    code_revision="a" * 40,
)


def test_where_nothing_is_other_nothing_is_named() -> None:
    assert find_differences(THEN, THEN) == ()


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (replace(THEN, processor="Another CPU"), "processor: One CPU then, Another CPU now"),
        (replace(THEN, cores=4), "processor cores: 2 then, 4 now"),
        (replace(THEN, versions={**THEN.versions, "Keras": "3.16.0"}), "Keras: 3.15.0 then, 3.16.0 now"),
        (replace(THEN, versions={"Python": "3.12.1"}), "Keras: 3.15.0 then, none now"),
        (replace(THEN, switches={"TF_ENABLE_ONEDNN_OPTS": "0"}), "TF_ENABLE_ONEDNN_OPTS: none then, 0 now"),
        (replace(THEN, code_revision="b" * 40), f"code: {'a' * 40} then, {'b' * 40} now"),
    ],
)
def test_what_is_other_is_named_with_both_values(now: Circumstances, words: str) -> None:
    assert find_differences(THEN, now) == (words,)


def test_code_with_changes_that_no_commit_holds_may_be_another_though_its_name_is_the_same() -> None:
    changed = replace(THEN, code_revision=f"{'a' * 40}+changes")

    (difference,) = find_differences(changed, changed)

    assert "changes that no commit holds" in difference


@pytest.mark.keras
def test_this_process_tells_its_processor_cores_and_every_version_that_makes_a_number() -> None:
    found = read_circumstances("c" * 40)

    assert found.processor
    assert found.cores >= 1
    assert {"Python", "TensorFlow", "Keras", "numpy", "pillow", "pydicom"} <= found.versions.keys()
    assert find_differences(found, read_circumstances("c" * 40)) == ()

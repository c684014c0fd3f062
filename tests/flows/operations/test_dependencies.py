"""What the doctor says of dependencies is so, of an older installation too."""

from __future__ import annotations

from packaging.requirements import Requirement

from flows.operations.dependencies import judge_dependencies


def test_an_extra_that_the_installation_does_not_know_is_not_said_to_be_missing() -> None:
    told = dict(judge_dependencies([Requirement("typer"), Requirement('pandas; extra == "train"')]))

    (of_buckets,) = [what for what in told if "obstore" in what]
    assert of_buckets.endswith("older than its code and knows nothing of obstore (films in a bucket): make install")
    assert not any("training" in what for what in told)


def test_of_an_extra_of_which_nothing_is_there_the_install_command_is_told() -> None:
    told = dict(judge_dependencies([Requirement('nosuch-library; extra == "s3"')]))

    assert told["obstore (films in a bucket) is not installed here: pip install 'xray-scoring[s3]' adds it"] is None


def test_a_missing_and_a_strange_dependency_have_their_fix() -> None:
    told = dict(judge_dependencies([Requirement("nosuch-library"), Requirement("typer<0.0.1")]))

    assert told["nosuch-library is missing"] == "make install"
    assert "make clean install" in told.values()

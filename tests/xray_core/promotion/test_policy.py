"""The retraining policy file: read, checked, hashed by what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from xray_core.errors import RefusedInput
from xray_core.promotion.policy import RetrainingPolicy, read_retraining_policy, with_retrain_after

SHIPPED = Path(__file__).parents[3] / "retraining-policy.toml"


def test_the_shipped_policy_is_valid_and_says_everything() -> None:
    policy = read_retraining_policy(SHIPPED)

    assert policy.trigger == RetrainingPolicy().trigger
    assert policy.test == RetrainingPolicy().test
    assert policy.modifications.may_change
    assert "rollback" in policy.impact.way_back


def test_what_a_policy_leaves_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[trigger]\nnew_labels = 7\ncool_down_hours = 2\n")

    policy = read_retraining_policy(path)

    assert (policy.trigger.new_labels, policy.trigger.cool_down_hours) == (7, 2.0)
    assert policy.test == RetrainingPolicy().test


def test_every_problem_is_named_with_what_was_received(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[trigger]\nnew_labels = 0\nafter = 3\n[test]\nmargin = "5 %"\nalpha = nan\n[extra]\n')

    with pytest.raises(RefusedInput) as caught:
        read_retraining_policy(path)

    words = str(caught.value)
    assert "trigger.new_labels: received 0; input should be greater than or equal to 1" in words
    assert "trigger.after: received 3; unknown key" in words
    assert "test.margin: received '5 %'" in words
    assert "test.alpha: received nan" in words
    assert "extra: received {}; unknown key" in words


@pytest.mark.parametrize("content", [b"[trigger", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(content)

    with pytest.raises(RefusedInput, match="not TOML"):
        read_retraining_policy(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedInput, match="no such file"):
        read_retraining_policy(tmp_path / "none.toml")


def test_comments_and_order_do_not_change_the_hash_and_a_number_does(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text("[trigger]\nnew_labels = 7\ncool_down_hours = 2\n")
    other.write_text("# why\n[trigger]\ncool_down_hours = 2.0\n\nnew_labels = 7\n")

    first, second = read_retraining_policy(one), read_retraining_policy(other)

    assert first.sha256 == second.sha256
    assert with_retrain_after(first, 8).sha256 != first.sha256
    assert read_retraining_policy(one, retrain_after=8) == with_retrain_after(first, 8)


def test_fewer_judges_than_must_judge_are_refused_and_a_bound_that_nobody_wrote_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[test]\nmax_patients_per_class = 20\n")

    with pytest.raises(RefusedInput, match=r"test\.max_patients_per_class: received 20; expected .* \(30\) or more"):
        read_retraining_policy(path)

    path.write_text("[test]\nmin_patients_per_class = 600\n")
    assert read_retraining_policy(path).test.most_judges == 600

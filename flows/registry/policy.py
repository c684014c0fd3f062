"""The retraining policy in force, and the mistakes in what a team writes into its home."""

from __future__ import annotations

import os
from collections.abc import Iterator

from flows.home.initiation import POLICY_FILE, read_study
from flows.home.label_words import read_label_words
from flows.home.site_key import is_key_withheld
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.promotion.policy import RetrainingPolicy, read_retraining_policy


def read_policy(settings: Settings) -> RetrainingPolicy:
    """Read `XRAY_RETRAINING_POLICY`, else the home's own policy, else the one that came along.

    `XRAY_RETRAIN_AFTER` replaces its number of new labels, `XRAY_PREVALENCE` its prevalence.
    """
    own = settings.home / POLICY_FILE
    path = settings.retraining_policy if "retraining_policy" in settings.chosen else own
    return read_retraining_policy(
        path if os.path.lexists(path) or path != own else settings.retraining_policy,
        retrain_after=settings.retrain_after,
        prevalence=settings.prevalence,
    )


def find_mistakes(settings: Settings) -> Iterator[RefusedInput]:
    """What is wrong in retraining policy, label words and study: one refusal for each that cannot be read or meant.

    Who may only look, and was not let read one, is told nothing of it: it is its owner's, and its owner is told.
    """
    for read in (read_policy, read_label_words, read_study):
        try:
            read(settings)
        except RefusedInput as refusal:
            yield refusal
        except OSError as error:
            if not isinstance(error, PermissionError) or not is_key_withheld(settings):
                yield RefusedInput(
                    f"{error.filename}: cannot be read ({error.strerror}); expected a file that this user may read"
                )

"""Options are checked before a training is claimed, and a failed one says why in a sentence without a name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from db.engine import snapshot
from db.registry import training_runs
from flows.operations.status import read_status
from flows.review.label_import import import_labels_from
from flows.review.patient_import import import_patients
from flows.settings import Settings
from flows.training.claim import claim_labels, open_trainer, released_on_failure
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.flows.training.claims import are_claimed
from xray_core.errors import RefusedInput
from xray_core.networks.options import TrainingOptions
from xray_core.synthetic.xrays import write_sample_set


@pytest.mark.parametrize("word", ["imagenet", "typo.weights.h5", "folder.weights.h5", "model.keras"])
def test_weights_that_are_no_file_are_refused_before_anything_is_claimed(
    settings: Settings, tmp_path: Path, word: str
) -> None:
    (tmp_path / "folder.weights.h5").mkdir()
    (tmp_path / "model.keras").touch()

    with open_trainer(settings) as trainer:
        with pytest.raises(RefusedInput, match="nothing is ever downloaded"):
            claim_labels(trainer, TrainingOptions(weights=Path(word)), trigger="by hand")
        with snapshot(trainer.engine) as session:
            assert training_runs.list_trainings(session) == []


def test_the_command_says_so_at_once_and_ends_with_2(settings: Settings, tmp_path: Path) -> None:
    write_sample_set(tmp_path / "dataset", per_class=2, patients=2, seed=1)
    command = [sys.executable, "-m", "flows", "train", str(tmp_path / "dataset"), "--weights", "typo.weights.h5"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "typo.weights.h5" in done.stderr
    assert "registered" not in done.stdout
    assert "Traceback" not in done.stderr
    assert read_status(settings).last_training is None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RefusedInput("the test side has 0 covid X-rays: more patients are needed", public=True), "more patients"),
        (RefusedInput("/data/ZZNAME.png: cannot be used"), "an input was refused"),
        (OSError(28, "No space left on device", "/data/ZZNAME.png"), "OSError: ENOSPC"),
    ],
)
def test_a_failed_training_says_why_in_a_sentence_without_a_name(
    settings: Settings, error: Exception, said: str
) -> None:
    with open_trainer(settings) as trainer:
        claim = claim_labels(trainer, TrainingOptions(), trigger="by hand")
        assert claim is not None
        with pytest.raises(type(error)), released_on_failure(trainer, claim):
            raise error

    lines = "\n".join(read_status(settings).lines())
    assert said in lines
    assert "(RefusedInput)" not in lines
    assert "ZZNAME" not in lines


def test_labels_whose_patients_have_changed_since_may_be_trained_on_again(settings: Settings, tmp_path: Path) -> None:
    films = drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    csv = tmp_path / "labels.csv"
    csv.write_text(f"filename,label\n{films[0].name},covid\n{films[1].name},normal\n")
    import_labels_from(settings, csv, mapping={})

    with open_trainer(settings) as trainer:

        def claim() -> bool:
            return claim_labels(trainer, TrainingOptions(), trigger="by hand") is not None

        first, again = claim(), claim()
        csv.write_text(f"filename,patient_id\n{films[0].name},P1\n{films[1].name},P1\n")
        import_patients(settings, csv)
        known, known_again = claim(), claim()
        csv.write_text(f"filename,patient_id\n{films[0].name},P2\n")
        import_patients(settings, csv)
        is_claimed = are_claimed(settings)

        assert (first, again, known, known_again, is_claimed, claim()) == (True, False, True, False, False, True)
        assert are_claimed(settings)

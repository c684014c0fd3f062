"""A whole training on synthetic X-rays: what is claimed, learned, judged, kept, and what is said of it.

The first training really learns, and is asked only what holds whatever it learned. Verdicts are of known weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.engine import open_engine, snapshot
from db.records import Stage, TrainingRun, TrainingState
from db.registry import training_runs
from flows.home.ledger import find_anchor, prepare_ledger
from flows.operations.verification import find_breach
from flows.registry.models import list_models, read_history
from flows.registry.policy import read_policy
from flows.review.dataset import register_dataset
from flows.review.label_import import import_labels_from
from flows.settings import Settings
from flows.training import training
from flows.training.claim import Claim, claim_labels, open_trainer, released_on_failure
from flows.training.due import read_due
from tests.conftest import own_database
from tests.databases import server_url
from tests.evaluations import read_evaluation
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.flows.training.claims import are_claimed
from tests.networks import keep_known_weights
from xray_core.errors import InvalidDataset
from xray_core.exchange.dataset_folder import read_dataset_folder
from xray_core.models.folder import read_manifest
from xray_core.networks.options import TrainingOptions
from xray_core.records import RESEARCH_USE, Verdict
from xray_core.synthetic.xrays import write_sample_set
from xray_core.training.trial import Conclusion

pytestmark = pytest.mark.keras

OPTIONS = TrainingOptions(epochs=1, input_size=48)


def begin_home(settings: Settings) -> Settings:
    """A new home under a known site key, which decides the split: who judges is no matter of chance."""
    settings.home.mkdir(parents=True)
    (settings.home / "site.key").write_text("5e" * 32 + "\n")
    prepare_ledger(settings)
    return settings


@pytest.fixture
def empty_settings(tmp_path: Path) -> Iterator[Settings]:
    with own_database("template0") as url:
        yield begin_home(Settings(home=tmp_path / "home", database_url=url, settle_seconds=0))


def register(settings: Settings, folder: Path, *, per_class: int, seed: int = 0) -> None:
    """Register synthetic X-rays."""
    write_sample_set(folder, per_class=per_class, patients=per_class, seed=seed)
    found = read_dataset_folder(folder, settings.class_names, folder / "patients.csv")
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    register_dataset(settings, engine, found, on_progress=lambda _: None)
    engine.dispose()


def train(settings: Settings, options: TrainingOptions = OPTIONS, *, trigger: str = "by hand") -> Conclusion | None:
    trial = training.train(settings, options, trigger=trigger)
    return None if trial is None else trial.conclusion


def read_trainings(settings: Settings) -> list[TrainingRun]:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        found = training_runs.list_trainings(session)
    engine.dispose()
    return found


def write_policy(path: Path, **values: float) -> Path:
    """The policy that comes along, with other numbers."""
    lines = Settings().retraining_policy.read_text().splitlines()
    for name, value in values.items():
        place = max(at for at, line in enumerate(lines) if line.startswith(f"{name} = "))
        lines[place] = f"{name} = {value}"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Conclusion]:
    """A home whose first model was trained on 80 X-rays."""
    if server_url() is not None:
        pytest.skip("trains in a home with a SQLite file")
    folder = tmp_path_factory.mktemp("trained")
    settings = begin_home(Settings(home=folder / "home", settle_seconds=0))
    register(settings, folder / "dataset", per_class=40)
    conclusion = train(settings)
    assert conclusion is not None
    return settings, conclusion


def test_a_first_model_is_champion_and_says_that_it_is_unproven(trained: tuple[Settings, Conclusion]) -> None:
    settings, conclusion = trained

    (model,) = list_models(settings)

    assert (conclusion.verdict, conclusion.is_champion) == (Verdict.PROMOTE, True)
    assert (model.version, model.stage, model.proven) == (conclusion.version, Stage.CHAMPION, False)
    assert model.audit_verdict is not None
    assert "unproven" in read_history(settings)[0].reason
    assert find_breach(settings)[0] is None
    assert [run.policy_sha256 for run in read_trainings(settings)] == [read_policy(settings).sha256]


def test_the_folder_holds_model_figures_plots_and_card(trained: tuple[Settings, Conclusion]) -> None:
    settings, conclusion = trained
    folder = settings.models_dir / conclusion.version

    names = {path.name for path in folder.iterdir()}

    assert {"model.keras", "model.onnx", "model.json", "history.csv", "evaluation.json", "audit.json"} <= names
    assert {"MODEL_CARD.md", "MODEL_CARD.html", "learning.png", "roc.png", "audit.png", "attention.png"} <= names
    assert not {"comparison.png", "champion_evaluation.json"} & names  # nobody was there to be compared with
    evaluation = read_evaluation((folder / "evaluation.json").read_text())
    assert evaluation.covid.xrays > 0
    assert evaluation.normal.xrays > 0


def test_the_card_says_what_is_known_of_this_very_model(trained: tuple[Settings, Conclusion]) -> None:
    settings, conclusion = trained
    folder = settings.models_dir / conclusion.version
    manifest = read_manifest(folder)

    card = (folder / "MODEL_CARD.md").read_text().replace("\\", "")
    page = (folder / "MODEL_CARD.html").read_text()

    for words in (RESEARCH_USE, conclusion.version, manifest.keras_sha256, manifest.onnx_sha256, "Unproven"):
        assert words in card
        assert words in page
    assert str(manifest.label_set_sha256) in card
    assert conclusion.reason in card
    upper = manifest.operating_point.upper
    assert (f"{upper:.4f}" if upper <= 1 else "there is no upper threshold") in card
    assert f"xray models reproduce {conclusion.version}" in card
    assert str(settings.home) not in card + page
    assert page.count("data:image/png;base64,") == len(list(folder.glob("*.png")))


def test_a_label_set_is_trained_on_once_whoever_asks(trained: tuple[Settings, Conclusion]) -> None:
    settings, _ = trained

    assert train(settings, trigger="event") is None

    assert [run.state for run in read_trainings(settings)] == [TrainingState.FINISHED]
    assert are_claimed(settings)


def test_nothing_is_due_right_after_a_training(trained: tuple[Settings, Conclusion]) -> None:
    settings, _ = trained

    due = read_due(settings)

    assert (due.due, due.new_labels) == (False, 0)
    assert "wanted" in due.reason


def test_the_next_model_is_judged_beside_the_champion_and_too_few_patients_judge_nobody(
    trained: tuple[Settings, Conclusion], tmp_path: Path
) -> None:
    settings, first = trained
    register(settings, tmp_path / "more", per_class=8, seed=5)

    second = train(settings, keep_known_weights(tmp_path))

    assert second is not None
    folder = settings.models_dir / second.version
    assert second.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert "30 of each are needed to judge" in second.reason
    assert not second.is_champion
    assert {"comparison.png", "champion_evaluation.json"} <= {path.name for path in folder.iterdir()}
    ours, theirs = (
        read_evaluation((folder / name).read_text()) for name in ("evaluation.json", "champion_evaluation.json")
    )
    assert (ours.covid, ours.normal) == (theirs.covid, theirs.normal)
    assert first.version in (folder / "MODEL_CARD.md").read_text().replace("\\", "")
    champion = next(model for model in list_models(settings) if model.stage is Stage.CHAMPION)
    assert champion.version == first.version
    run = read_trainings(settings)[0]
    assert (run.verdict, run.reason, run.candidate_version) == (second.verdict, second.reason, second.version)


@pytest.mark.slow  # three trainings; the gate's own tests and those of promotions by hand hold what decides
def test_the_policys_numbers_decide_whether_a_candidate_is_rejected_or_proven(
    empty_settings: Settings, tmp_path: Path
) -> None:
    known = keep_known_weights(tmp_path)
    register(empty_settings, tmp_path / "dataset", per_class=110)  # 19 validation patients of a class make a threshold
    first = train(empty_settings, known)
    assert first is not None
    strict = write_policy(tmp_path / "strict.toml", min_patients_per_class=2, max_refer_share=0.0001)
    lenient = write_policy(
        tmp_path / "lenient.toml",
        min_patients_per_class=2,
        max_refer_share=1.0,
        sensitivity_floor=0.01,
        margin=0.5,
        slice_margin=0.99,
    )

    register(empty_settings, tmp_path / "more", per_class=4, seed=5)
    rejected = train(empty_settings.but({"retraining_policy": strict}), known)
    register(empty_settings, tmp_path / "yet more", per_class=4, seed=6)
    promoted = train(empty_settings.but({"retraining_policy": lenient}), known)

    assert rejected is not None
    assert promoted is not None
    assert (rejected.verdict, promoted.verdict) == (Verdict.REJECT, Verdict.PROMOTE), promoted.reason
    assert "referred" in rejected.reason
    card = (empty_settings.models_dir / str(promoted.version) / "MODEL_CARD.md").read_text()
    assert f"xray models reproduce {promoted.version}" in card
    assert "Its labels are not those of one dataset" in card
    stages = {model.version: (model.stage, model.proven) for model in list_models(empty_settings)}
    assert stages == {
        first.version: (Stage.RETIRED, False),
        rejected.version: (Stage.REJECTED, False),
        promoted.version: (Stage.CHAMPION, True),
    }
    assert find_breach(empty_settings)[0] is None


def test_a_step_that_fails_gives_the_labels_back(empty_settings: Settings, tmp_path: Path) -> None:
    register(empty_settings, tmp_path / "dataset", per_class=4)

    with open_trainer(empty_settings) as trainer:
        claim = claim_labels(trainer, OPTIONS, trigger="event")
        assert claim is not None
        assert are_claimed(empty_settings)
        with pytest.raises(OSError, match="disk"), released_on_failure(trainer, claim):
            raise OSError("the disk went away")

        (failed,) = read_trainings(empty_settings)
        assert failed.state is TrainingState.FAILED
        assert str(failed.reason).startswith("OSError: at ")
        assert not are_claimed(empty_settings)
        assert isinstance(claim_labels(trainer, OPTIONS, trigger="event"), Claim)


def test_two_processes_cannot_both_train_on_the_same_labels(empty_settings: Settings, tmp_path: Path) -> None:
    register(empty_settings, tmp_path / "dataset", per_class=4)

    with open_trainer(empty_settings) as first, open_trainer(empty_settings) as second:
        claims = [claim_labels(first, OPTIONS, trigger="by hand"), claim_labels(second, OPTIONS, trigger="event")]

    assert [claim is None for claim in claims] == [False, True]


def test_a_side_without_a_class_cannot_judge_and_the_labels_are_given_back(
    empty_settings: Settings, tmp_path: Path
) -> None:
    register(empty_settings, tmp_path / "dataset", per_class=1)

    with pytest.raises(InvalidDataset, match="every side needs both classes"):
        train(empty_settings)

    assert read_trainings(empty_settings)[0].state is TrainingState.FAILED
    assert list_models(empty_settings) == []


@pytest.mark.parametrize(("per_class", "due"), [(4, False), (5, True), (7, True)])
def test_enough_new_labels_are_due_whatever_their_number_is_a_multiple_of(
    settings: Settings, tmp_path: Path, per_class: int, due: bool
) -> None:
    policy = write_policy(tmp_path / "policy.toml", new_labels=10, min_xrays_per_class=3)
    words = policy.read_text().replace("min_patients_per_class = 10", "min_patients_per_class = 3")
    policy.write_text(words.replace('"never judge"', '"judge as a patient each"'))  # drawn PNGs name no patient
    settings = settings.but({"retraining_policy": policy})
    paths = drop_xrays(settings.incoming_dir, 2 * per_class)
    scan(settings)
    rows = [f"{path.name},{'covid' if place % 2 else 'normal'},no" for place, path in enumerate(paths)]
    (tmp_path / "labels.csv").write_text("\n".join(["filename,label,score_visible", *rows]))

    import_labels_from(settings, tmp_path / "labels.csv", mapping={})

    found = read_due(settings)
    assert (found.due, found.new_labels, found.claimed) == (due, 2 * per_class, False)

"""`xray models reproduce`: a training from its folder alone, in real processes, and nothing in the ledger moves."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest

from db.engine import open_engine, transaction
from flows.evaluation.reproduction import gather_sides, read_kept, train_again
from flows.home.ledger import find_anchor
from flows.home.site_key import fingerprint, read_site_key
from flows.registry.verdicts import register_unjudged
from flows.settings import Settings
from flows.training.training import train
from tests.conftest import MadeOnce
from tests.flows.cli.test_cli import xray
from tests.flows.evidence_home import Rival, champion, copy_home, enter, make_labelled
from tests.networks import SIZE, lung_contrast_network
from xray_core.errors import RefusedInput
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.folder import hash_manifest, write_model_folder
from xray_core.models.records import OperatingPoint, OutputMeaning
from xray_core.networks.keras_classifier import KerasClassifier, export_onnx
from xray_core.networks.options import TrainingOptions
from xray_core.networks.quiet_keras import keras
from xray_core.networks.records import Architecture
from xray_core.records import RESEARCH_USE, Split
from xray_core.synthetic.xrays import write_sample_set
from xray_core.training.candidate import draw_probe
from xray_core.training.reproduction.likeness import Sameness

pytestmark = [pytest.mark.processes, pytest.mark.lengthy]


class Known(NamedTuple):
    """A home whose champion began with known weights, which no step moved, and the file of those."""

    settings: Settings
    version: str
    weights: Path


@pytest.fixture
def known(trained: Settings, trained_once: Path, monkeypatch: pytest.MonkeyPatch) -> Known:
    enter(trained, monkeypatch)
    return Known(trained, champion(trained).version, trained_once / "known.weights.h5")


def read_everything(settings: Settings) -> list[str]:
    """The whole ledger, and every file of every model."""
    with closing(sqlite3.connect(settings.home / "xray.db")) as ledger:
        rows = list(ledger.iterdump())
    return [*rows, *sorted(str(path) for path in settings.models_dir.rglob("*"))]


def test_the_same_recipe_gives_the_same_weights_and_moves_nothing(known: Known) -> None:
    before = read_everything(known.settings)

    done = xray("models", "reproduce", known.version, "--weights", str(known.weights))

    assert done.returncode == 0, done.stderr
    first, expected, kept, last = done.stdout.splitlines()
    assert first.startswith(f"{known.version}, trained again on the same 120 films (")
    assert first.endswith("identical: every weight is the one of then")
    assert expected.startswith("That is what the same seed must give")
    assert kept == "the new model: not kept (--keep FILE.keras keeps it); nothing in the ledger moved"
    assert last == RESEARCH_USE
    assert read_everything(known.settings) == before
    assert xray("verify").returncode == 0


@pytest.mark.slow
def test_a_program_reads_the_same_and_the_new_model_is_kept_where_it_is_told(known: Known, tmp_path: Path) -> None:
    keep = tmp_path / "again.keras"

    done = xray("models", "reproduce", known.version, "--weights", str(known.weights), "--keep", str(keep), "--json")

    told = json.loads(done.stdout)
    assert (told["sameness"], told["largest_difference"], told["other_outcomes"]) == ("identical weights", 0.0, 0)
    assert sum(told["films"].values()) == 120
    assert (told["kept_as"], keep.is_file()) == (str(keep), True)
    again = xray("models", "reproduce", known.version, "--weights", str(known.weights), "--keep", str(keep))
    assert again.returncode == 2
    assert f"--keep: received {keep}, which is there already and is never overwritten; expected a new file" in (
        again.stderr
    )


def test_the_new_model_is_never_kept_among_what_the_service_keeps(settings: Settings, tmp_path: Path) -> None:
    for keep, words in (
        (settings.models_dir / "again.keras", "which lies among what the service keeps"),
        (settings.home / "again.keras", "which lies among what the service keeps"),
        (tmp_path / "nosuch" / "again.keras", "is no folder; expected a file in one that is there"),
        (tmp_path / "again.h5", "expected a new file .keras"),
    ):
        with pytest.raises(RefusedInput, match=f"^--keep: received {keep}.*{words}"):
            read_kept(settings, "0001-untrained", weights=None, keep=keep)


def test_missing_films_are_counted_by_side_and_found_elsewhere_by_their_content(known: Known, tmp_path: Path) -> None:
    kept = read_kept(known.settings, known.version, weights=known.weights, keep=None)
    sides = gather_sides(known.settings, kept, None, on_progress=lambda _: None)
    own = own_dataset(known.settings, sides[Split.TRAIN].xrays[0].path.folder_id, tmp_path)
    gone = [sides[Split.TRAIN].xrays[number] for number in (0, 1)] + [sides[Split.TEST].xrays[0]]
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    for number, xray_ in enumerate(gone):
        (own / xray_.path.path).rename(tmp_path / "elsewhere" / "deep" / f"{number}.bin")

    refused = xray("models", "reproduce", known.version, "--weights", str(known.weights))
    found = xray(
        *("models", "reproduce", known.version, "--weights", str(known.weights)),
        *("--films", str(tmp_path / "elsewhere")),
    )

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "3 of the 120 films" in refused.stderr
    assert "(2 train, 0 validation, 1 test)" in refused.stderr
    assert "--films DIR" in refused.stderr
    assert found.returncode == 0, found.stderr
    assert "identical" in found.stdout


def own_dataset(settings: Settings, folder_id: int, tmp_path: Path) -> Path:
    """The dataset of the home, where a restore would put it: the shared one stays as it is."""
    with closing(sqlite3.connect(settings.home / "xray.db")) as ledger:
        (place,) = ledger.execute("SELECT place FROM folders WHERE id = ?", (folder_id,)).fetchone()
    own = settings.home / "datasets" / str(folder_id)
    shutil.copytree(settings.home / place, own)
    return own


def test_a_film_that_is_labelled_otherwise_today_keeps_the_label_of_then(known: Known, tmp_path: Path) -> None:
    kept = read_kept(known.settings, known.version, weights=known.weights, keep=None)
    rows = "".join(f"{film.sha256},,exclude\n" for film in kept.films[:5])
    labels = tmp_path / "labels.csv"
    labels.write_text(f"xray_sha256,filename,label\n{rows}")
    imported = xray("labels", "import", str(labels))
    assert imported.returncode == 0, imported.stderr

    sides = gather_sides(known.settings, kept, None, on_progress=lambda _: None)

    assert {split: [(x.sha256, x.label, x.group) for x in side.xrays] for split, side in sides.items()} == {
        split: [(film.sha256, film.label, film.patient) for film in kept.films if film.side is split] for split in Split
    }


def test_the_training_set_numbers_patients_in_the_order_of_their_pseudonyms_and_names_none(known: Known) -> None:
    kept = read_kept(known.settings, known.version, weights=known.weights, keep=None)
    with closing(sqlite3.connect(known.settings.home / "xray.db")) as ledger:
        pseudonyms = dict(ledger.execute("SELECT lower(hex(sha256)), patient FROM xrays").fetchall())
    written = (known.settings.models_dir / known.version / "training_set.csv").read_text()

    by_number = [pseudonyms[film.sha256] for film in sorted(kept.films, key=lambda film: film.patient)]

    assert by_number == sorted(by_number)
    assert len({film.patient for film in kept.films}) == len(set(by_number)) == 120
    assert not any(pseudonym in written for pseudonym in by_number)


@pytest.mark.parametrize(
    ("weights", "words"),
    [(None, "expected the file known.weights.h5"), ("none.h5", "has sha256 no file"), ("other.h5", "has sha256 ")],
)
def test_other_weights_than_those_of_then_are_refused(
    known: Known, tmp_path: Path, weights: str | None, words: str
) -> None:
    (tmp_path / "other.h5").write_bytes(b"other")

    with pytest.raises(RefusedInput, match=words):
        read_kept(known.settings, known.version, weights=tmp_path / weights if weights else None, keep=None)


def test_a_model_from_elsewhere_is_refused_in_a_sentence(rival: Rival, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(rival.settings, monkeypatch)

    done = xray("models", "reproduce", rival.candidate)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"xray: {rival.candidate}: was trained elsewhere and imported; expected one that was trained here, of "
        "`xray models list`\n"
    )


def test_a_model_of_before_is_refused_in_a_sentence(known: Known) -> None:
    version = add_model(known.settings, lung_contrast_network())

    done = xray("models", "reproduce", version)

    assert (done.returncode, done.stdout) == (2, "")
    assert "was trained before a model's folder kept its training set (training_set.csv)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_another_model_is_exit_code_1_with_what_differs_and_whether_that_is_to_be_expected(known: Known) -> None:
    folder = known.settings.models_dir / known.version
    kept = {name: (folder / name).read_bytes() for name in ("recipe.json", "training_set.csv")}
    version = add_model(known.settings, lung_contrast_network(turned=True), kept)

    done = xray("models", "reproduce", version, "--weights", str(known.weights))

    assert done.returncode == 1, done.stderr
    first, expected, *_ = done.stdout.splitlines()
    assert ": different: P(covid) differs by " in first
    assert "to be expected" in expected


def add_model(settings: Settings, network: keras.Model, kept: Mapping[str, bytes] = MappingProxyType({})) -> str:
    """A trained model whose folder keeps this of its training; nothing, as folders did before."""
    preprocessing = Preprocessing(height=SIZE, width=SIZE, channels=3, scaling=Scaling.UNIT)
    version = "0000-other"

    def fill(folder: Path) -> None:
        for name, content in kept.items():
            (folder / name).write_bytes(content)
        network.save(folder / "model.keras")
        export_onnx(KerasClassifier(network, preprocessing, OutputMeaning.SIGMOID_COVID), folder / "model.onnx")

    manifest = write_model_folder(
        settings.models_dir,
        version=version,
        architecture="seed_cnn",
        preprocessing=preprocessing,
        output=OutputMeaning.SIGMOID_COVID,
        operating_point=OperatingPoint(0.3, 0.7, 0.95, 1.0, 1.0, 5, 5, Split.VALIDATION),
        label_set_sha256="a" * 64,
        created_at=datetime.now(UTC),
        code_revision="unknown",
        seed=0,
        training={},
        probe=draw_probe(preprocessing),
        fill=fill,
    )
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        sha256 = hash_manifest(settings.models_dir / version)
        register_unjudged(session, manifest, sha256, actor="operator", now=datetime.now(UTC))
    engine.dispose()
    return version


@pytest.fixture(scope="session")
def taught_once(made_once: MadeOnce) -> Path:
    """A home with a training from a dataset with `--patients`, as a user types it, a retraining, and a frozen base."""

    def make(folder: Path) -> None:
        write_sample_set(folder / "dataset", per_class=40, patients=40, seed=1)
        write_sample_set(folder / "more", per_class=8, patients=8, seed=7)
        with pytest.MonkeyPatch.context() as patch:
            settings = enter(Settings(home=folder / "home", settle_seconds=0), patch)
            (folder / "home").mkdir()
            (folder / "home" / "site.key").write_text("5a" * 32 + "\n")
            first = xray(
                *("train", "dataset", "--patients", "dataset/patients.csv"),
                *("--epochs", "1", "--input-size", f"{SIZE}", "--remedy", "equalize", "--remedy", "erase-border"),
            )
            assert first.returncode == 0, first.stderr
        make_labelled(settings, folder / "more")
        assert train(settings, TrainingOptions(epochs=1, input_size=SIZE, seed=3), trigger="event") is not None
        frozen = TrainingOptions(architecture=Architecture.EFFICIENTNET_LITE0, frozen=True, input_size=64)
        assert train(settings, frozen, trigger="by hand") is not None

    return made_once("taught", make)


@pytest.fixture
def taught(taught_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return enter(copy_home(taught_once / "home", tmp_path), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0001-seed_cnn", "0002-seed_cnn", "0003-efficientnet_lite0"])
def test_what_really_trained_is_reproduced_on_this_processor(taught: Settings, version: str) -> None:
    before = read_everything(taught)

    done = xray("models", "reproduce", version)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "identical: every weight is the one of then" in done.stdout
    assert read_everything(taught) == before


@pytest.mark.slow
def test_another_seed_is_another_model(taught: Settings) -> None:
    kept = read_kept(taught, "0001-seed_cnn", weights=None, keep=None)
    sides = gather_sides(taught, kept, None, on_progress=lambda _: None)

    again = train_again(replace(kept, options=replace(kept.options, seed=5)), sides, keep=None, on_epoch=lambda _: None)

    assert again.likeness.sameness is not Sameness.IDENTICAL


def test_a_card_says_how_to_make_the_model_again_and_what_that_hangs_on(trained: Settings) -> None:
    card = (trained.models_dir / "0001-seed_cnn" / "MODEL_CARD.md").read_text()

    assert "xray models reproduce 0001-seed_cnn" in card
    assert fingerprint(read_site_key(trained)) in card
    assert "only on one processor with one set of versions" in card


@pytest.mark.slow
def test_the_card_of_a_dataset_training_names_both_ways_and_that_of_a_retraining_only_the_one(taught: Settings) -> None:
    first, second = ((taught.models_dir / f"000{n}-seed_cnn" / "MODEL_CARD.md").read_text() for n in (1, 2))

    assert "xray models reproduce 0001-seed_cnn" in first
    assert "xray train DATASET --patients PATIENTS.csv" in first
    assert "--remedy equalize" in first
    assert "xray models reproduce 0002-seed_cnn" in second
    assert "xray train DATASET" not in second
    assert "Its labels are not those of one dataset" in second
    for card in (first, second):
        assert fingerprint(read_site_key(taught)) in card
        assert "only on one processor with one set of versions" in card

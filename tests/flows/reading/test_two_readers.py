"""Two readers read the same films in a real browser; what they settle, and only that, trains and judges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from db.engine import open_engine, snapshot
from db.reading import lists
from db.reading.labelled import read_labelled
from db.reading.opinions import read_opinions
from flows.home.ledger import find_anchor
from flows.review.patient_import import import_patients
from flows.settings import Settings
from flows.training.images import read_training_images
from tests.browser import open_browser
from tests.flows.reading.robot import read_list
from tests.flows.reading.served import Served, serve
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.networks import SIZE
from xray_core.networks.options import TrainingOptions
from xray_core.promotion.policy import LabelRules
from xray_core.reading.settled import count_settlements
from xray_core.records import Held, Label, LabelledXray, Split, Standard
from xray_core.training.images import TrainingImages

pytestmark = pytest.mark.processes

TWO = LabelRules(readers_per_film=2)
KEYS = {Label.COVID: "c", Label.NORMAL: "n", Label.OTHER: "o"}
THIRD = "cleo"


def script(film: int, reader: str) -> Label:
    """What a reader says of a film (by its X-ray's id): every tenth is disputed, every fifth after it is other.

    The third settles every twentieth as Anna said, the others as Ben did.
    """
    if reader == THIRD:
        return script(film, "ben" if film % 20 else "anna")
    if film % 5 == 4:
        return Label.OTHER
    if film % 10 == 0:
        return Label.COVID if reader == "anna" else Label.NORMAL
    return Label.COVID if film % 2 else Label.NORMAL


def read_everything(settings: Settings, profile: Path, *command: str, lists: int) -> None:
    """So many lists of at most fifty, each to its end; the reader is the command's last word."""
    for place in range(lists):
        with serve(settings, *command) as page:
            on_list = find_films(settings, page)
            keys = {position: KEYS[script(film, command[-1])] for position, film in on_list.items()}
            with open_browser(profile / f"{command[-1]}{place}") as browser:
                browser.open(page.invite())
                read_list(browser, keys.__getitem__)
                assert browser.complaints == []


def find_films(settings: Settings, page: Served) -> dict[int, int]:
    """The X-ray at each position of the list that a page shows."""
    text = page.ask("/list.js", Cookie=page.enter()).body.decode()
    number = json.loads(text[text.index("(") + 1 : text.rindex(")")])["list"]
    with snapshot(open_engine(settings.url)) as session:
        return {item.position: item.xray_id for item in lists.items_of(session, number)}


def prepare(settings: Settings, folder: Path, films: int) -> Settings:
    """Scored films, each of a patient of its own, and a policy that asks for two readers."""
    paths = drop_xrays(settings.incoming_dir, films)
    scan(settings)
    whose = folder / "patients.csv"
    whose.write_text("filename,patient_id\n" + "".join(f"{path.name},P{n}\n" for n, path in enumerate(paths)))
    import_patients(settings, whose)
    policy = folder / "policy.toml"
    policy.write_text(settings.retraining_policy.read_text().replace("readers_per_film = 1", "readers_per_film = 2"))
    return settings.but({"retraining_policy": policy})


def read_settled(settings: Settings) -> tuple[dict[str, int], list[LabelledXray]]:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        found = count_settlements(read_opinions(session)), read_labelled(session, TWO)
    engine.dispose()
    return found


def gather(settings: Settings) -> TrainingImages:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    preprocessing = TrainingOptions(input_size=SIZE).preprocessing
    images = read_training_images(settings, engine, preprocessing, lambda _: None)
    engine.dispose()
    return images


@pytest.mark.parametrize("films", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_training_takes_exactly_what_two_readers_agreed_on(settings: Settings, tmp_path: Path, films: int) -> None:
    settings = prepare(settings, tmp_path, films)

    for reader in ("anna", "ben"):
        read_everything(settings, tmp_path, "review", "--reveal", "0", "--reader", reader, lists=-(-films // 50))

    counted, labelled = read_settled(settings)
    disputed = {xray.xray_id for xray in labelled if script(xray.xray_id, "anna") is not script(xray.xray_id, "ben")}
    assert len(disputed) == films // 10
    assert counted == {"agreed": films - films // 10, "single": 0, "disputed": films // 10, "adjudicated": 0}
    assert {xray.xray_id for xray in labelled if xray.held is Held.DISPUTED} == disputed
    agreed = {xray.sha256: script(xray.xray_id, "anna") for xray in labelled if xray.xray_id not in disputed}
    assert {xray.sha256: xray.label for xray in labelled if xray.trains} == agreed
    assert {xray.judges_by.standard for xray in labelled if xray.judges} == {Standard.TWO_BLINDED}
    if films > 10:  # of ten films a side may lack a class
        assert_taken(settings, agreed, disputed=len(disputed))

    read_everything(settings, tmp_path, "labels", "adjudicate", "--reader", THIRD, lists=1)

    counted, labelled = read_settled(settings)
    assert counted == {"agreed": films - films // 10, "single": 0, "disputed": 0, "adjudicated": films // 10}
    settled = {xray.sha256: script(xray.xray_id, THIRD) for xray in labelled}
    assert {xray.sha256: xray.label for xray in labelled if xray.trains} == settled
    standards = {xray.xray_id: xray.judges_by.standard for xray in labelled}
    assert {film for film, standard in standards.items() if standard is Standard.ADJUDICATED} == disputed
    if films > 10:
        assert_taken(settings, settled, disputed=0)


def assert_taken(settings: Settings, expected: dict[str, Label], *, disputed: int) -> None:
    """A training takes just these labels, those aside that show the same picture as one of another side."""
    images = gather(settings)
    taken = [xray for side in (*images.sides.values(), images.others) for xray in side.xrays]
    doubles = sum(item.held is None for item in images.plan.left_out)
    assert {xray.sha256: xray.label for xray in taken}.items() <= expected.items()
    assert len(taken) == len(expected) - doubles
    assert images.plan.count_held(*Split) == ({Held.DISPUTED: disputed} if disputed else {})

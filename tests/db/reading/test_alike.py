"""Of patients who are alike one is read: what is counted of that one, as often, is what is counted of all."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db.engine import snapshot, transaction
from db.reading.alike import AlikeFilms, find_alike
from db.reading.labelled import read_labelled, read_labelled_before
from db.reading.opinions import find_first_unread, read_opinions
from db.reading.said import read_said
from db.scoring import labels, patients, xrays
from tests.db.rows import ANCHOR, NOW, add_champion, claim, label_row, record, scored_file, sha256_of
from xray_core.promotion.due import count_labels
from xray_core.promotion.judged_on import count_judges
from xray_core.promotion.policy import LabelRules
from xray_core.reading.settled import count_settled, count_settlements
from xray_core.records import Label, Split, name_content_group
from xray_core.training.implausible_patients import doubt_patients
from xray_core.training.split import plan_training_set

FILMS = 300
EXTERNAL = {sha256_of(f"film {number}") for number in range(40, FILMS, 60)}


def fill(engine: Engine, chance: random.Random) -> int:
    """Films of patients with one to eight of them and of nobody's, labelled in two rounds; the last label of the first.

    Most patients stand on a side; some films stood on one as nobody's, and some were another patient's before.
    """
    names = [f"f{number:03d}.png" for number in range(FILMS)]
    whose = {number: f"p{number // chance.choice((1, 1, 1, 2, 8))}" for number in range(FILMS)}
    claimed = claim(engine, *names)
    files = [
        scored_file(file.file_id, f"film {number}", patient=None if number % 7 == 0 else whose[number])
        for number, file in enumerate(claimed)
    ]
    record(engine, scored=files, model=add_champion(engine))
    with transaction(engine) as session:
        sides = {patient: chance.choice(list(Split)) for patient in whose.values() if chance.random() < 0.9}
        contents = [name_content_group(sha256_of(f"film {number}")) for number in range(0, FILMS, 3)]
        xrays.freeze_splits(session, sides | {group: chance.choice(list(Split)) for group in contents}, now=NOW)
        corrected = [patients.PatientFact(sha256_of(f"film {n}"), None, f"p{n + 40}") for n in range(5, FILMS, 50)]
        patients.add_facts(session, corrected, source="csv", import_sha256="0" * 64, now=NOW)
    say(engine, chance, range(FILMS - 20))
    with snapshot(engine) as session:
        upto = labels.label_watermark(session)
    say(engine, chance, range(0, FILMS, 9))
    return upto


def say(engine: Engine, chance: random.Random, films: range) -> None:
    with transaction(engine) as session:
        ids = xrays.read_ids(session, [sha256_of(f"film {number}") for number in films])
        for number in films:
            for reader in chance.sample(["ada", "bo", None], chance.choice((1, 2))):
                word = chance.choices(list(Label), (8, 8, 1, 1, 1))[0]
                row = label_row(content=f"film {number}", label=word, reader=reader)
                row = replace(row, score_visible=chance.choice((False, False, False, True, None)))
                source = "dataset" if reader is None else "csv"
                said = [(row, ids[sha256_of(f"film {number}")])]
                labels.add_labels(session, said, source=source, import_sha256="0" * 64, now=NOW)  # type: ignore[arg-type]


def count(session: Session, rules: LabelRules, upto: int, alike: AlikeFilms) -> tuple[object, ...]:
    """Everything that is told of labels."""
    numbers = alike.numbers
    everything = read_labelled(session, rules, among=alike.among)
    before = read_labelled_before(session, rules, everything, upto=upto, among=alike.among)
    ours, _ = doubt_patients([xray for xray in everything if xray.sha256 not in EXTERNAL], numbers=numbers)
    plan = plan_training_set(ours, xrays.read_splits(session), ANCHOR.key, labelled=ours)
    left_out = plan.count_held(Split.TEST, numbers=numbers)
    counts = count_labels(ours, before, plan.sides, left_out, unknown_may_judge=False, numbers=numbers)
    judged_on = count_judges(plan.test, left_out, numbers=numbers)
    return counts, judged_on, plan.count_held(Split.TRAIN, Split.VALIDATION, numbers=numbers), len(everything)


@pytest.mark.parametrize("rules", [LabelRules(), LabelRules(readers_per_film=2, chance_test_side=False)])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_what_is_counted_of_one_for_all_who_are_alike_is_what_is_counted_of_all(
    engine: Engine, rules: LabelRules, seed: int
) -> None:
    upto = fill(engine, random.Random(seed))

    with snapshot(engine) as session:
        said = read_said(session, since=upto)
        unread = (find_first_unread(session), find_first_unread(session, upto=upto)) if rules.chance_test_side else ()
        alike = find_alike(session, said, external=EXTERNAL, unread=unread)
        *of_some, read = count(session, rules, upto, alike)
        *of_all, films = count(session, rules, upto, AlikeFilms())
        assert count_settled(said.count()) == count_settlements(read_opinions(session))

    assert of_some == of_all
    assert read < films
    assert max(alike.numbers.values()) > 1

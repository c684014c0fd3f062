"""Labels that come back: all rows of a file or none, matched by content or by an unmistakable name, kept for ever."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from unicodedata import normalize

import pytest

from db import audit
from db.engine import open_engine, snapshot
from flows.operations.verification import find_breach
from flows.review.label_import import count_left_alone, find_dropped, import_labels_from, take_in
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, read_lines, scan
from xray_core.errors import InvalidLabelsCsv, RefusedInput
from xray_core.records import Label


@pytest.fixture
def scored(settings: Settings) -> Settings:
    """A home with four scored X-rays, xray-0-000.png to xray-0-003.png."""
    drop_xrays(settings.incoming_dir, 4)
    scan(settings)
    return settings


def write_csv(folder: Path, *rows: str, name: str = "labels.csv", header: str = "filename,label") -> Path:
    path = folder / name
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def test_labels_reach_the_xrays_that_they_name(scored: Settings, tmp_path: Path) -> None:
    path = write_csv(tmp_path, "xray-0-000.png,covid", "xray-0-001.png,Normal ", "xray-0-002.png,unsure", "x.png,")

    done = import_labels_from(scored, path, mapping={})

    assert (done.rows, done.new, done.by_label) == (3, 3, {"covid": 1, "normal": 1, "unsure": 1})
    lines = read_lines(scored)
    assert [lines[f"xray-0-00{place}.png"].label for place in range(4)] == [
        Label.COVID,
        Label.NORMAL,
        Label.UNSURE,
        None,
    ]
    assert find_breach(scored)[0] is None


def test_the_same_file_twice_adds_nothing(scored: Settings, tmp_path: Path) -> None:
    path = write_csv(tmp_path, "xray-0-000.png,covid")

    first, second = (import_labels_from(scored, path, mapping={}) for _ in range(2))

    assert (first.new, second.new) == (1, 0)


def test_one_bad_row_keeps_every_row_out(scored: Settings, tmp_path: Path) -> None:
    path = write_csv(tmp_path, "xray-0-000.png,covid", "xray-0-001.png,tuberculosis", "xray-0-002.png,flu")

    with pytest.raises(InvalidLabelsCsv) as refused:
        import_labels_from(scored, path, mapping={})

    assert "line 3" in str(refused.value)
    assert "line 4" in str(refused.value)
    assert all(line.label is None for line in read_lines(scored).values())


def test_a_name_that_nobody_knows_keeps_every_row_out(scored: Settings, tmp_path: Path) -> None:
    path = write_csv(tmp_path, "xray-0-000.png,covid", "stranger.png,normal")

    with pytest.raises(InvalidLabelsCsv, match=r"line 3.*stranger"):
        import_labels_from(scored, path, mapping={})

    assert all(line.label is None for line in read_lines(scored).values())


def test_a_name_that_had_two_contents_is_not_guessed(scored: Settings, tmp_path: Path) -> None:
    (other,) = drop_xrays(tmp_path, 1, seed=7)
    shutil.copyfile(other, scored.incoming_dir / "xray-0-000.png")
    scan(scored)

    with pytest.raises(InvalidLabelsCsv, match="line 2"):
        import_labels_from(scored, write_csv(tmp_path, "xray-0-000.png,covid"), mapping={})

    sha256 = read_lines(scored)["xray-0-000.png"].xray_sha256
    path = write_csv(tmp_path, f"xray-0-000.png,{sha256},covid", header="filename,xray_sha256,label")
    assert import_labels_from(scored, path, mapping={}).new == 1


def test_two_names_of_one_content_cannot_be_labelled_apart(scored: Settings, tmp_path: Path) -> None:
    shutil.copyfile(scored.incoming_dir / "xray-0-000.png", scored.incoming_dir / "copy.png")
    scan(scored)

    with pytest.raises(InvalidLabelsCsv, match="line 3: normal contradicts covid in line 2"):
        import_labels_from(scored, write_csv(tmp_path, "xray-0-000.png,covid", "copy.png,normal"), mapping={})


def test_a_change_of_mind_counts_and_the_old_label_stays_in_the_ledger(scored: Settings, tmp_path: Path) -> None:
    import_labels_from(scored, write_csv(tmp_path, "xray-0-000.png,covid"), mapping={})

    done = import_labels_from(scored, write_csv(tmp_path, "xray-0-000.png,normal", name="later.csv"), mapping={})

    assert done.new == 1
    assert read_lines(scored)["xray-0-000.png"].label is Label.NORMAL
    assert find_breach(scored)[0] is None


def label_all(settings: Settings, folder: Path, *, inverted: bool = False) -> Path:
    """A label for each of ten films; `inverted` says the opposite."""
    rows = [f"xray-9-{place:03d}.png,{'covid' if (place % 2 == 0) != inverted else 'normal'}" for place in range(10)]
    return write_csv(folder, *rows, name="inverted.csv" if inverted else "labels.csv")


def test_a_file_that_says_the_opposite_of_what_is_known_waits_for_a_person(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 10, seed=9)
    scan(settings)
    import_labels_from(settings, label_all(settings, tmp_path), mapping={})
    inverted = label_all(settings, tmp_path, inverted=True)

    with pytest.raises(InvalidLabelsCsv) as refusal:
        import_labels_from(settings, inverted, mapping={})

    assert "the opposite of what is known here for 10 of 10 films (100%)" in str(refusal.value)
    assert "`xray labels import FILE --accept-contradictions`" in str(refusal.value)
    assert read_lines(settings)["xray-9-000.png"].label is Label.COVID
    accepted = import_labels_from(settings, inverted, mapping={}, accept_contradictions=True)
    assert accepted.new == 10
    assert read_lines(settings)["xray-9-000.png"].label is Label.NORMAL


def test_a_dropped_file_that_says_the_opposite_is_refused_with_the_sentence(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 10, seed=9)
    scan(settings)
    import_labels_from(settings, label_all(settings, tmp_path), mapping={})

    dropped = take_in(settings, label_all(settings, settings.labels_dir, inverted=True), 1)

    assert dropped.problems == {"CONTRADICTS_KNOWN": 1}
    (told,) = (settings.labels_dir / "refused").glob("*.problems.txt")
    assert "the opposite of what is known here for 10 of 10 films (100%)" in told.read_text()


def test_a_readers_own_word_can_be_mapped(scored: Settings, tmp_path: Path) -> None:
    path = write_csv(tmp_path, "xray-0-000.png,Pneumonia")

    done = import_labels_from(scored, path, mapping={"pneumonia": "other"})

    assert done.by_label == {"other": 1}


def test_a_sites_words_are_written_once_and_count_by_command_and_dropped_and_stand_in_the_audit_log(
    scored: Settings, tmp_path: Path
) -> None:
    (scored.home / "label-words.toml").write_text('[words]\n"Viral Pneumonia" = "other"\n"clear" = "normal"\n')
    dropped = write_csv(scored.labels_dir, "xray-0-001.png,CLEAR", "xray-0-002.png,covid")

    given = import_labels_from(scored, write_csv(tmp_path, "xray-0-000.png,viral  pneumonia"), mapping={})
    taken = take_in(scored, dropped, 1)

    assert given.by_label == {"other": 1}
    assert taken.imported is not None
    assert taken.imported.by_label == {"normal": 1, "covid": 1}
    with snapshot(open_engine(scored.url)) as session:
        told = [detail.get("words") for *_, detail in audit.iter_details(session, "labels-imported")]
    assert told == [{"viral pneumonia": "other"}, {"clear": "normal"}]


def test_words_that_cannot_be_meant_stop_the_import_with_one_sentence(scored: Settings) -> None:
    (scored.home / "label-words.toml").write_text('[words]\n"clear" = "healthy"\n')
    dropped = write_csv(scored.labels_dir, "xray-0-001.png,clear")

    with pytest.raises(RefusedInput, match=r"^label-words\.toml: .*received 'healthy'; expected one of") as refused:
        take_in(scored, dropped, 1)

    assert refused.value.public_sentence == str(refused.value)
    assert dropped.exists()


def test_one_word_with_two_meanings_in_file_and_settings_is_refused(scored: Settings, tmp_path: Path) -> None:
    settings = scored.but({"class_names": {"TB": Label.NORMAL}})
    (scored.home / "label-words.toml").write_text('[words]\n"tb" = "other"\n')

    with pytest.raises(RefusedInput, match="XRAY_CLASS_NAMES says normal; expected one meaning"):
        import_labels_from(settings, write_csv(tmp_path, "xray-0-000.png,tb"), mapping={})


def test_a_folder_per_class_labels_the_xrays_with_its_contents(scored: Settings, tmp_path: Path) -> None:
    for label, place in (("covid", 0), ("normal", 1)):
        (tmp_path / "sorted" / label).mkdir(parents=True)
        shutil.copyfile(scored.incoming_dir / f"xray-0-00{place}.png", tmp_path / "sorted" / label / "renamed.png")

    done = import_labels_from(scored, tmp_path / "sorted", mapping={})

    assert (done.rows, done.new) == (2, 2)
    lines = read_lines(scored)
    assert (lines["xray-0-000.png"].label, lines["xray-0-001.png"].label) == (Label.COVID, Label.NORMAL)


def test_a_dropped_file_is_put_away_when_it_is_taken_in(scored: Settings) -> None:
    path = write_csv(scored.labels_dir, "xray-0-000.png,covid")

    dropped = take_in(scored, path, 1)

    assert dropped.imported is not None
    assert (dropped.imported.new, dropped.problems) == (1, {})
    assert find_dropped(scored) == []
    assert [one.name.endswith("labels.csv") for one in (scored.labels_dir / "done").iterdir()] == [True]


def test_a_refused_file_lies_beside_the_list_of_its_problems(scored: Settings) -> None:
    path = write_csv(scored.labels_dir, "xray-0-000.png,flu", "stranger.png,covid")

    dropped = take_in(scored, path, 1)

    assert dropped.imported is None
    assert dropped.problems == {"UNKNOWN_LABEL": 1, "UNMATCHED": 1}
    refused = sorted((scored.labels_dir / "refused").iterdir())
    assert [one.name.endswith((".csv", ".problems.txt")) for one in refused] == [True, True]
    assert "line 2" in refused[1].read_text()
    assert "line 3: stranger.png is no file" in refused[1].read_text()


def test_a_refused_file_whose_name_is_no_text_is_put_away_with_its_problems(scored: Settings) -> None:
    longest = b"\xff" * 251 + b".csv"
    for name in (b"ZZ\xfcCANARY.csv", longest):
        Path(os.fsdecode(os.path.join(os.fsencode(scored.labels_dir), name))).write_text("filename,label\na.png,flu\n")

    dropped = [take_in(scored, path, number) for number, path in enumerate(find_dropped(scored))]

    assert [one.problems for one in dropped] == [{"UNKNOWN_LABEL": 1}] * 2
    told = [path.read_text() for path in (scored.labels_dir / "refused").iterdir() if path.name.endswith(".txt")]
    assert len(told) == 2
    assert all("line 2: received label 'flu'" in text for text in told)
    assert find_dropped(scored) == []


def test_a_file_that_cannot_be_read_is_refused_like_one_that_makes_no_sense(
    scored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(scored.labels_dir, "xray-0-000.png,covid")
    read_bytes = Path.read_bytes

    def deny(self: Path) -> bytes:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", deny)

    dropped = take_in(scored, path, 1)

    assert dropped.problems == {"UNREADABLE": 1}


def test_a_name_is_found_in_the_form_that_a_mac_or_a_spreadsheet_gave_it(scored: Settings, tmp_path: Path) -> None:
    (scored.incoming_dir / "xray-0-000.png").rename(scored.incoming_dir / normalize("NFD", "Müller-1.png"))
    (scored.incoming_dir / "xray-0-001.png").rename(scored.incoming_dir / "COVID-7.png")
    scan(scored)
    path = write_csv(tmp_path, f"{normalize('NFC', 'Müller-1.png')},covid", "films/covid-7,normal")

    done = import_labels_from(scored, path, mapping={})

    assert done.new == 2
    lines = read_lines(scored)
    assert lines[normalize("NFD", "Müller-1.png")].label is Label.COVID
    assert lines["COVID-7.png"].label is Label.NORMAL


def test_a_number_that_may_have_lost_its_zeros_is_not_guessed(scored: Settings, tmp_path: Path) -> None:
    (scored.incoming_dir / "xray-0-000.png").rename(scored.incoming_dir / "00012345")
    (scored.incoming_dir / "xray-0-001.png").rename(scored.incoming_dir / "12345")
    scan(scored)

    with pytest.raises(InvalidLabelsCsv, match="line 2: 12345 may once have been 00012345") as refused:
        import_labels_from(scored, write_csv(tmp_path, "12345,covid", "02. Jan,normal"), mapping={})
    assert "line 3: 02. Jan looks like a name that a spreadsheet rewrote" in str(refused.value)

    whole = write_csv(tmp_path, "12345,covid", "00012345,normal", name="whole.csv")
    assert import_labels_from(scored, whole, mapping={}).new == 2


def test_only_settled_regular_files_are_found(scored: Settings, tmp_path: Path) -> None:
    settled = write_csv(scored.labels_dir, "xray-0-000.png,covid")
    write_csv(scored.labels_dir, "xray-0-000.png,covid", name=".hidden.csv")
    write_csv(scored.labels_dir, "xray-0-000.png,covid", name="growing.csv.part")
    (scored.labels_dir / "link.csv").symlink_to(write_csv(tmp_path, "xray-0-000.png,covid"))
    (scored.labels_dir / "folder.csv").mkdir()

    assert find_dropped(scored) == [settled]
    assert find_dropped(scored.but({"settle_seconds": 60.0})) == []


def test_folders_and_links_in_the_label_folder_are_counted_and_its_own_are_not(scored: Settings) -> None:
    take_in(scored, write_csv(scored.labels_dir, "xray-0-000.png,covid"), 1)
    take_in(scored, write_csv(scored.labels_dir, "xray-0-000.png,flu"), 2)
    assert count_left_alone(scored) == 0

    (scored.labels_dir / "covid").mkdir()
    (scored.labels_dir / "link.csv").symlink_to("elsewhere.csv")
    (scored.labels_dir / ".hidden").mkdir()

    assert count_left_alone(scored) == 2


def test_a_csv_that_fits_few_films_says_how_many_and_shows_names_to_its_sender_alone(
    settings: Settings, tmp_path: Path
) -> None:
    films = drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    csv = settings.labels_dir / "reviewed.csv"
    csv.write_text(f"filename,label\n{films[0].stem},covid\n" + "".join(f"IM{n}.png,normal\n" for n in range(7)))

    with pytest.raises(InvalidLabelsCsv) as refusal:
        import_labels_from(settings, csv, mapping={})
    dropped = take_in(settings, csv, 1)

    assert "1 of 8 rows fit an X-ray that is known here (`xray export` lists the names" in str(refusal.value)
    assert "IM3.png" in str(refusal.value)
    assert "1 of 8 rows fit an X-ray" in refusal.value.public_sentence
    assert "IM" not in refusal.value.public_sentence
    assert dropped.problems == {"UNMATCHED": 7}
    assert dropped.fit.startswith("1 of 8 rows fit an X-ray that is known here")
    (listed,) = (settings.labels_dir / "refused").glob("*.problems.txt")
    assert "1 of 8 rows fit" in listed.read_text()

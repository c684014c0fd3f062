from __future__ import annotations

import codecs
import csv
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import NOW, rejected_line, result_line, write_xray
from xray_core.errors import InvalidLabelsCsv, RefusedInput
from xray_core.exchange.labels_csv import read_labels_csv
from xray_core.exchange.labels_folder import read_labels_folder
from xray_core.exchange.records import LabelLine
from xray_core.exchange.results_csv import write_results_csv
from xray_core.records import Label, LabelProblem, escape_name, unescape_name
from xray_core.records import LabelProblemCode as Code


def read(tmp_path: Path, content: str | bytes, **mapping: str) -> list[LabelLine]:
    path = tmp_path / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labels_csv(path, mapping=mapping).accept()


def problems_of(tmp_path: Path, content: str | bytes, **mapping: str) -> list[LabelProblem]:
    with pytest.raises(InvalidLabelsCsv) as refused:
        read(tmp_path, content, **mapping)
    problems = [problem for problem in refused.value.problems if isinstance(problem, LabelProblem)]
    assert len(problems) == len(refused.value.problems)
    return problems


def codes_of(tmp_path: Path, content: str | bytes) -> list[tuple[int | None, Code]]:
    return [(problem.line, problem.code) for problem in problems_of(tmp_path, content)]


def test_a_name_and_a_label_are_enough(tmp_path: Path) -> None:
    rows = read(tmp_path, "filename,label\na.png,covid\nb.png,normal\n")

    assert rows == [
        LabelLine(2, "a.png", None, Label.COVID, None, None),
        LabelLine(3, "b.png", None, Label.NORMAL, None, None),
    ]


def test_reader_and_time_come_along_and_the_order_of_columns_does_not_matter(tmp_path: Path) -> None:
    rows = read(
        tmp_path,
        "Labelled_By, LABEL ,labelled_at,notes,filename\n"
        "r1,covid,2026-05-01T11:30:00+02:00,x,a.png\n"
        "r1,normal,2026-05-01T09:30:00Z,,b.png\n"
        "r1,normal,2026-05-01,,c.png\n",
    )

    assert [row.labelled_by for row in rows] == ["r1"] * 3
    assert [row.labelled_at for row in rows] == [NOW, NOW, datetime(2026, 5, 1, tzinfo=UTC)]


def test_a_results_csv_that_was_filled_in_reads_back(tmp_path: Path) -> None:
    lines = [result_line("a.png", content="a"), result_line("b.png", content="b"), rejected_line()]
    path = write_results_csv(tmp_path / "results.csv", lines, notes={}).path
    fill_in(path, {"b.png": "Covid"})

    rows = read_labels_csv(path, mapping={}).accept()

    assert rows == [LabelLine(3, "b.png", "b" * 64, Label.COVID, "r1", None, score_visible=True)]


def test_an_export_that_has_labels_comes_back_unchanged(tmp_path: Path) -> None:
    at = NOW.replace(microsecond=123456)
    line = result_line(label=Label.UNSURE, labelled_by="=r1", labelled_at=at)

    path = write_results_csv(tmp_path / "results.csv", [line], notes={}).path

    assert read_labels_csv(path, mapping={}).accept() == [
        LabelLine(2, "a.png", "a" * 64, Label.UNSURE, "=r1", at, score_visible=True)
    ]


def test_without_file_names_the_content_is_what_matches(tmp_path: Path) -> None:
    line = result_line("name.png", label=Label.COVID)

    path = write_results_csv(tmp_path / "results.csv", [line], with_file_names=False, notes={}).path

    assert read_labels_csv(path, mapping={}).accept() == [
        LabelLine(2, "a" * 16, "a" * 64, Label.COVID, None, None, score_visible=True)
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbffilename,label\r\na.png,covid\r\n",
        b"filename;label\r\na.png;covid\r\n",
        b"sep=;\r\nfilename;label\r\na.png;covid\r\n",
        b"filename\tlabel\na.png\tcovid\n",
        b"filename,label\ra.png,covid\r",
        b'"filename","label"\n"a.png","covid"\n',
        b"filename,label\na.png,covid\n\n,\n  ,\n\n",
        b"\n\nfilename,label\n\na.png,covid",
        b"filename,label,labelled_by,labelled_at\na.png,covid\n",
        b"filename,label\na.png,covid,,\n",
        b"filename,label\na.png,  CoViD \nb.png,\nc.png,   \n",
        "filename\tlabel\r\na.png\tcovid\r\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + "filename;label\ra.png;covid\r".encode("utf-16-be"),
        "filename,label\na.png,covid\n".encode("utf-16-le"),
        b"sep=;\rfilename;label\ra.png;covid\r",
        b'"sep=|"\nfilename|label\na.png|covid\n',
        b"filename|label\na.png|covid\n",
        b'label;"notes, in words";filename\ncovid;"a,b,c";a.png\n',
    ],
    ids=range(18),
)
def test_the_ways_that_programs_write_csv_all_read_the_same(tmp_path: Path, content: bytes) -> None:
    rows = read(tmp_path, content)

    assert [(row.filename, row.label) for row in rows] == [("a.png", Label.COVID)]


def test_every_bad_row_is_listed_with_its_line_and_nothing_is_taken(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path,
        "filename,label,xray_sha256,labelled_by,labelled_at\n"
        "a.png,covid,,,\n"
        "b.png,pneumonia,,,\n"
        "c.png,covid,abc,,\n"
        ",covid,,,\n"
        "d.png,covid,,,01.05.2026\n"
        'e.png,covid,,"two\nlines",\n'
        "f.png,covid,,,,more\n"
        "g.png,pneumonia,,,\n",
    )

    assert [(problem.line, problem.code) for problem in problems] == [
        (3, Code.UNKNOWN_LABEL),
        (4, Code.BAD_SHA256),
        (5, Code.NO_FILE),
        (6, Code.BAD_TIME),
        (7, Code.BAD_READER),
        (9, Code.TOO_MANY_CELLS),
        (10, Code.UNKNOWN_LABEL),
    ]
    assert str(problems[0]) == (
        "line 3: received label 'pneumonia' for 'b.png'; expected covid, exclude, normal, other, unsure; "
        "or say what it means, here by --map WORD=other or for good in label-words.toml"
    )


def test_problems_are_counted_without_a_file_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidLabelsCsv) as refused:
        read(tmp_path, "filename,label\nZZCANARY.png,flu\nZZCANARY2.png,flu\nc.png,covid\n,covid\n")

    assert refused.value.problem_counts == {"NO_FILE": 1, "UNKNOWN_LABEL": 2}
    assert "labels.csv: refused, nothing was imported; 3 to mend:\nlines 2, 3: " in str(refused.value)
    assert InvalidLabelsCsv("x", ("line 2: a.png is no file here",)).problem_counts == {"UNMATCHED": 1}


def test_every_kind_of_bad_row_is_named_in_one_pass(tmp_path: Path) -> None:
    content = (
        b"filename,label,file\na.png,flu,\nM\xfcller.png,covid,\n"
        b'b.png,"covid\n,covid,\nc.png,covid,d.png\ne.png,covid,e.png\n'
    )

    assert codes_of(tmp_path, content) == [
        (2, Code.UNKNOWN_LABEL),
        (3, Code.NOT_UTF8),
        (4, Code.MALFORMED_CSV),
        (5, Code.NO_FILE),
        (6, Code.COLUMNS_DISAGREE),
    ]


def test_ten_rows_of_one_word_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidLabelsCsv) as refused:
        read(tmp_path, "filename,label\n" + "".join(f"{number}.png,pneumonia\n" for number in range(10)))

    heading, *lines = str(refused.value).splitlines()
    assert heading.endswith("10 to mend:")
    assert len(lines) == 1
    assert lines[0].startswith("lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11: received label 'pneumonia' for '0.png', '1.png'")


@pytest.mark.lengthy
def test_a_report_stays_short_however_many_rows_are_bad(tmp_path: Path) -> None:
    rows = "".join(f"{number}.png,word {number}\n,covid\n" for number in range(20_000))
    with pytest.raises(InvalidLabelsCsv) as refused:
        read(tmp_path, "filename,label\n" + rows)

    lines = str(refused.value).splitlines()
    assert len(lines) <= 52
    assert max(map(len, lines)) < 400
    assert lines[-1] == "and more of these kinds: NO_FILE 20000, UNKNOWN_LABEL 20000 in all"


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("filename,file,label", "a.png,b.png,covid"),
        ("filename,image_path,label", "a.png,/films/b.png,covid"),
        ("filename,label,diagnosis", "a.png,covid,normal"),
        ("filename,label,labelled_by,annotator", "a.png,covid,r1,r2"),
        ("filename,label,labelled_at,annotated_at", "a.png,covid,2026-05-01,2026-05-02"),
        ("filename,covid,normal", "a.png,1,1"),
    ],
)
def test_columns_of_one_meaning_that_disagree_are_refused(tmp_path: Path, header: str, row: str) -> None:
    assert codes_of(tmp_path, f"{header}\n{row}\n") == [(2, Code.COLUMNS_DISAGREE)]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (
            "image,id,choice,annotator,annotation_id,created_at,updated_at,lead_time",
            "a.png,7,covid,r1,12,2026-05-01T09:00:00Z,2026-05-01T09:30:00Z,3.5",
        ),
        ("External ID;Category;Annotated By;updated at", "a.png;Covid;r1;2026-05-01T09:30:00Z"),
        ("Image Name,Diagnosis,Reader,Annotated-At", "a.png,COVID,r1,2026-05-01T09:30:00Z"),
        ("filename;file;label;class;reader;annotator;updated_at", "a.png;;;covid;r1;r1;2026-05-01T09:30:00Z"),
        ("filename;covid;normal;reader;labelled at", "a.png;1,0;0,0;r1;2026-05-01T09:30:00Z"),
    ],
)
def test_exports_of_labelling_tools_are_read_by_the_names_of_their_columns(
    tmp_path: Path, header: str, row: str
) -> None:
    assert read(tmp_path, f"{header}\n{row}\n") == [LabelLine(2, "a.png", None, Label.COVID, "r1", NOW)]


def test_a_row_without_a_one_in_any_class_has_no_label_yet(tmp_path: Path) -> None:
    rows = read(tmp_path, "filename,covid,normal\na.png,0,0\nb.png,0,1\nc.png,,\n")

    assert [(row.filename, row.label) for row in rows] == [("b.png", Label.NORMAL)]


def test_a_cell_that_spans_lines_does_not_move_the_line_numbers(tmp_path: Path) -> None:
    content = 'filename,label,notes\r\na.png,covid,"one\r\ntwo\r\n\r\nthree"\r\n\r\nb.png,flu,\r\n'

    assert codes_of(tmp_path, content) == [(7, Code.UNKNOWN_LABEL)]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", Code.NO_LABELS, "an empty file"),
        (b"\xef\xbb\xbf \r\n", Code.NO_LABELS, "an empty file"),
        (b"filename,label\n", Code.NO_LABELS, "no label in any row"),
        (b"filename,label\na.png,\n", Code.NO_LABELS, "no label in any row"),
        (b"a.png,covid\n", Code.MISSING_COLUMN, "the columns 'a.png', 'covid'"),
        (b"filename,finding\na.png,covid\n", Code.MISSING_COLUMN, "the columns 'filename', 'finding'"),
        (b"patient,label\n1,covid\n", Code.MISSING_COLUMN, "the columns 'patient', 'label'"),
        (b"filename,label,Label\na.png,covid,normal\n", Code.REPEATED_COLUMN, "'label', 'Label'"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Code.NOT_A_CSV, ".xls"),
        (b"%PDF-1.7", Code.NOT_A_CSV, "PDF"),
        (b'filename,label\na.png,"covid\nb.png,covid\n', Code.MALFORMED_CSV, "cannot be read as CSV"),
        (b'filename,label\n"a"b.png,covid\n', Code.MALFORMED_CSV, "cannot be read as CSV"),
    ],
    ids=range(12),
)
def test_a_file_that_is_no_labels_csv_is_refused_in_a_clear_sentence(
    tmp_path: Path, content: bytes, code: Code, words: str
) -> None:
    (problem,) = problems_of(tmp_path, content)

    assert problem.code is code
    assert words in str(problem)


def test_an_open_quote_is_reported_where_it_opens(tmp_path: Path) -> None:
    assert codes_of(tmp_path, 'filename,label\na.png,covid\nb.png,"covid\nc.png,covid\n') == [(3, Code.MALFORMED_CSV)]


def test_an_excel_workbook_is_refused_and_says_how_to_save_it(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    with zipfile.ZipFile(path, "w") as workbook:
        workbook.writestr("[Content_Types].xml", "<Types/>")

    with pytest.raises(InvalidLabelsCsv, match=r"an Excel workbook \(.xlsx\).*save as 'CSV UTF-8"):
        read_labels_csv(path, mapping={}).accept()


def test_latin_1_is_refused_naming_every_such_line(tmp_path: Path) -> None:
    content = "filename,label\na.png,covid\nMüller.png,covid\nb.png,covid\nJosé.png,normal\n".encode("latin-1")

    problems = problems_of(tmp_path, content)

    assert [(problem.line, problem.code) for problem in problems] == [(3, Code.NOT_UTF8), (5, Code.NOT_UTF8)]
    assert "the byte 0xFC in column 2" in str(problems[0])


def test_one_reader_who_contradicts_himself_is_refused_with_both_lines(tmp_path: Path) -> None:
    content = "filename,label,labelled_by\na.png,covid,\nb.png,covid,\na.png,normal,\n"

    (problem,) = problems_of(tmp_path, content)

    assert (problem.line, problem.code) == (4, Code.CONTRADICTION)
    assert "normal for 'a.png', but covid for 'a.png' in line 2" in str(problem)


def test_one_content_under_two_names_cannot_have_two_labels(tmp_path: Path) -> None:
    content = f"filename,label,xray_sha256\na.png,covid,{'A' * 64}\nb.png,normal,{'a' * 64}\n"

    assert codes_of(tmp_path, content) == [(3, Code.CONTRADICTION)]


def test_readers_may_differ_from_each_other(tmp_path: Path) -> None:
    rows = read(tmp_path, "filename,label,labelled_by\na.png,covid,r1\na.png,normal,r2\n")

    assert [(row.label, row.labelled_by) for row in rows] == [(Label.COVID, "r1"), (Label.NORMAL, "r2")]


def test_the_same_row_twice_counts_once(tmp_path: Path) -> None:
    rows = read(tmp_path, "filename,label\na.png,covid\na.png,covid\n")

    assert [row.line for row in rows] == [2]


def test_a_readers_word_is_mapped_whatever_its_case_and_spacing(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("filename,label\na.png,No   Finding\nb.png,PNEUMONIA\n")

    rows = read_labels_csv(path, mapping={"no finding": "normal", "Pneumonia": " Exclude "}).accept()

    assert [row.label for row in rows] == [Label.NORMAL, Label.EXCLUDE]


@pytest.mark.parametrize(
    ("word", "target"), [("pneumonia", "healthy"), ("normal", "covid"), ("", "covid"), ("a", ""), ("b", "a")]
)
def test_a_mapping_that_cannot_be_meant_is_refused(tmp_path: Path, word: str, target: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("filename,label\na.png,covid\n")

    with pytest.raises(RefusedInput, match=f"map {word}={target}: received"):
        read_labels_csv(path, mapping={word: target}).accept()


def test_a_label_column_of_another_name_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("file,Finding,label\na.png,covid,old\n")

    assert read_labels_csv(path, mapping={}, label_column="finding").accept()[0].label is Label.COVID


def test_a_folder_per_class_is_known_by_its_contents(tmp_path: Path) -> None:
    first = write_xray(tmp_path / "COVID" / "a.png", Label.COVID)
    write_xray(tmp_path / "no finding" / "deep" / "b.jpeg", format="jpeg", seed=1)
    (tmp_path / "COVID" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "patients.csv").write_text("filename,patient_id\n")

    rows = read_labels_folder(tmp_path, mapping={"no finding": "normal"}).accept()

    assert [(row.filename, row.label) for row in rows] == [("a.png", Label.COVID), ("b.jpeg", Label.NORMAL)]
    (alone,) = read(tmp_path, f"xray_sha256,label\n{rows[0].xray_sha256},covid\n")
    assert alone.xray_sha256 == rows[0].xray_sha256
    assert first.exists()


def test_a_folder_with_unknown_classes_links_or_contradictions_is_refused_whole(tmp_path: Path) -> None:
    write_xray(tmp_path / "covid" / "a.png")
    write_xray(tmp_path / "normal" / "same.png")
    write_xray(tmp_path / "flu" / "c.png")
    (tmp_path / "covid" / "link.png").symlink_to("/etc/passwd")
    (tmp_path / "unsure").symlink_to(tmp_path / "covid")

    with pytest.raises(InvalidLabelsCsv) as refused:
        read_labels_folder(tmp_path, mapping={}).accept()

    assert refused.value.problem_counts == {"CONTRADICTION": 1, "NOT_REGULAR_FILE": 2, "UNKNOWN_LABEL": 1}
    assert "normal for 'same.png', but covid for 'a.png'" in str(refused.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "covid").mkdir()

    with pytest.raises(InvalidLabelsCsv, match="no X-ray in a folder per class"):
        read_labels_folder(tmp_path, mapping={}).accept()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    names=st.lists(
        st.binary(min_size=1, max_size=40).filter(lambda name: not {0, 47} & set(name))
        | st.text(st.sampled_from("=+-@'\",;\\ \t\r\na\u202e"), min_size=1).map(os.fsencode),
        min_size=1,
        max_size=6,
        unique=True,
    )
)
def test_every_file_name_survives_export_and_import(tmp_path: Path, names: list[bytes]) -> None:
    lines = [result_line(escape_name(name), content=None, label=Label.COVID) for name in names]

    path = write_results_csv(tmp_path / "results.csv", lines, notes={}).path

    assert [unescape_name(row.filename) for row in read_labels_csv(path, mapping={}).accept()] == names


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), reader=st.text(max_size=50))
def test_any_text_survives_export_and_import(tmp_path: Path, name: str, reader: str) -> None:
    reader = "".join(filter(str.isprintable, reader)).strip()
    line = result_line(name, content="c", label=Label.COVID, labelled_by=reader or None)

    path = write_results_csv(tmp_path / "results.csv", [line], notes={}).path

    (row,) = read_labels_csv(path, mapping={}).accept()
    assert (row.filename, row.labelled_by) == (name, reader or None)


def fill_in(path: Path, labels: dict[str, str]) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for row in rows:
            label = labels.get(row["file"], "")
            writer.writerow(row | {"label": label, "labelled_by": "r1" if label else ""})


def test_folders_of_masks_in_a_class_folder_are_refused_with_the_way_out(tmp_path: Path) -> None:
    write_xray(tmp_path / "covid" / "images" / "a.png")
    write_xray(tmp_path / "covid" / "masks" / "a.png")
    (tmp_path / "covid" / "more").symlink_to(tmp_path / "covid" / "images")

    with pytest.raises(InvalidLabelsCsv) as refusal:
        read_labels_folder(tmp_path, mapping={}).accept()

    assert refusal.value.problem_counts == {"NOT_REGULAR_FILE": 2}
    assert "folder 'masks' in 'covid', which holds no X-rays by its name; expected X-rays alone" in str(refusal.value)

"""The X-rays to measure on: the real ones where they are present, else synthetic ones of the same sizes and formats."""

from __future__ import annotations

import csv
import random
import struct
import zlib
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold

from tests.films import FILMS
from xray_core.records import Label
from xray_core.synthetic.xrays import draw_xray

# (mode, width, height, format) of the real ones, roughly: 1024 squared grey PNGs, and JPEGs of journals.
_SHAPES = (
    *(("L", 1024, 1024, "png"),) * 6,
    ("RGB", 1200, 1000, "jpg"),
    ("RGB", 2048, 2000, "jpg"),
    ("RGB", 700, 600, "jpg"),
    ("L", 900, 880, "jpg"),
)
_SMALL_SHAPES = (("L", 256, 256, "png"), ("RGB", 240, 200, "jpg"))


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """An X-ray file, its class and whose it is."""

    path: Path
    label: Label
    patient: str


def write_incoming(folder: Path, count: int, *, tiny: bool) -> list[Path]:
    """Fill a new folder with `count` X-rays, mixed PNG and JPEG, no two with the same bytes."""
    folder.mkdir()
    sources = [] if tiny else sorted(file.path for file in find_real("dataset") + find_real("incoming"))
    if not sources:
        sources = _draw(folder.with_name(f"{folder.name}-drawn"), min(count, 60), _SMALL_SHAPES if tiny else _SHAPES)
    random.Random(0).shuffle(sources)
    written = []
    for number, source in enumerate(islice(cycle(sources), count)):
        path = folder / f"xray-{number:05d}{source.suffix}"
        path.write_bytes(_add_comment(source.read_bytes(), f"copy {number}"))
        written.append(path)
    return written


def write_dataset(folder: Path, *, tiny: bool) -> tuple[list[LabelledFile], list[LabelledFile]]:
    """X-rays to train on and held-out ones of other people; also laid out as `lay_out` does it."""
    train, held_out = find_real("dataset"), find_real("incoming")
    if tiny or not train:
        shapes = _SMALL_SHAPES if tiny else _SHAPES
        drawn = _draw_labelled(folder / "drawn", 104 if tiny else 260, shapes)
        edge = len(drawn) * 10 // 13
        train, held_out = drawn[:edge], drawn[edge:]
    lay_out(folder, train, held_out)
    return train, held_out


def lay_out(folder: Path, train: list[LabelledFile], held_out: list[LabelledFile]) -> None:
    """Copy the files to `folder`/train|test/covid|normal, and say beside them whose those to train on are."""
    for name, files in (("train", train), ("test", held_out)):
        for file in files:
            target = folder / name / file.label.value / file.path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.path.read_bytes())
    with (folder / "patients.csv").open("w", newline="") as file_of_patients:
        rows = csv.writer(file_of_patients)
        rows.writerow(("filename", "patient_id"))
        rows.writerows((file.path.name, file.patient) for file in train)


def split_by_patient(files: list[LabelledFile], folds: int) -> list[tuple[list[LabelledFile], list[LabelledFile]]]:
    """Each time another part of the people held out: (to train on, held out) for every fold."""
    labels, patients = [file.label for file in files], [file.patient for file in files]
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(labels, labels, patients)
    return [([files[place] for place in train], [files[place] for place in held_out]) for train, held_out in parts]


def find_real(part: str) -> list[LabelledFile]:
    """The real covid and normal X-rays of a part; of `incoming` only those whose patient is not in `dataset`."""
    if not FILMS.is_dir():
        return []
    with (FILMS / "patients.csv").open(newline="") as file:
        patients = {(row["folder"], row["filename"]): row["patient_id"] for row in csv.DictReader(file)}
    if part == "dataset":
        return [
            LabelledFile(path, label, patients[f"dataset/{label.value}", path.name])
            for label in (Label.COVID, Label.NORMAL)
            for path in sorted((FILMS / "dataset" / label.value).iterdir())
        ]
    trained_on = {patient for (folder, _), patient in patients.items() if folder != "incoming"}
    with (FILMS / "incoming-labels.csv").open(newline="") as file:
        return [
            LabelledFile(FILMS / "incoming" / row["filename"], Label(row["label"]), patient)
            for row in csv.DictReader(file)
            if row["label"] in ("covid", "normal")
            and (patient := patients.get(("incoming", row["filename"]), "")) not in trained_on | {""}
        ]


def _draw(folder: Path, count: int, shapes: tuple[tuple[str, int, int, str], ...]) -> list[Path]:
    return [file.path for file in _draw_labelled(folder, count, shapes)]


def _draw_labelled(folder: Path, count: int, shapes: tuple[tuple[str, int, int, str], ...]) -> list[LabelledFile]:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    files = []
    for number in range(count):
        mode, width, height, ending = shapes[(number // 2) % len(shapes)]
        label = Label.COVID if number % 2 else Label.NORMAL
        path = folder / f"drawn-{number:03d}.{ending}"
        picture = Image.fromarray(draw_xray(rng, label, max(width, height))).crop((0, 0, width, height))
        picture.convert(mode).save(path, **({"quality": 90} if ending == "jpg" else {}))
        files.append(LabelledFile(path, label, f"drawn-{number}"))
    return files


def _add_comment(content: bytes, words: str) -> bytes:
    """The same picture with a comment of the format's own kind: other bytes, another X-ray, the same work."""
    if content.startswith(b"\x89PNG"):
        body = b"tEXt" + b"Comment\0" + words.encode()
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        return content[:33] + chunk + content[33:]
    comment = words.encode()
    return content[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + content[2:]

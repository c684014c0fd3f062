"""Everything that the tour needs: a dataset with its patients, films that arrive, and labels that come back."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from xray_core.records import Label
from xray_core.synthetic.xrays import draw_xray, write_sample_set

_DATASET_PER_CLASS = 140
_FILMS_PER_CLASS = 20
_READER = "sample reader"
# A word that is no label here: the tour shows how an import asks what it means.
_FOREIGN_WORD = "pneumonia"
_FOREIGN = 10


@dataclass(frozen=True, slots=True)
class TourSet:
    """What was written: films to train on and films to score, one of those to be refused."""

    dataset: int
    films: int


def write_tour_set(folder: Path) -> TourSet:
    """Write `dataset/`, `patients.csv`, `films/` and `labels.csv` into a folder, which is made; all of it is drawn.

    `films/` has one DICOM file of a foot among its chests, which no scan scores. In `labels.csv` some of the films
    that are not covid are called by a word that is no label. The same bytes every time, but for the DICOM's UIDs.
    """
    dataset, films = folder / "dataset", folder / "films"
    drawn = write_sample_set(dataset, per_class=_DATASET_PER_CLASS, patients=_DATASET_PER_CLASS, seed=1)
    (dataset / "patients.csv").rename(folder / "patients.csv")
    truth = write_sample_set(
        films, per_class=_FILMS_PER_CLASS, patients=_FILMS_PER_CLASS, seed=2, layout="flat", prefix="film"
    )
    _write_foot(films / "foot.dcm")
    _write_labels(folder / "labels.csv", truth)
    return TourSet(len(drawn), len(truth) + 1)


def _write_labels(path: Path, truth: dict[str, Label]) -> None:
    """`filename,label,labelled_by`, in the order of names."""
    foreign = [name for name, label in sorted(truth.items()) if label is not Label.COVID][:_FOREIGN]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("filename", "label", "labelled_by"))
        for name, label in sorted(truth.items()):
            writer.writerow((name, _FOREIGN_WORD if name in foreign else label.value, _READER))


def _write_foot(path: Path) -> None:
    """A DICOM file, 8 bits, whose tags say that it shows no chest."""
    pixels = draw_xray(np.random.default_rng([2, 2]), Label.NORMAL)
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID = DigitalXRayImageStorageForPresentation
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID = generate_uid()
    film.PatientID, film.PatientName = "sample-foot", "Sample^Foot"
    film.Modality, film.BodyPartExamined = "DX", "FOOT"
    film.SamplesPerPixel, film.PhotometricInterpretation, film.PixelRepresentation = 1, "MONOCHROME2", 0
    film.Rows, film.Columns = pixels.shape
    film.BitsAllocated, film.BitsStored, film.HighBit = 8, 8, 7
    film.PixelData = pixels.tobytes()
    film["PixelData"].VR = "OB"
    film.save_as(path, enforce_file_format=True)

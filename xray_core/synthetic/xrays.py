"""Synthetic chest X-rays for the demo and the tests, from one generator: the classes differ in lung content alone."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_core.records import FileFormat, Label
from xray_core.synthetic.chest import Anatomy, Chest, Plane, draw_anatomy, draw_chest

_SHARE_OF_JPEG = 0.4
_SIZES = (224, 256, 288)


@dataclass(frozen=True, slots=True)
class _Sample:
    """One X-ray file to be drawn."""

    name: str
    label: Label
    patient: str
    anatomy: Anatomy
    seed: list[int]


def draw_xray(
    rng: np.random.Generator, label: Label, size: int = 256, *, anatomy: Anatomy | None = None
) -> NDArray[np.uint8]:
    """Draw a frontal chest X-ray, (size, size) uint8, white is dense.

    Position, scale, tilt, exposure, contrast and grain vary with `rng`; so does the patient, unless an `anatomy`
    says that this is another exam of the same one. For covid, patches lie in the outer and lower parts of both
    lungs. For every other label the same amount of density is spread evenly over the lungs, so that
    brightness, border and file size say nothing of the class: where in the lungs the density lies is all that does.
    """
    anatomy = anatomy or draw_anatomy(rng)
    x, y = _place_patient(rng, size)
    chest = draw_chest(anatomy, x, y, _draw_clouds(rng, size, cells=5))
    amount = rng.uniform(0.05, 0.11)
    uneven = (0.85 + 0.55 * _draw_clouds(rng, size, cells=14)).clip(0.05, None)
    patches = _draw_patches(rng, chest, x, y, uneven)
    shadow = (patches if label is Label.COVID else chest.lungs * uneven) * _fade_to_border(size)
    density = chest.density + amount * (chest.lungs.sum() / max(float(shadow.sum()), 1.0)) * shadow
    return _expose(rng, density)


def write_sample_set(
    folder: Path,
    *,
    per_class: int,
    patients: int,
    seed: int,
    layout: Literal["classes", "flat"] = "classes",
    prefix: str = "xray",
) -> dict[str, Label]:
    """Draw `per_class` X-rays of each class into a new or existing folder; returns the truth by file name.

    Each class has `patients` patients (at most `per_class`), who are X-rayed in turn: the same anatomy, another
    exposure and position. PNG and JPEG and the sizes are mixed alike in both classes. `classes` makes a folder per
    class and patients.csv (`filename,patient_id`); `flat` makes the files of an incoming folder,
    each appearing under its name whole. Names are `prefix-0001.png` and so on; none says its
    class. The same seed gives the same bytes.
    """
    samples = _plan_samples(per_class, min(patients, per_class), seed, prefix)
    for sample in samples:
        target = folder / sample.label.value if layout == "classes" else folder
        target.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(sample.seed)
        size = int(rng.choice(_SIZES))
        _save(draw_xray(rng, sample.label, size, anatomy=sample.anatomy), target / sample.name)
    if layout == "classes":
        _write_patients(folder / "patients.csv", samples)
    return {sample.name: sample.label for sample in samples}


def save_xray(path: Path, pixels: NDArray[np.uint8], file_format: FileFormat) -> None:
    """Save grey levels (height, width) uint8 as a PNG or JPEG without metadata, under any name. Raises ValueError."""
    match file_format:
        case FileFormat.PNG:
            Image.fromarray(pixels).save(path, format="PNG")
        case FileFormat.JPEG:
            Image.fromarray(pixels).save(path, format="JPEG", quality=92)
        case FileFormat.DICOM:
            raise ValueError("received DICOM; expected PNG or JPEG")


def _plan_samples(per_class: int, patients: int, seed: int, prefix: str) -> list[_Sample]:
    """Classes alternate in an order that chance makes, so that neither name nor time says the class."""
    rng = np.random.default_rng([seed, 0])
    labels = [Label.COVID, Label.NORMAL] * per_class
    anatomies = [draw_anatomy(rng) for _ in range(2 * patients)]
    samples = []
    for place, index in enumerate(rng.permutation(2 * per_class), start=1):
        who = int(index) % (2 * patients)
        ending = "jpeg" if rng.random() < _SHARE_OF_JPEG else "png"
        name = f"{prefix}-{place:04d}.{ending}"
        samples.append(_Sample(name, labels[index], f"sample-{seed}-{who:04d}", anatomies[who], [seed, 1, place]))
    return samples


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    aside = path.with_name(f"{path.name}.part")
    save_xray(aside, pixels, FileFormat.JPEG if path.suffix == ".jpeg" else FileFormat.PNG)
    aside.replace(path)


def _write_patients(path: Path, samples: list[_Sample]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("filename", "patient_id"))
        writer.writerows((sample.name, sample.patient) for sample in samples)


def _place_patient(rng: np.random.Generator, size: int) -> tuple[Plane, Plane]:
    """Where each pixel lies in the patient: shifted, scaled and tilted a little, as people stand."""
    line = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(2 / size) - 1
    across, down = np.meshgrid(line, line)
    tilt, scale = rng.normal(0, 0.025), rng.uniform(0.94, 1.06)
    x = (across * np.cos(tilt) + down * np.sin(tilt)) * scale + rng.normal(0, 0.025)
    y = (down * np.cos(tilt) - across * np.sin(tilt)) * scale + rng.normal(0, 0.03)
    return x.astype(np.float32), y.astype(np.float32)


def _draw_clouds(rng: np.random.Generator, size: int, *, cells: int) -> Plane:
    """Smooth noise (size, size) around 0 with a spread of about 1/2: random values on three grids, blended between.

    Pillow blends: a matrix product would wait for NumPy's threads wherever the machine is busy.
    """
    clouds = np.zeros((size, size), dtype=np.float32)
    for octave in range(3):
        n = cells * 2**octave
        grid = Image.fromarray(rng.standard_normal((n, n), dtype=np.float32) / np.float32(2**octave))
        clouds += np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC))
    return clouds * np.float32(0.6)


def _fade_to_border(size: int) -> Plane:
    """1 in the middle, 0 in the outer 15 % of the picture (size, size): an audit of the border must find nothing."""
    from_middle = np.abs(np.linspace(-1, 1, size, dtype=np.float32))
    inside = ((0.70 - from_middle) / 0.12).clip(0, 1)
    fade: Plane = np.minimum.outer(inside, inside)
    return fade


def _draw_patches(rng: np.random.Generator, chest: Chest, x: Plane, y: Plane, uneven: Plane) -> Plane:
    """Hazy patches 0..1 in both lungs, most of them outward and low, with uneven edges."""
    cover = np.zeros_like(x)
    for side in (-1, 1):
        for _ in range(int(rng.integers(2, 5))):
            across, down = side * rng.uniform(0.36, 0.56), rng.uniform(-0.12, 0.42)
            wide, high = rng.uniform(0.09, 0.17), rng.uniform(0.10, 0.19)
            patch = np.exp(-(((x - across) / wide) ** 2) - ((y - down) / high) ** 2)
            cover += np.float32(rng.uniform(0.7, 1.3)) * patch
    where = 0.15 + 0.85 * np.sqrt(chest.outward) * (0.3 + 0.7 * chest.downward)
    patches: Plane = chest.lungs * where * (1 - np.exp(-1.4 * cover * uneven))
    return patches


def _expose(rng: np.random.Generator, density: Plane) -> NDArray[np.uint8]:
    """Film and scanner: blackness, contrast and grain of this exposure; then 8 bits."""
    black, white = rng.uniform(2, 22), rng.uniform(205, 250)
    gamma, dense = rng.uniform(0.85, 1.2), rng.uniform(0.95, 1.1)
    size = density.shape[0]
    grain: Plane = rng.standard_normal((size + 1, size + 1), dtype=np.float32)
    grain = (grain[1:, 1:] + grain[:-1, 1:] + grain[1:, :-1] + grain[:-1, :-1]) / 2
    levels = black + (white - black) * (density / np.float32(dense)).clip(0, 1) ** np.float32(gamma)
    return (levels + rng.uniform(2.0, 4.5) * grain).clip(0, 255).round().astype(np.uint8)

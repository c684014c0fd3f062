"""Simulated cohorts: binormal scores of patients with several X-rays that resemble each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from xray_core.evaluation.bootstrap import Cohort, make_cohort

Floats = NDArray[np.float64]


def simulate_scores(
    rng: np.random.Generator, *, patients: int, aurocs: tuple[float, ...], correlation: float = 0.5, most: int = 3
) -> tuple[list[Floats], NDArray[np.bool_], list[str]]:
    """Scores of one model per AUROC, for `patients` of each class with 1 to `most` X-rays -> scores, truth, patients.

    Half of the variance lies between patients; `correlation` is that of the models' scores within a class.
    """
    count = rng.integers(1, most + 1, 2 * patients)
    patient_of = np.repeat(np.arange(2 * patients), count)
    is_covid = patient_of < patients

    def noise() -> Floats:
        between, within = rng.normal(size=2 * patients)[patient_of], rng.normal(size=len(patient_of))
        return np.sqrt(0.5) * between + np.sqrt(0.5) * within

    common = noise()
    latent = [
        np.sqrt(correlation) * common + np.sqrt(1 - correlation) * noise() + np.sqrt(2) * ndtri(auroc) * is_covid
        for auroc in aurocs
    ]
    return [ndtr(score) for score in latent], is_covid, [str(patient) for patient in patient_of]


def simulate_cohort(rng: np.random.Generator, *, patients: int, auroc: float, most: int = 3) -> Cohort:
    """One model's cohort."""
    (scores,), is_covid, names = simulate_scores(rng, patients=patients, aurocs=(auroc,), most=most)
    return make_cohort(scores, is_covid.tolist(), names)

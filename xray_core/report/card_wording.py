"""The sentences that stand on every model card."""

from __future__ import annotations

from xray_core.records import Split

SIDES = {
    Split.TRAIN: "training: the network learned from these",
    Split.VALIDATION: "validation: recalibration and thresholds were chosen on these",
    Split.TEST: "test: judged on these, once, never learned from",
}

# What each figure means to a reader of scores, in the order of the table.
FIGURES = {
    "auroc": ("AUROC", "chance that a covid X-ray scores higher than a normal one; 0.5 is guessing"),
    "auprc": ("Average precision", "area under precision and recall; depends on the share of covid in this set"),
    "sensitivity": ("Sensitivity", "share of covid X-rays that were not called negative (positive or referred)"),
    "specificity": ("Specificity", "share of normal X-rays that were not called positive (negative or referred)"),
    "refer_share": ("Referred", "share of X-rays that the model left to a reader"),
    "ppv": ("PPV", "chance of covid after an outcome of positive, at the stated prevalence"),
    "npv": ("NPV", "chance of normal after an outcome of negative, at the stated prevalence"),
    "accuracy": ("Accuracy", "share of right outcomes among the X-rays not referred"),
    "precision": ("Precision", "share of covid among those called positive, in this set's mix"),
    "f1": ("F1", "balance of precision and the share of covid called positive, in this set's mix"),
    "net_benefit": (
        "Net benefit",
        "covid found per X-ray, less the false alarms that calling it positive costs, at the stated prevalence; "
        "0 is calling nobody positive",
    ),
    "brier": ("Brier score", "mean squared error of the scores; 0 is perfect, 0.25 is always saying 0.5"),
    "calibration_slope": ("Calibration slope", "1 is right; below 1 the scores are too extreme"),
    "calibration_intercept": ("Calibration intercept", "0 is right; above 0 the scores are too low"),
    "calibration_error": ("Expected calibration error", "mean distance between score and share of covid"),
}

# What an option means that nobody has set.
DEFAULTS = {"weights": "none: random at the start", "input_size": "the network's own"}

UNTOLD = "Cannot be told: the X-rays are too few, or the scores separate the classes so well that no slope exists."
CONFOUNDED = (
    "This model may have learned where films come from, and not disease. The figures below may look good for that "
    "reason alone, and say nothing of another hospital."
)

INTENDED = (
    "Research on how well such networks work, where they fail, and how a retraining loop can be run safely.",
    "Adults' frontal chest X-rays, as PNG, JPEG or DICOM, like those that it was trained on.",
    "To order X-rays for reading by people in a study, where every X-ray is read whatever the score.",
)
NOT_INTENDED = (
    "Diagnosis, triage, or any decision about a patient. It is no medical device and nobody has cleared it as one.",
    "Ruling covid out: a negative outcome is no evidence of health, and a normal X-ray does not exclude covid.",
    "Children, lateral views, portable films of another kind than it has seen, CT, or photographs of films.",
    "Telling covid from other pneumonia, unless such X-rays are among the ones it was judged on.",
)
LIMITS = (
    "Figures hold for X-rays like the test X-rays. Other hospitals, machines and years can be very different.",
    "Labels are what readers or reports said; errors in them are learned and judged by alike.",
    "PPV and NPV change with prevalence: recompute them for where it would be used.",
    "A heat map shows roughly where the network looked. It does not show why, and it does not show lesions.",
)

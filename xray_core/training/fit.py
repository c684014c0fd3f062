"""The fit of a training: a network on the training side, recalibrated on the validation side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from xray_core.imaging.records import Preprocessing
from xray_core.models.recalibration import choose_recalibration
from xray_core.networks.fitting import Trained, train_network
from xray_core.networks.frozen import train_last_layer
from xray_core.networks.last_layer import fold_recalibration, predict_log_odds
from xray_core.networks.options import TrainingOptions
from xray_core.networks.records import EpochRecord
from xray_core.processes.resources import one_thread
from xray_core.records import Split
from xray_core.training.images import Side, join_sides


def fit(
    sides: Mapping[Split, Side],
    preprocessing: Preprocessing,
    options: TrainingOptions,
    show_epoch: Callable[[EpochRecord], None],
) -> Trained:
    """Train on the training side alone; the history holds the curve of the validation side as well.

    Where the base stays frozen the last layer is fitted at once to both sides, and its recalibration with it.
    """
    train, validation = sides[Split.TRAIN], sides[Split.VALIDATION]
    if options.frozen:
        learning = join_sides((train, validation))
        with one_thread():  # whoever asks: other threads add up to other last digits
            return train_last_layer(
                learning.images[:], learning.is_covid, learning.groups, preprocessing=preprocessing, options=options
            )
    return train_network(
        train.images,
        train.is_covid,
        validation.images[:],
        validation.is_covid,
        preprocessing=preprocessing,
        options=options,
        on_epoch=show_epoch,
    )


def recalibrate(trained: Trained, validation: Side) -> Trained:
    """Fold the line that calibrates the validation side, where it helps, into the last layer, unless that was done."""
    if trained.unseen is not None:
        return trained
    log_odds = predict_log_odds(trained.classifier, validation.images[:])
    recalibration = choose_recalibration(log_odds, validation.is_covid, validation.groups)
    fold_recalibration(trained.classifier, recalibration)
    return replace(trained, recalibration=recalibration, held_out={Split.VALIDATION: recalibration.apply(log_odds)})

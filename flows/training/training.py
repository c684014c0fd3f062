"""One training from its claim to its verdict: the command takes the steps plainly, the flow takes each as a task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.home.code_revision import read_code_revision
from flows.home.initiation import read_study
from flows.home.site_key import fingerprint, read_site_key
from flows.registry.policy import read_policy
from flows.settings import Settings
from flows.training.claim import claim_labels, open_trainer, released_on_failure
from flows.training.steps import (
    WatchEpochs,
    Workbench,
    ask_gate,
    begin_groundwork,
    begin_plots,
    conclude,
    fit_network,
    gather_xrays,
    judge_candidate,
    save_model,
    write_card,
)
from xray_core.networks.options import TrainingOptions
from xray_core.processes.helper_process import open_helper_process
from xray_core.processes.resources import one_thread
from xray_core.training.trial import GivenDataset, Trial

Step = Callable[[Workbench, Trial], Trial]
TakeStep = Callable[[Step, Workbench, Trial], Trial]


def take_plainly(step: Step, bench: Workbench, trial: Trial) -> Trial:
    """Take a step as the function that it is."""
    return step(bench, trial)


def train(
    settings: Settings,
    options: TrainingOptions,
    *,
    trigger: str,
    dataset: GivenDataset | None = None,
    flow_run_id: str | None = None,
    watch_epochs: WatchEpochs = lambda _: lambda _: None,
    take: TakeStep = take_plainly,
) -> Trial | None:
    """Train on the labels as they are now; None where just these labels were trained on before.

    A step that fails gives the labels back.
    """
    study, _ = read_study(settings), read_policy(settings)  # a mistake in them costs no training
    with open_trainer(settings) as trainer:
        claim = claim_labels(trainer, options, trigger=trigger, flow_run_id=flow_run_id)
        if claim is None:
            return None
        with (
            released_on_failure(trainer, claim),
            open_helper_process() as helper,
            one_thread(),
            TemporaryDirectory(prefix="xray-training-") as folder,
        ):
            bench = Workbench(trainer, claim, helper, Path(folder), watch_epochs)
            key = fingerprint(read_site_key(settings))
            trial = Trial(options, claim.label_set_sha256, read_code_revision(), key, dataset, study)
            return take_steps(bench, trial, take)


def take_steps(bench: Workbench, trial: Trial, take: TakeStep) -> Trial:
    """Every step of a training, in order; what is only begun here is done by the helper process meanwhile."""
    trial = take(gather_xrays, bench, trial)
    trial = begin_groundwork(bench, trial)
    trial = take(fit_network, bench, trial)
    trial = take(judge_candidate, bench, trial)
    trial = begin_plots(bench, trial)
    trial = take(save_model, bench, trial)
    trial = take(ask_gate, bench, trial)
    trial = take(write_card, bench, trial)
    return take(conclude, bench, trial)

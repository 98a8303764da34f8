"""What reports say: on which loss a training is judged, which report is the best, when early stopping ends it."""

from __future__ import annotations

from fnnet.core import metrics
from fnnet.core.params import Params
from fnnet.core.state import EpochReport, Examples, Training
from fnnet.core.table import Kernels
from fnnet.training import stopping
from fnnet.training.plan import Plan


def dev_figures(
    params: Params, dev: Examples | None, plan: Plan, kernels: Kernels
) -> tuple[float, float] | tuple[None, None]:
    """Return loss and accuracy on the dev images, None without any."""
    if dev is None:
        return None, None
    found = metrics.evaluate(params, *dev, activation=plan.activation, kernels=kernels)
    return found.loss, found.accuracy


def watched_loss(report: EpochReport) -> float:
    """Return the loss that decides: on dev images, if there are any."""
    return report.train_loss if report.dev_loss is None else report.dev_loss


def ends_with_best(history: tuple[EpochReport, ...]) -> bool:
    """True if the last report is the best."""
    return stopping.best_epoch([watched_loss(each) for each in history]) == len(history) - 1


def is_extra(report: EpochReport, plan: Plan) -> bool:
    """True for the report after the last epoch, if it is not one of those every `report_every` epochs."""
    return report.epoch % plan.report_every != 0


def stops_early(training: Training, plan: Plan) -> bool:
    """True if early stopping ends the training where it is."""
    losses = [watched_loss(report) for report in training.history]
    return plan.early_stopping is not None and stopping.is_over(losses, plan.early_stopping)


def without_extra_report(training: Training, plan: Plan) -> Training:
    """Return a training to go on with beyond its last epoch, as it would be if that had not been the last."""
    history = training.history
    if not (history and is_extra(history[-1], plan)):
        return training
    return training._replace(history=history[:-1], seconds=training.seconds + history[-1].seconds)

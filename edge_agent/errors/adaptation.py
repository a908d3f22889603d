"""Fitting a head on the device."""

from __future__ import annotations

from edge_agent.errors.commands import CommandError


class AdaptationError(CommandError):
    """The fit of a head ended without one. The model in use stays as it is."""

    code = "adaptation_failed"
    remedy = "Read the log around this line; export the collection and run 'trainer adapt' on it at a desk."


class AdaptationOff(AdaptationError):
    """Heads are not fitted on this device."""

    code = "adaptation_off"
    remedy = "Set adaptation.enabled to true, and restart the agent."


class AdaptationMissing(AdaptationError):
    """The program that fits heads is not installed."""

    code = "adaptation_missing"
    remedy = "Install leukoscope[adapt], or export the collection and run 'trainer adapt' on it at a desk."


class AdaptationBusy(AdaptationError):
    """A head is being fitted already. There is only one at a time."""

    code = "adaptation_busy"
    remedy = "Wait until it is finished, or cancel it with 'cancel-adaptation'."


class AdaptationIdle(AdaptationError):
    """There is nothing to cancel."""

    code = "adaptation_idle"
    remedy = "Start a fit with 'adapt' first."


class LabelsTooFew(AdaptationError):
    """Fewer than two classes have enough labelled fields for a fit to mean anything."""

    code = "labels_too_few"
    remedy = "Label more fields of at least two classes."


class AdaptationTimeout(AdaptationError):
    """The fit took longer than it may, and was ended."""

    code = "adaptation_timeout"
    remedy = "Raise adaptation.deadline_minutes, or export the collection and run 'trainer adapt' on it at a desk."


class AdaptationMemory(AdaptationError):
    """The fit needed more memory than it may have, and ended."""

    code = "adaptation_memory"
    remedy = "Raise adaptation.max_memory_mib, or export the collection and run 'trainer adapt' on it at a desk."

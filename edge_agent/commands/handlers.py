"""The handlers of the commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel, JsonValue

from edge_agent.contracts import (
    Adapt,
    Calibrate,
    Calibration,
    Check,
    Command,
    CommandName,
    ModelIdentity,
    Report,
    Result,
    SelectModel,
    SetSpecimen,
    ShadowModel,
    Specimen,
)
from edge_agent.errors import CommandInvalid

Data = dict[str, JsonValue]
Handler = Callable[[Command], Data]


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations on the device that commands use. Each raises ``EdgeAgentError`` if it is impossible now."""

    capture: Callable[[], Result]
    pause: Callable[[], None]
    resume: Callable[[], None]
    set_specimen: Callable[[Specimen, int | None], None]
    """The slide, and the wished number of fields."""
    finish_specimen: Callable[[], Report]
    self_test: Callable[[], tuple[Check, ...]]
    config: Callable[[], BaseModel]
    """The configuration in force. Secrets have a type that does not show them."""
    calibrate: Callable[[Calibrate], Calibration]
    select_model: Callable[[str, str | None], ModelIdentity]
    """The bundle, and the head or None."""
    shadow_model: Callable[[str | None, str | None], ModelIdentity | None]
    """Bundle and head of the candidate, or None to end the comparison; returns the candidate."""
    adapt: Callable[[Adapt], Data]
    cancel_adaptation: Callable[[], None]


def make_handlers(operations: Operations) -> Mapping[CommandName, Handler]:
    """One handler per command. Each raises ``EdgeAgentError`` if the command cannot be carried out."""

    def capture(_command: Command) -> Data:
        result = operations.capture()
        return {
            "result": str(result.id),
            "seq": result.seq,
            "outcome": result.outcome,
            "reason": result.reason,
            "label": result.label,
        }

    def pause(_command: Command) -> Data:
        operations.pause()
        return {}

    def resume(_command: Command) -> Data:
        operations.resume()
        return {}

    def set_specimen(command: Command) -> Data:
        if not isinstance(command, SetSpecimen):
            raise CommandInvalid("There is no specimen in the request.")
        operations.set_specimen(Specimen(id=command.specimen, slide=command.slide), command.fields_count)
        return {"specimen": command.specimen, "slide": command.slide, "fields_count": command.fields_count}

    def finish_specimen(_command: Command) -> Data:
        report = operations.finish_specimen()
        counts: dict[str, JsonValue] = {outcome.value: count for outcome, count in report.outcomes_count.items()}
        return {
            "report": str(report.id),
            "readings_count": report.readings_count,
            "judged_count": report.judged_count,
            "repeated_count": report.repeated_count,
            "outcomes_count": counts,
        }

    def self_test(_command: Command) -> Data:
        checks: list[JsonValue] = [check.model_dump(mode="json") for check in operations.self_test()]
        return {"checks": checks}

    def get_config(_command: Command) -> Data:
        return {"config": operations.config().model_dump(mode="json", exclude={"mqtt": {"username"}})}

    def cancel_adaptation(_command: Command) -> Data:
        operations.cancel_adaptation()
        return {}

    return {
        CommandName.CAPTURE: capture,
        CommandName.PAUSE: pause,
        CommandName.RESUME: resume,
        CommandName.SET_SPECIMEN: set_specimen,
        CommandName.FINISH_SPECIMEN: finish_specimen,
        CommandName.SELF_TEST: self_test,
        CommandName.GET_CONFIG: get_config,
        CommandName.CALIBRATE: partial(_calibrate, operations),
        CommandName.SELECT_MODEL: partial(_select_model, operations),
        CommandName.SHADOW_MODEL: partial(_shadow_model, operations),
        CommandName.ADAPT: partial(_adapt, operations),
        CommandName.CANCEL_ADAPTATION: cancel_adaptation,
    }


def _calibrate(operations: Operations, command: Command) -> Data:
    if not isinstance(command, Calibrate):
        raise CommandInvalid("There is no method in the request.")
    found = operations.calibrate(command)
    return {"calibration": found.model_dump(mode="json"), "setting": found.setting}


def _select_model(operations: Operations, command: Command) -> Data:
    if not isinstance(command, SelectModel):
        raise CommandInvalid("There is no model in the request.")
    model = operations.select_model(command.model, command.head)
    head = None if model.head is None else model.head.model_dump(mode="json")
    return {"model": model.name, "version": model.version, "sha256": model.sha256, "head": head}


def _shadow_model(operations: Operations, command: Command) -> Data:
    if not isinstance(command, ShadowModel):
        raise CommandInvalid("There is no model in the request.")
    model = operations.shadow_model(command.model, command.head)
    return {"shadow": None if model is None else model.model_dump(mode="json")}


def _adapt(operations: Operations, command: Command) -> Data:
    """Answer when the fit has begun. It may take minutes, and an event reports how it ended."""
    if not isinstance(command, Adapt):
        raise CommandInvalid("There is no name in the request.")
    return operations.adapt(command)

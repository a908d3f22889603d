"""What each command does, in terms of what the agent can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import JsonValue

from edge_agent.commands.dispatcher import Action, Data
from edge_agent.contracts import Command, CommandName, SetSpecimen, Specimen
from edge_agent.errors import CommandInvalid, CommandNotYet

if TYPE_CHECKING:
    from edge_agent.agent import Agent


def make_actions(agent: Agent) -> Mapping[CommandName, Action]:
    """One action per command. Each raises ``EdgeAgentError`` where it cannot be done."""

    def capture(_command: Command) -> Data:
        result = agent.capture()
        return {
            "result": str(result.id),
            "seq": result.seq,
            "outcome": result.outcome,
            "reason": result.reason,
            "label": result.label,
        }

    def pause(_command: Command) -> Data:
        agent.pause()
        return {}

    def resume(_command: Command) -> Data:
        agent.resume()
        return {}

    def set_specimen(command: Command) -> Data:
        if not isinstance(command, SetSpecimen):
            raise CommandInvalid("There is no specimen in the request.")
        agent.set_specimen(Specimen(id=command.specimen, slide=command.slide))
        return {"specimen": command.specimen, "slide": command.slide}

    def finish_specimen(_command: Command) -> Data:
        report = agent.finish_specimen()
        counts: dict[str, JsonValue] = {outcome.value: count for outcome, count in report.outcomes_count.items()}
        return {"report": str(report.id), "readings_count": report.readings_count, "outcomes_count": counts}

    def self_test(_command: Command) -> Data:
        checks: list[JsonValue] = [check.model_dump(mode="json") for check in agent.self_test()]
        return {"checks": checks}

    def get_config(_command: Command) -> Data:
        return {"config": agent.config.model_dump(mode="json", exclude={"mqtt": {"username"}})}

    def calibrate(_command: Command) -> Data:
        raise CommandNotYet("Calibration from afar is not there yet.")

    return {
        CommandName.CAPTURE: capture,
        CommandName.PAUSE: pause,
        CommandName.RESUME: resume,
        CommandName.SET_SPECIMEN: set_specimen,
        CommandName.FINISH_SPECIMEN: finish_specimen,
        CommandName.SELF_TEST: self_test,
        CommandName.GET_CONFIG: get_config,
        CommandName.CALIBRATE: calibrate,
    }

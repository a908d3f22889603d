"""Every message by name. The JSON Schemas and the AsyncAPI document are written from this."""

from __future__ import annotations

from edge_agent.contracts.answer import Answer
from edge_agent.contracts.base import Contract
from edge_agent.contracts.command import Adapt, Calibrate, Command, SelectModel, SetSpecimen, ShadowModel
from edge_agent.contracts.event import Event
from edge_agent.contracts.health import Health
from edge_agent.contracts.info import Info
from edge_agent.contracts.metrics import Metrics
from edge_agent.contracts.open_specimen import OpenSpecimen
from edge_agent.contracts.report import Report
from edge_agent.contracts.result import Result
from edge_agent.contracts.rollout import ModelDesired, ModelReported
from edge_agent.contracts.status import Status

MESSAGES: dict[str, type[Contract]] = {
    "answer": Answer,
    "command": Command,
    "command-adapt": Adapt,
    "command-calibrate": Calibrate,
    "command-select-model": SelectModel,
    "command-set-specimen": SetSpecimen,
    "command-shadow-model": ShadowModel,
    "event": Event,
    "health": Health,
    "info": Info,
    "metrics": Metrics,
    "model-desired": ModelDesired,
    "model-reported": ModelReported,
    "report": Report,
    "result": Result,
    "specimen": OpenSpecimen,
    "status": Status,
}


def schema_ids() -> tuple[str, ...]:
    """Ids of all schemas that a device of this version uses."""
    return tuple(sorted({str(model.model_fields["schema_"].default) for model in MESSAGES.values()}))

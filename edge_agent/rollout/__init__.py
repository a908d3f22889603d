"""Installs and activates models on this device, and rolls back to the previous one."""

from edge_agent.contracts import ModelKind
from edge_agent.rollout.activation import Activation, Active, Choice, RollBack, Trial
from edge_agent.rollout.operations import RolloutOperations, ShadowRun, ShadowVerdict
from edge_agent.rollout.rollout import Rollout
from edge_agent.rollout.rollout_settings import RolloutSettings
from edge_agent.rollout.settings import ModelSettings, Origin
from edge_agent.rollout.status import RolloutStatus
from edge_agent.rollout.store import InstalledModel, ModelStore

__all__ = [
    "Activation",
    "Active",
    "Choice",
    "InstalledModel",
    "ModelKind",
    "ModelSettings",
    "ModelStore",
    "Origin",
    "RollBack",
    "Rollout",
    "RolloutOperations",
    "RolloutSettings",
    "RolloutStatus",
    "ShadowRun",
    "ShadowVerdict",
    "Trial",
]

"""Models that are installed and activated on this device, and how it goes back to the one before."""

from edge_agent.rollout.activation import Activation, Active, Choice, RollBack, Trial
from edge_agent.rollout.settings import ModelSettings, Origin
from edge_agent.rollout.store import InstalledModel, ModelKind, ModelStore

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
    "Trial",
]

"""The settings of ``agent.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from edge_agent.acquisition.settings import TriggerSettings
from edge_agent.adaptation.settings import AdaptationSettings
from edge_agent.analysis.settings import AnalysisSettings
from edge_agent.cameras.settings import CameraSettings, CapturePolicy
from edge_agent.collection.settings import CollectionSettings
from edge_agent.contracts.manifest import Slug
from edge_agent.homeassistant.settings import HomeAssistantSettings
from edge_agent.inference.proof import ProofLimits
from edge_agent.monitoring.prometheus.settings import PrometheusSettings
from edge_agent.monitoring.settings import PaceSettings
from edge_agent.mqtt.settings import MqttSettings
from edge_agent.rollout.rollout_settings import RolloutSettings
from edge_agent.rollout.settings import ModelSettings
from edge_agent.settings import Settings
from edge_agent.spool.settings import SpoolSettings, StateSettings
from edge_agent.vision.settings import QualityLimits
from edge_agent.web.settings import WebSettings

SYSTEM_CONFIG = Path("/etc/leukoscope/agent.toml")
"""Path of the installed package's configuration."""


def system_config() -> Path | None:
    """The device's configuration, the default of commands; None if there is none."""
    return SYSTEM_CONFIG if SYSTEM_CONFIG.exists() else None


class DeviceSettings(Settings):
    """Section ``[device]``: the device's identity. Both are part of every topic, so neither may name a patient."""

    site: Slug = Field(description="The clinic or laboratory.")
    id: Slug = Field(description="The device, unique within its site.")


class LogSettings(Settings):
    """Section ``[log]``."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )


class Config(Settings):
    """All sections of ``agent.toml``."""

    device: DeviceSettings
    camera: CameraSettings
    capture: CapturePolicy = CapturePolicy()
    trigger: TriggerSettings = TriggerSettings()
    pace: PaceSettings = PaceSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    quality: QualityLimits = QualityLimits()
    proof: ProofLimits = ProofLimits()
    models: ModelSettings = ModelSettings()
    rollout: RolloutSettings = RolloutSettings()
    mqtt: MqttSettings = MqttSettings()
    spool: SpoolSettings = SpoolSettings()
    state: StateSettings = Field(default_factory=StateSettings)
    collection: CollectionSettings = CollectionSettings()
    adaptation: AdaptationSettings = AdaptationSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()

"""The retained messages ``info`` and ``model/reported``."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from uuid import UUID

import cv2

from edge_agent import __version__
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.config import Config
from edge_agent.contracts import Camera, Info, ModelReported, Software, schema_ids
from edge_agent.rollout import RolloutStatus


def device_info(
    config: Config, analyzer: Analyzer, session: UUID, started_at: datetime, *, accelerator: str | None = None
) -> Info:
    """Machine, software, camera and model."""
    return Info(
        demonstration=analyzer.demonstration,
        provisional=analyzer.provisional,
        site=config.device.site,
        device=config.device.id,
        session=session,
        started_at=started_at,
        machine=platform.machine(),
        software=Software(
            leukoscope=__version__,
            python=platform.python_version(),
            opencv=cv2.__version__,
            runtime=analyzer.model.runtime,
        ),
        cameras=(Camera(id=config.camera.id, kind=config.camera.kind),),
        model=analyzer.model,
        cells_model=None if analyzer.cells_beside is None else analyzer.cells_beside.model,
        accelerator=accelerator,
        schemas=schema_ids(),
    )


def reported_model(config: Config, analyzer: Analyzer, session: UUID, rollout: RolloutStatus) -> ModelReported:
    """The model in use, and how far the device is with the desired one."""
    return ModelReported(
        site=config.device.site,
        device=config.device.id,
        session=session,
        at=datetime.now(UTC),
        model=analyzer.model,
        **rollout.fields(),
    )

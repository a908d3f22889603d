"""The retained messages ``info`` and ``model/reported``."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from uuid import UUID

import cv2

from edge_agent import __version__
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.speed_choice import SpeedChoice, Timing
from edge_agent.config import Config
from edge_agent.contracts import Camera, Info, ModelReported, Software, Speed, SpeedTiming, schema_ids
from edge_agent.rollout import RolloutStatus


def device_info(
    config: Config,
    analyzer: Analyzer,
    session: UUID,
    started_at: datetime,
    *,
    speed: SpeedChoice | None = None,
    accelerator: str | None = None,
) -> Info:
    """Machine, software, camera and model, how it was chosen and what runs it."""
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
        speed=None if speed is None else _speed(speed),
        accelerator=accelerator,
        schemas=schema_ids(),
    )


def _speed(choice: SpeedChoice) -> Speed:
    return Speed(
        target_ms=choice.target_ms,
        holds=choice.holds,
        chosen=_timing(choice.chosen),
        timings=tuple(_timing(each) for each in choice.timings),
    )


def _timing(timing: Timing) -> SpeedTiming:
    return SpeedTiming(
        bundle=timing.candidate.bundle,
        threads_count=timing.candidate.threads_count,
        p50_ms=round(timing.p50_ms, 3),
        p95_ms=round(timing.p95_ms, 3),
        readings_count=timing.readings_count,
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

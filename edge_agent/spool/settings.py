"""Sections ``[spool]`` and ``[state]``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field

from edge_agent.errors import ConfigError
from edge_agent.settings import Settings

STATE_VARIABLE = "STATE_DIRECTORY"
"""The variable that systemd sets for a unit with ``StateDirectory=``."""


def default_state_folder() -> Path:
    """The folder that systemd made for the unit, or the user's. Raises ``ConfigError`` where there is neither."""
    folder = os.environ.get(STATE_VARIABLE, "").partition(":")[0]
    if folder:
        return Path(folder)
    path = platformdirs.user_state_path("leukoscope")
    if not path.is_absolute():
        # An unknown user without HOME: a folder named '~' would be created wherever the agent starts.
        raise ConfigError("This user has no home folder to keep the state in.", remedy="Set state.folder, or HOME.")
    return path


class SpoolSettings(Settings):
    """Where messages wait for the broker."""

    storage: Literal["disk", "memory"] = Field(
        default="disk", description="disk: outlasts kills and power cuts; memory: gone with the process."
    )
    max_mib: float = Field(
        default=256,
        gt=0,
        le=65536,
        description="Size of the messages kept at most; the quarantine may hold a tenth more.",
    )
    max_age_days: float = Field(
        default=90,
        gt=0,
        le=3650,
        description="Older messages are dropped; only time in which the agent ran counts.",
    )
    when_full: Literal["reject_new", "drop_oldest"] = Field(
        default="reject_new",
        description="Whether a full spool refuses new messages or drops the oldest ones. Both are counted.",
    )
    commit_delay_s: float = Field(
        default=0.2, ge=0, le=10, description="For so long results are collected before they are written together."
    )
    replay_rate_hz: float = Field(
        default=20,
        gt=0,
        le=10_000,
        description="Messages of the backlog sent per second, beside the live ones.",
    )


class StateSettings(Settings):
    """Where the agent keeps what must outlast it: the spool, the audit log."""

    folder: Path = Field(
        default_factory=default_state_folder,
        description="For this agent alone. Default: systemd's StateDirectory, else the user's state folder.",
    )

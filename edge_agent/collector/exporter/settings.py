"""Section ``[prometheus]`` of ``collector.toml``."""

from __future__ import annotations

from pydantic import Field

from edge_agent.settings import Settings


class ExporterSettings(Settings):
    """The endpoint has no password. By default it is off, and listens on this machine only."""

    enabled: bool = Field(default=False, description="Whether /metrics is served. --prometheus does so, too.")
    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(default=9465, ge=1, le=65535, description="TCP port to listen on.")

"""Section ``[web]``."""

from __future__ import annotations

from pydantic import Field

from edge_agent.settings import Settings


class WebSettings(Settings):
    """The microscope page. It has no password. By default it listens on this machine only."""

    enabled: bool = Field(default=False, description="Whether the microscope page is served.")
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; with 0.0.0.0 or :: everyone on the network can open the page.",
    )
    port: int = Field(default=8080, ge=1, le=65535, description="TCP port to listen on.")
    allowed_hosts: list[str] = Field(
        default=[],
        description="Other names under which browsers may open the page. Addresses, localhost and the device's own "
        "host name need not be listed.",
    )

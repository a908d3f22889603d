"""What a program may ask of a client, before there is any connection."""

from __future__ import annotations

import asyncio

import pytest

from edge_agent.client import Client
from edge_agent.errors import CommandInvalid, ConfigError

BROKER = "mqtt://127.0.0.1"


@pytest.mark.parametrize("name", ["", "#", "north/clinic", "north+", "North Clinic"])
def test_a_name_that_no_device_can_have_is_refused_and_not_waited_for(name: str) -> None:
    with pytest.raises(ConfigError, match="no such site or device"):
        Client(BROKER, site=name)
    with pytest.raises(ConfigError, match="no such site or device"):
        Client(BROKER, device=name)


def test_a_request_to_a_name_that_no_device_can_have_is_refused() -> None:
    async def ask() -> None:
        await Client(BROKER, commands=True).request("north clinic", "scope-1", "capture")

    with pytest.raises(CommandInvalid, match="no such device"):
        asyncio.run(ask())

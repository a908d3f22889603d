"""The computer that the agent runs on."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class DiskLow(EdgeAgentError):
    """Little room is left on the disk."""

    code = "disk_low"
    remedy = "Delete what is not needed, or use a larger card."


class MachineHot(EdgeAgentError):
    """The processor is so hot that it will be slowed down."""

    code = "machine_hot"
    remedy = "Give the device air or a heat sink; look at the temperature in its metrics."


class MachineThrottled(EdgeAgentError):
    """The Raspberry Pi says that its power supply is too weak or that it has slowed itself down."""

    code = "machine_throttled"
    remedy = "Use the official power supply and a short cable; see that the device is not too warm."


class ClockUnset(EdgeAgentError):
    """The clock cannot be right, so the times of results would be wrong and TLS would fail."""

    code = "clock_unset"
    remedy = "Connect the device to a network with a time server (timedatectl shows the state), or add a clock chip."

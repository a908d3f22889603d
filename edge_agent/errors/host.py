"""The computer that the agent runs on."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class DiskLow(EdgeAgentError):
    """The disk is almost full."""

    code = "disk_low"
    remedy = "Delete files that are not needed, or use a larger card."


class MachineHot(EdgeAgentError):
    """The processor is so hot that it slows down."""

    code = "machine_hot"
    remedy = "Improve the cooling (air flow, heat sink) and watch machine.cpu_temperature_c in the metrics."


class MachineThrottled(EdgeAgentError):
    """The Raspberry Pi reports that its power supply is too weak or that it has slowed itself down."""

    code = "machine_throttled"
    remedy = "Use the official power supply and a short cable, and make sure that the device is not too warm."


class SpeedMissed(EdgeAgentError):
    """Readings take longer than ``analysis.target_ms``, for which bundle and threads were chosen."""

    code = "speed_missed"
    remedy = (
        "Stop other programs, improve the cooling, and restart the agent, which tests the speed again; or raise "
        "analysis.target_ms to what the device can do."
    )


class ClockUnset(EdgeAgentError):
    """The clock is not set, so the times in results are wrong and TLS may fail."""

    code = "clock_unset"
    remedy = (
        "Connect the device to a network with a time server ('timedatectl' shows the state), or fit a clock module."
    )

"""Commands."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class CommandError(EdgeAgentError):
    """A command could not be carried out. The answer says why; the agent keeps running."""

    code = "command_failed"
    remedy = "Check the device's health, then send the command again with a new id."


class CommandInvalid(CommandError):
    """The request does not match the published schema, or its response topic is not one that this device may use."""

    code = "command_invalid"
    remedy = (
        "Send a request that matches deploy/contract/command.schema.json; 'set-specimen', 'calibrate', 'adapt', "
        "'select-model' and 'shadow-model' have a schema of their own, such as command-calibrate.schema.json."
    )


class CommandUnknown(CommandError):
    """There is no command of that name."""

    code = "command_unknown"
    remedy = "Use one of the commands listed in deploy/contract/asyncapi.json."


class ModelUnknown(CommandError):
    """A command names a bundle or head that is not installed."""

    code = "model_unknown"
    remedy = "Choose one that 'edge-agent bundle list' shows, or install it first."


class CommandRetained(CommandError):
    """A command was published with the retain flag, so it would be carried out after every connect. It is ignored."""

    code = "command_retained"
    remedy = "Publish commands without the retain flag; clear this one with an empty retained message on its topic."


class CommandExpired(CommandError):
    """The command arrived after its message expiry interval had passed. It is not carried out."""

    code = "command_expired"
    remedy = "Send it again with a new id, and with a longer message expiry if the network is slow."


class CommandBusy(CommandError):
    """Another command is being carried out."""

    code = "command_busy"
    remedy = "Wait for the answer to that command, then send this one again with a new id."


class CommandInterrupted(CommandError):
    """The agent stopped while it was carrying out the command, which may have taken effect in part or in full."""

    code = "command_interrupted"
    remedy = "Check the device's status and events; send the command again with a new id if it is still needed."


class AgentPaused(CommandError):
    """The agent is paused and reads nothing."""

    code = "agent_paused"
    remedy = "Send 'resume' first."


class AgentSafeMode(CommandError):
    """The agent cannot run with its configuration, and only reports why. ``health`` has the reason."""

    code = "agent_safe_mode"
    remedy = "Correct what the check 'configuration' in health reports, then run: systemctl reload leukoscope"


class SpecimenOpen(CommandError):
    """Another slide has not been finished yet."""

    code = "specimen_open"
    remedy = "Send 'finish-specimen' first."


class SpecimenMissing(CommandError):
    """No slide has been set."""

    code = "specimen_missing"
    remedy = "Send 'set-specimen' first."

"""Commands."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class CommandError(EdgeAgentError):
    """A command was understood and could not be carried out. The answer says why; the agent goes on."""

    code = "command_failed"
    remedy = "Look at the device's health; send the command again with a new id."


class CommandInvalid(CommandError):
    """The request is not what the contract says, or came without a place to answer to that may be used."""

    code = "command_invalid"
    remedy = "Send what deploy/contract/command.schema.json says."


class CommandUnknown(CommandError):
    """There is no command of that name."""

    code = "command_unknown"
    remedy = "Use a name of deploy/contract/asyncapi.json."


class CommandRetained(CommandError):
    """A command was retained at the broker, where it would act again after each connect. It is ignored."""

    code = "command_retained"
    remedy = "Publish commands without 'retain'; clear this one with an empty retained message on its topic."


class CommandExpired(CommandError):
    """The command's time had run out before its turn came."""

    code = "command_expired"
    remedy = "Send it again with a new id, and a longer message expiry if the network is slow."


class CommandBusy(CommandError):
    """Another command is being carried out."""

    code = "command_busy"
    remedy = "Wait for its answer, then send this one again with a new id."


class CommandInterrupted(CommandError):
    """The agent ended while it carried the command out, so that nobody knows how far it came."""

    code = "command_interrupted"
    remedy = "Look at the device's status and events; send it again with a new id if it is still wanted."


class CommandNotYet(CommandError):
    """A command that a later version will have."""

    code = "command_not_yet"
    remedy = "Update the agent once the change log names it."


class AgentPaused(CommandError):
    """The agent is paused and reads nothing."""

    code = "agent_paused"
    remedy = "Send 'resume' first."


class AgentSafeMode(CommandError):
    """The configuration does not let the agent run, so it only says so. ``health`` has the reason."""

    code = "agent_safe_mode"
    remedy = "Mend what the check 'configuration' in health names, then reload the agent (systemctl reload leukoscope)."


class SpecimenOpen(CommandError):
    """Another slide is being read."""

    code = "specimen_open"
    remedy = "Send 'finish-specimen' first."


class SpecimenMissing(CommandError):
    """No slide is being read."""

    code = "specimen_missing"
    remedy = "Send 'set-specimen' first."

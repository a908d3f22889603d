"""The configuration."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class ConfigError(EdgeAgentError):
    """The configuration is not what ``agent.toml`` may say. Met at start, on reload, by ``check-config``."""

    code = "config_invalid"
    remedy = "Correct the named lines; 'edge-agent schema' writes the JSON Schema of the file."


class ConfigDoubtful(EdgeAgentError):
    """A setting is allowed and probably not meant. ``check-config`` and ``doctor`` warn of it; the agent runs."""

    code = "config_doubtful"
    remedy = "Change the named line, unless it is what you want."

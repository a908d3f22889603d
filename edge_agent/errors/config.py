"""The configuration."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class ConfigError(EdgeAgentError):
    """The configuration is invalid. Found at start, on reload, and by ``check-config``."""

    code = "config_invalid"
    remedy = "Correct the named lines; 'edge-agent schema' writes the JSON Schema of the file."


class ConfigDoubtful(EdgeAgentError):
    """A setting is valid but probably a mistake. ``check-config`` and ``doctor`` warn about it; the agent runs."""

    code = "config_doubtful"
    remedy = "Change the named line, unless you want it like that."

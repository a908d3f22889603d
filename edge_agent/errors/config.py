"""The configuration."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class ConfigError(EdgeAgentError):
    """The configuration is not what ``agent.toml`` may say. Met at start, on reload, by ``check-config``."""

    code = "config_invalid"
    remedy = "Correct the named lines; 'edge-agent schema' writes the JSON Schema of the file."

"""``agent.toml``: reads it, checks it, explains errors."""

from edge_agent.config.explanation import explain, keys_of
from edge_agent.config.model import SYSTEM_CONFIG, Config, DeviceSettings, LogSettings, system_config
from edge_agent.config.reading import find_errors, load_config
from edge_agent.toml_file.reading import config_error, parse_config, read_config_text

__all__ = [
    "SYSTEM_CONFIG",
    "Config",
    "DeviceSettings",
    "LogSettings",
    "config_error",
    "explain",
    "find_errors",
    "keys_of",
    "load_config",
    "parse_config",
    "read_config_text",
    "system_config",
]

"""The ``agent.toml`` that the package installs on a device."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from edge_agent.cameras.settings import V4L2Settings
from edge_agent.config import Config, load_config

NAMED_BY_US = {("device", "site"), ("device", "id"), ("mqtt", "host"), ("state", "folder")}


@pytest.fixture
def shipped(repository: Path) -> Path:
    return repository / "edge_agent" / "agent.toml"


@pytest.fixture
def uncommented(shipped: Path) -> dict[str, Any]:
    """The file with every setting uncommented."""
    return tomllib.loads(re.sub(r"^#(?=\S)", "", shipped.read_text(), flags=re.MULTILINE))


def model_of(section: str) -> type[BaseModel]:
    model = V4L2Settings if section == "camera" else Config.model_fields[section].annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    return model


def test_it_is_valid_as_it_is_and_publishes_to_this_machine(shipped: Path) -> None:
    config = load_config(shipped)
    assert (config.device.site, config.device.id) == ("clinic", "scope-1")
    assert (config.camera.kind, config.mqtt.host, config.mqtt.tls) == ("v4l2", "localhost", None)
    assert config.state.folder == Path("/var/lib/leukoscope")


def test_it_is_valid_with_everything_uncommented(uncommented: dict[str, Any]) -> None:
    assert Config.model_validate(uncommented).mqtt.tls is not None


@pytest.mark.parametrize("section", list(Config.model_fields))
def test_it_has_every_setting_and_its_default(section: str, uncommented: dict[str, Any]) -> None:
    fields = model_of(section).model_fields
    assert set(uncommented[section]) == set(fields)
    for name, field in fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        if default is not None and not field.is_required() and (section, name) not in NAMED_BY_US:
            assert uncommented[section][name] == default, name

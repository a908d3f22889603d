"""Handlers act only on what they are given."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel, SecretStr
from uuid_utils.compat import uuid7

from edge_agent.commands.handlers import Operations, make_handlers
from edge_agent.config import Config
from edge_agent.contracts import Check, CheckState, Command, CommandName, Report, Result, SetSpecimen, Specimen


class MqttPart(BaseModel):
    username: str = "scope"
    password: SecretStr = SecretStr("open-sesame")
    host: str = "broker"


class ConfigPart(BaseModel):
    mqtt: MqttPart = MqttPart()


def unused() -> Result | Report:
    raise AssertionError


def test_a_handler_needs_no_agent() -> None:
    done: list[object] = []
    handlers = make_handlers(
        Operations(
            capture=unused,  # type: ignore[arg-type]
            pause=lambda: done.append("paused"),
            resume=lambda: done.append("resumed"),
            set_specimen=lambda *slide: done.append(slide),
            finish_specimen=unused,  # type: ignore[arg-type]
            self_test=lambda: (Check(name="model", state=CheckState.OK),),
            config=ConfigPart,
            calibrate=unused,  # type: ignore[arg-type]  # never called, so its answer has no type
            select_model=unused,  # type: ignore[arg-type]  # the same
            shadow_model=unused,  # type: ignore[arg-type]  # the same
            adapt=unused,  # type: ignore[arg-type]  # the same
            cancel_adaptation=unused,  # type: ignore[arg-type]  # the same
        )
    )
    assert set(handlers) == set(CommandName)
    command = Command(id=uuid7())
    assert handlers[CommandName.PAUSE](command) == {}
    assert handlers[CommandName.RESUME](command) == {}
    chosen = SetSpecimen(id=uuid7(), specimen="S-7K3F-92QX", slide=2, fields_count=40)
    assert handlers[CommandName.SET_SPECIMEN](chosen) == {"specimen": "S-7K3F-92QX", "slide": 2, "fields_count": 40}
    assert done == ["paused", "resumed", (Specimen(id="S-7K3F-92QX", slide=2), 40)]
    checks = handlers[CommandName.SELF_TEST](command)["checks"]
    assert isinstance(checks, list)
    assert len(checks) == 1


def test_the_configuration_is_told_without_user_and_password() -> None:
    handlers = make_handlers(
        Operations(
            capture=unused,  # type: ignore[arg-type]
            pause=lambda: None,
            resume=lambda: None,
            set_specimen=lambda _specimen, _fields_count: None,
            finish_specimen=unused,  # type: ignore[arg-type]
            self_test=tuple,
            config=ConfigPart,
            calibrate=unused,  # type: ignore[arg-type]  # never called, so its answer has no type
            select_model=unused,  # type: ignore[arg-type]  # the same
            shadow_model=unused,  # type: ignore[arg-type]  # the same
            adapt=unused,  # type: ignore[arg-type]  # the same
            cancel_adaptation=unused,  # type: ignore[arg-type]  # the same
        )
    )
    data = handlers[CommandName.GET_CONFIG](Command(id=uuid7()))
    assert data == {"config": {"mqtt": {"password": "**********", "host": "broker"}}}


def test_the_password_in_a_streams_address_is_not_told() -> None:
    config = Config.model_validate(
        {
            "device": {"site": "clinic", "id": "scope-1"},
            "camera": {"kind": "stream", "url": "rtsp://viewer:open-sesame@camera.example/live"},
            "mqtt": {"username": "scope-user"},
        }
    )
    handlers = make_handlers(
        Operations(
            capture=unused,  # type: ignore[arg-type]
            pause=lambda: None,
            resume=lambda: None,
            set_specimen=lambda _specimen, _fields_count: None,
            finish_specimen=unused,  # type: ignore[arg-type]
            self_test=tuple,
            config=lambda: config,
            calibrate=unused,  # type: ignore[arg-type]  # never called, so its answer has no type
            select_model=unused,  # type: ignore[arg-type]  # the same
            shadow_model=unused,  # type: ignore[arg-type]  # the same
            adapt=unused,  # type: ignore[arg-type]  # the same
            cancel_adaptation=unused,  # type: ignore[arg-type]  # the same
        )
    )
    told = json.dumps(handlers[CommandName.GET_CONFIG](Command(id=uuid7())))
    assert '"kind": "stream"' in told
    assert not [secret for secret in ("open-sesame", "viewer", "scope-user") if secret in told]


def test_the_commands_know_nothing_of_the_agent(repository: Path) -> None:
    for module in (repository / "edge_agent" / "commands").glob("*.py"):
        assert "edge_agent.agent" not in module.read_text()
    code = (
        "import sys, edge_agent.commands.handlers, edge_agent.commands.dispatcher; "
        "print([name for name in sys.modules if name.startswith('edge_agent.agent')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=repository)
    assert done.stdout.strip() == "[]"

"""The contract as files: JSON Schemas, an AsyncAPI document, and the table of all error codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from edge_agent import contracts, errors
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.terminal import output
from edge_agent.config import Config
from edge_agent.contracts import MESSAGES, Calibration, Command, HeadManifest, Manifest, ModelDesired
from edge_agent.contracts.asyncapi import BrokerDefaults, asyncapi_document
from edge_agent.errors import EdgeAgentError, FileUnusable
from edge_agent.monitoring.monitor import HEALTH_EXPIRY_S, HEALTH_INTERVAL_S, LAST_INTERVAL_S, METRICS_INTERVAL_S
from edge_agent.mqtt.settings import MqttSettings

EXAMPLES = files(contracts) / "examples"
"""Recorded from a device (``python -m tests.contract.record``); requests and files are made up."""

# Messages to the device are described as they may be written, others as the device writes them.
_READ: tuple[type[BaseModel], ...] = (Config, Command, ModelDesired)


def write_contract(folder: Path) -> list[Path]:
    """Write all files into ``folder``, creating it if needed; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in contract_files().items():
        path = folder / name
        path.write_text(content, encoding="utf-8")
        written.append(path)
    return written


def contract_files() -> dict[str, str]:
    """Content by file name."""
    models: dict[str, type[BaseModel]] = {
        "config": Config,
        "bundle-manifest": Manifest,
        "head-manifest": HeadManifest,
        "calibration": Calibration,
        **MESSAGES,
    }
    examples = {name: read_examples(name) for name in models}
    schemas = {
        f"{name}.schema.json": _json({**json_schema(model), "examples": examples[name]})
        for name, model in models.items()
    }
    document = asyncapi_document(_broker_defaults(), examples)
    return {**schemas, "asyncapi.json": _json(document), "errors.md": _error_table()}


def read_examples(name: str) -> list[dict[str, object]]:
    """The examples of a schema. In files, so that a running agent need not hold them."""
    text = EXAMPLES.joinpath(f"{name}.json").read_text(encoding="utf-8")
    found: list[dict[str, object]] = json.loads(text)
    return found


def _broker_defaults() -> BrokerDefaults:
    mqtt = MqttSettings()
    return BrokerDefaults(
        host=mqtt.host,
        port=mqtt.port,
        keepalive_s=mqtt.keepalive_s,
        heartbeat_s=mqtt.heartbeat_s,
        status_expiry_s=mqtt.status_expiry_s,
        will_delay_s=mqtt.will_delay_s,
        health_interval_s=HEALTH_INTERVAL_S,
        health_expiry_s=HEALTH_EXPIRY_S,
        last_interval_s=LAST_INTERVAL_S,
        metrics_interval_s=METRICS_INTERVAL_S,
    )


def json_schema(model: type[BaseModel]) -> dict[str, object]:
    """JSON Schema 2020-12 of a model."""
    schema = model.model_json_schema(mode="validation" if issubclass(model, _READ) else "serialization")
    if model is Config:
        # The default state folder depends on the user.
        schema["$defs"]["StateSettings"]["properties"]["folder"].pop("default", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _error_table() -> str:
    lines = [
        "# Error codes",
        "",
        "Written by `edge-agent schema`. Logs, `doctor`, `health`, results, answers and events use the same codes;",
        "none of them ever changes its meaning.",
        "",
        "| Code | When you meet it | What to do |",
        "| --- | --- | --- |",
    ]
    for kind in _kinds(EdgeAgentError):
        when = " ".join((kind.__doc__ or "").split())
        lines.append(f"| `{kind.code}` | {when} | {kind.remedy} |")
    return "\n".join(lines) + "\n"


def _kinds(base: type[EdgeAgentError]) -> Iterator[type[EdgeAgentError]]:
    for kind in base.__subclasses__():
        if kind.__module__.startswith(f"{errors.__name__}."):
            yield kind
            yield from _kinds(kind)


def schema(
    out: Annotated[
        Path, typer.Option("--out", help="Folder to write into; created if needed.", metavar="DIR", parser=expand_path)
    ],
) -> None:
    """Write the contract: JSON Schemas of all messages and of the configuration, AsyncAPI, error codes."""
    try:
        written = write_contract(out)
    except OSError as error:
        raise FileUnusable.from_os_error(error) from error
    for path in written:
        output.print(str(path), markup=False)

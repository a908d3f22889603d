"""The AsyncAPI 3 document: the topic of each message, its QoS, expiry, will and answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edge_agent import __version__
from edge_agent.contracts import MESSAGES, CommandName, request_message

Json = dict[str, Any]

ENCRYPTED_PORT = 8883
"""Of MQTT over TLS."""

_SCHEMA_FORMAT = "application/schema+json;version=draft-07"
"""AsyncAPI's own format gives some of JSON Schema's words another meaning. The schemas are of draft 2020-12, whose
words that draft 7 lacks they do not use, apart from ``$defs``, to which each reference leads by its path."""

_SECURITY: Json = {
    "password": {
        "type": "userPassword",
        "description": "mqtt.username and mqtt.password_file. With the access list that ships the user is "
        "SITE/DEVICE; a broker on the device itself may need none.",
    },
    "certificate": {
        "type": "X509",
        "description": "mqtt.tls.certificate_file and key_file: a certificate for each device, with its user as the "
        "common name.",
    },
}

_ADDRESS = "leukoscope/v1/{site}/{device}"


@dataclass(frozen=True, slots=True)
class _Topic:
    address: str
    message: str
    qos: Literal[0, 1]
    summary: str
    retain: bool = False
    action: Literal["send", "receive"] = "send"
    expiry_s: int | None = None


@dataclass(frozen=True, slots=True)
class BrokerDefaults:
    """The broker's settings in an unchanged configuration, and how often the device publishes by itself."""

    host: str
    port: int
    keepalive_s: float
    heartbeat_s: float
    status_expiry_s: int
    will_delay_s: int
    health_interval_s: float
    health_expiry_s: int
    last_interval_s: float
    metrics_interval_s: float


def _topics(broker: BrokerDefaults) -> dict[str, _Topic]:
    beat = f"{broker.heartbeat_s:g} s"
    return {
        "status": _Topic(
            "status",
            "status",
            1,
            f"Whether the device is connected; repeated every {beat}. The last will says 'lost': "
            "ignore one of an older session.",
            retain=True,
            expiry_s=broker.status_expiry_s,
        ),
        "info": _Topic(
            "info", "info", 1, "Versions, camera and model of the device; sent after each connect.", retain=True
        ),
        "health": _Topic(
            "health",
            "health",
            1,
            f"State and code of each part; on change and each {broker.health_interval_s:g} s. "
            "It says nothing of a device that is lost or disconnected.",
            retain=True,
            expiry_s=broker.health_expiry_s,
        ),
        "last": _Topic(
            "last",
            "result",
            1,
            f"The newest result, as it was published, at most every {broker.last_interval_s:g} s.",
            retain=True,
        ),
        "specimen": _Topic(
            "specimen",
            "specimen",
            1,
            f"The slide that is being read; on change, at most every {broker.last_interval_s:g} s while it grows.",
            retain=True,
        ),
        "metrics": _Topic("metrics", "metrics", 0, f"Figures of the last {broker.metrics_interval_s:g} s."),
        "result": _Topic(
            "result/{camera}",
            "result",
            1,
            "One message per frame that was analysed, including refusals and failures. Delivered at least once: "
            "recognise repeats by their id.",
        ),
        "report": _Topic("report", "report", 1, "One per finished slide. Delivered at least once."),
        "event": _Topic("event", "event", 1, "What happened to the device. Delivered at least once."),
        "modelReported": _Topic(
            "model/reported",
            "model-reported",
            1,
            "The model in use, and how far the device is with the desired one; on change and after each connect.",
            retain=True,
        ),
        "modelDesired": _Topic(
            "model/desired",
            "model-desired",
            1,
            "The model to be used. An empty message withdraws it.",
            retain=True,
            action="receive",
        ),
    }


def asyncapi_document(broker: BrokerDefaults, examples: Mapping[str, Sequence[Json]]) -> Json:
    """The document, as JSON. Schemas are in files beside it. ``examples``: messages by their name."""
    channels: Json = {}
    operations: Json = {}
    for name, topic in _topics(broker).items():
        channels[name] = _channel(topic.address, {topic.message: topic.message}, topic.summary)
        operations[f"{topic.action}{name[0].upper()}{name[1:]}"] = {
            "action": topic.action,
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": topic.summary,
            "bindings": {"mqtt": _operation_binding(topic)},
        }
    for command in CommandName:
        name = f"command-{command}"
        channels[name] = _channel(
            f"command/{command}", {"request": request_message(command)}, "Never retained; let it expire."
        )
        operations[name] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": f"Ask for '{command}'. A repeated id gets the same answer, and nothing is done twice.",
            "bindings": {"mqtt": {"qos": 1, "retain": False, "bindingVersion": "0.2.0"}},
            "reply": {
                "address": {
                    "description": "The request's response topic, which must lie below this device's 'answer/'; "
                    "without one, 'answer/{command}'.",
                    "location": "$message.header#/responseTopic",
                },
                "channel": {"$ref": "#/channels/answer"},
            },
        }
    # Where an answer goes is only known with the request.
    channels["answer"] = {
        "address": None,
        "messages": {"answer": {"$ref": "#/components/messages/answer"}},
        "description": "Below the device's 'answer/', with the request's correlation data.",
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Leukoscope",
            "version": __version__,
            "description": "What a device publishes and accepts. Research use only: "
            "no result may be used for diagnosis.",
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server(broker, encrypted=False), "encryptedBroker": _server(broker, encrypted=True)},
        "channels": channels,
        "operations": operations,
        "components": {"messages": _messages(examples), "securitySchemes": _SECURITY},
    }


def _server(broker: BrokerDefaults, *, encrypted: bool) -> Json:
    where = "With [mqtt.tls]: for a broker on another machine" if encrypted else "For a broker on the device itself"
    port = ENCRYPTED_PORT if encrypted else broker.port
    schemes = ("password", "certificate") if encrypted else ("password",)
    return {
        "host": "{host}:{port}",
        "protocol": "secure-mqtt" if encrypted else "mqtt",
        "protocolVersion": "5",
        "description": f"{where}. MQTT 3.1.1 with the same bodies where the broker has no 5.",
        "variables": {"host": {"default": broker.host}, "port": {"default": str(port)}},
        "security": [{"$ref": f"#/components/securitySchemes/{scheme}"} for scheme in schemes],
        "bindings": {
            "mqtt": {
                "clientId": "leukoscope-{site}-{device}",
                "cleanSession": False,
                "keepAlive": broker.keepalive_s,
                "sessionExpiryInterval": broker.will_delay_s,
                "lastWill": {
                    "topic": f"{_ADDRESS}/status",
                    "qos": 1,
                    "retain": True,
                    "message": "a status whose state is 'lost' and whose time is that of the connection's begin, "
                    f"{broker.will_delay_s} s after the connection was lost",
                },
                "bindingVersion": "0.2.0",
            }
        },
    }


def _channel(address: str, messages: dict[str, str], description: str) -> Json:
    full = f"{_ADDRESS}/{address}"
    described = {
        "site": "The clinic or laboratory: [a-z0-9-]+.",
        "device": "Unique in its site: [a-z0-9-]+.",
        "camera": "As configured: [a-z0-9-]+.",
    }
    return {
        "address": full,
        "description": description,
        "messages": {key: {"$ref": f"#/components/messages/{message}"} for key, message in messages.items()},
        "parameters": {key: {"description": text} for key, text in described.items() if f"{{{key}}}" in full},
    }


def _operation_binding(topic: _Topic) -> Json:
    binding: Json = {"qos": topic.qos, "retain": topic.retain, "bindingVersion": "0.2.0"}
    if topic.expiry_s is not None:
        binding["messageExpiryInterval"] = topic.expiry_s
    return binding


def _messages(examples: Mapping[str, Sequence[Json]]) -> Json:
    messages: Json = {}
    for name, model in MESSAGES.items():
        messages[name] = {
            "name": str(model.model_fields["schema_"].default),
            "summary": " ".join((model.__doc__ or "").split()),
            "contentType": "application/json",
            "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": f"./{name}.schema.json"}},
            "examples": [{"payload": example} for example in examples.get(name, ())],
        }
    for name in sorted({request_message(command) for command in CommandName}):
        messages[name]["headers"] = {
            "type": "object",
            "properties": {
                "responseTopic": {"type": "string", "description": "MQTT 5's response topic."},
                "correlationData": {
                    "type": "string",
                    "description": "MQTT 5's correlation data; returned with the answer.",
                },
            },
        }
        messages[name]["correlationId"] = {"location": "$message.header#/correlationData"}
    return messages

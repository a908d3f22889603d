"""Runs inside Home Assistant's own Python: lists the terms of its MQTT integration, and checks a message against it.

Without arguments, it prints the options, device classes and units as JSON; with ``check``, it checks the discovery
message on its standard input against the schemas and prints its problems, one line each.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import tempfile
from typing import Any

import voluptuous as vol
from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.components.mqtt import discovery, schemas
from homeassistant.components.mqtt.entity import MQTT_ATTRIBUTES_BLOCKED
from homeassistant.components.sensor.const import (
    DEVICE_CLASS_STATE_CLASSES,
    DEVICE_CLASS_UNITS,
    SensorDeviceClass,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, __version__
from homeassistant.core import HomeAssistant

PLATFORMS = ("binary_sensor", "button", "sensor")


def terms() -> dict[str, Any]:
    """The terms that may appear in a message."""
    return {
        "source": f"homeassistant {__version__}",
        "message": _keys(schemas.DEVICE_DISCOVERY_SCHEMA),
        "device": _keys(schemas.MQTT_ENTITY_DEVICE_INFO_SCHEMA),
        "origin": _keys(schemas.MQTT_ORIGIN_INFO_SCHEMA),
        "platforms": {name: _keys(_platform(name).DISCOVERY_SCHEMA) for name in PLATFORMS},
        "entity_category": sorted(EntityCategory),
        "state_class": sorted(SensorStateClass),
        "binary_sensor_device_class": sorted(BinarySensorDeviceClass),
        "sensor_device_class": {
            each.value: {
                "units": _units(DEVICE_CLASS_UNITS.get(each)),
                "state_classes": sorted(DEVICE_CLASS_STATE_CLASSES.get(each, SensorStateClass)),
            }
            for each in sorted(SensorDeviceClass)
        },
        "attributes_blocked": sorted(MQTT_ATTRIBUTES_BLOCKED),
    }


async def problems(message: dict[str, Any]) -> list[str]:
    """The schemas' objections to the message as a whole and to each entity."""
    # Templates are only parsed if there is an instance, and an instance needs an event loop.
    with tempfile.TemporaryDirectory() as folder:
        instance = HomeAssistant(folder)
        try:
            return _problems(message)
        finally:
            await instance.async_stop(force=True)


def _problems(message: dict[str, Any]) -> list[str]:
    try:
        schemas.DEVICE_DISCOVERY_SCHEMA(message)
    except vol.Invalid as error:
        return [str(error)]
    found = []
    for key, entity in message["components"].items():
        own = discovery.MQTTDiscoveryPayload(entity)
        discovery._merge_common_device_options(own, message)
        platform = own.pop("platform")
        known = {*_keys(_platform(platform).DISCOVERY_SCHEMA)["optional"]}
        known |= {*_keys(_platform(platform).DISCOVERY_SCHEMA)["required"]}
        found += [f"{key}: {option} is ignored" for option in sorted({*own} - known)]
        try:
            _platform(platform).DISCOVERY_SCHEMA({**own, "device": message["device"]})
        except vol.Invalid as error:
            found.append(f"{key}: {error}")
    return found


def _platform(name: str) -> Any:
    return importlib.import_module(f"homeassistant.components.mqtt.{name}")


def _keys(schema: Any) -> dict[str, list[str]]:
    while isinstance(schema, vol.All):
        schema = next(each for each in schema.validators if isinstance(each, vol.Schema | vol.All))
    keys = list(schema.schema)
    required = sorted(str(key) for key in keys if isinstance(key, vol.Required))
    return {"required": required, "optional": sorted({str(key) for key in keys} - {*required})}


def _units(units: Any) -> list[str | None] | None:
    return None if units is None else sorted((None if each is None else str(each) for each in units), key=str)


if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        sys.stdout.write("".join(f"{line}\n" for line in asyncio.run(problems(json.load(sys.stdin)))))
    else:
        json.dump(terms(), sys.stdout, indent=1)
        sys.stdout.write("\n")

"""The entities that Home Assistant makes of a device, by platform and topic.

The templates are Jinja and read the messages of ``edge_agent.contracts``. They leave out anything that does not belong
in the history of a home: identifiers of specimens and slides, file names, probabilities.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from edge_agent.contracts import Command, CommandName, Outcome, StatusState, Topics
from edge_agent.monitoring.monitor import HEALTH_EXPIRY_S, METRICS_INTERVAL_S

Options = dict[str, object]
"""One entity, with the names of Home Assistant's own options."""

METRICS_EXPIRY_S = 3 * round(METRICS_INTERVAL_S)
"""Metrics are not retained: a figure that was not renewed three times counts as unknown."""

ALIVE = tuple(state.value for state in StatusState if state not in {StatusState.DISCONNECTED, StatusState.LOST})

CHECKS = {
    "camera": "Camera",
    "model": "Model drift",
    "spool": "Spool",
    "broker": "Broker",
    "certificates": "Certificates",
    "disk": "Disk",
    "clock": "Clock",
    "audit": "Audit log",
    "temperature": "Temperature",
    "power": "Power supply",
    "memory": "Memory",
    "pace": "Reading rate",
}
"""Names of the health checks, and of the entities that show them."""

BUTTONS = {
    CommandName.CAPTURE: "Read a field now",
    CommandName.PAUSE: "Pause reading",
    CommandName.RESUME: "Resume reading",
    CommandName.SELF_TEST: "Self-test",
}

# Home Assistant has no filter that makes a UUID. This makes one of version 4 from eight random numbers of 16 bits.
_NEW_UUID = "'%04x%04x-%04x-4%03x-a%03x-%04x%04x%04x' | format({})".format(
    ", ".join(f"range({2**bits}) | random" for bits in (16, 16, 16, 12, 12, 16, 16, 16))
)


@dataclass(frozen=True, slots=True)
class _Source:
    """Makes the entities that read one topic."""

    topic: str
    expiry_s: int | None = None
    """Seconds without a message after which the entity is unavailable; None if the last message stays true."""

    def sensor(self, name: str, value: str, **options: object) -> Options:
        """``value`` is a Jinja expression over ``value_json``, as is ``attributes`` among the options."""
        return self._entity("sensor", name, f"{{{{ {value} }}}}", options)

    def binary(self, name: str, condition: str, *, given: str = "", **options: object) -> Options:
        """``condition`` is a Jinja expression that is true, false or, if unknown, none.

        ``given`` is a statement that is placed before the condition and before the attributes.
        """
        value = f"{{% set found = {condition} %}}{{{{ 'None' if found is none else 'ON' if found else 'OFF' }}}}"
        return self._entity("binary_sensor", name, f"{given}{value}", options, given)

    def _entity(self, platform: str, name: str, value_template: str, options: Options, given: str = "") -> Options:
        attributes = options.pop("attributes", None)
        entity: Options = {
            "platform": platform,
            "name": name,
            "state_topic": self.topic,
            "value_template": value_template,
            **options,
        }
        if self.expiry_s is not None:
            entity["expire_after"] = self.expiry_s
        if attributes is not None:
            entity["json_attributes_topic"] = self.topic
            entity["json_attributes_template"] = f"{given}{{{{ {attributes} | tojson }}}}"
        return entity


def make_entities(topics: Topics, *, status_expiry_s: int, buttons: bool) -> dict[str, Options]:
    """All entities by their key, which never changes: Home Assistant knows them by it."""
    entities = {
        **_state(_Source(topics.status, status_expiry_s)),
        **_last(_Source(topics.last)),
    }
    of_a_device_that_is_there = {
        **_health(_Source(topics.health, HEALTH_EXPIRY_S)),
        **_figures(_Source(topics.metrics, METRICS_EXPIRY_S)),
        **_model(_Source(topics.info)),
        **(_buttons(topics) if buttons else {}),
    }
    # Home Assistant keeps an entity that is merely left out. Only its platform, and nothing else, removes it.
    removed: dict[str, Options] = (
        {} if buttons else {_button_key(command): {"platform": "button"} for command in BUTTONS}
    )
    availability = {
        "availability_topic": topics.status,
        "availability_template": f"{{{{ 'online' if value_json.state in {list(ALIVE)} else 'offline' }}}}",
    }
    there = {key: options | availability for key, options in of_a_device_that_is_there.items()}
    return {**entities, **there, **removed}


def is_removed(options: Options) -> bool:
    """Whether these options remove an entity."""
    return {*options} == {"platform"}


def _state(status: _Source) -> dict[str, Options]:
    return {
        "state": status.sensor(
            "State",
            "value_json.state",
            device_class="enum",
            options=[state.value for state in StatusState],
            attributes="{'code': value_json.code}",
        ),
        "connected": status.binary("Connection", f"value_json.state in {list(ALIVE)}", device_class="connectivity"),
    }


def _last(last: _Source) -> dict[str, Options]:
    return {
        "last_result": last.sensor("Last result", "value_json.captured_at", device_class="timestamp"),
        "last_outcome": last.sensor(
            "Last outcome (research use only)",
            "value_json.outcome",
            device_class="enum",
            options=[outcome.value for outcome in Outcome],
            attributes="{'demonstration': value_json.demonstration, 'provisional': value_json.provisional}",
        ),
        "last_reason": last.sensor(
            "Last reason without a label", "value_json.reason or (value_json.error or {}).get('code') or 'None'"
        ),
        "last_label": last.sensor(
            "Last label (research use only)",
            "value_json.label or 'None'",
            attributes="{'demonstration': value_json.demonstration, 'provisional': value_json.provisional}",
        ),
    }


def _health(health: _Source) -> dict[str, Options]:
    degraded = "value_json.checks | selectattr('state', 'eq', 'degraded')"
    # In safe mode there is only one check, that of the configuration.
    unknown = "{'state': 'unknown', 'code': none, 'message': none, 'remedy': none}"
    found = {
        "problem": health.binary(
            "Problem",
            "value_json.state == 'degraded'",
            device_class="problem",
            attributes=f"{{'problems': {degraded} | map(attribute='message') | list, "
            f"'remedies': {degraded} | map(attribute='remedy') | list}}",
        )
    }
    for check, name in CHECKS.items():
        own = f"{{% set own = value_json.checks | selectattr('name', 'eq', '{check}') | list + [{unknown}] %}}"
        found[f"check_{check}"] = health.binary(
            name,
            "{'ok': false, 'degraded': true}.get(own[0].state)",
            device_class="problem",
            entity_category="diagnostic",
            attributes="{'code': own[0].code, 'message': own[0].message, 'remedy': own[0].remedy}",
            given=own,
        )
    return found


def _figures(metrics: _Source) -> dict[str, Options]:
    def counter(name: str, value: str, unit: str, **options: object) -> Options:
        return metrics.sensor(name, value, state_class="total_increasing", unit_of_measurement=unit, **options)

    def gauge(name: str, value: str, unit: str, **options: object) -> Options:
        return metrics.sensor(name, value, state_class="measurement", unit_of_measurement=unit, **options)

    def outcome(which: Outcome) -> str:
        return f"value_json.outcomes_count.get('{which}', 0)"

    def latency(percentile: str) -> str:
        return f"value_json.latency_ms.get('total', {{}}).get('{percentile}_ms', 'None')"

    duration: Options = {"device_class": "duration", "entity_category": "diagnostic"}
    size: Options = {"device_class": "data_size", "entity_category": "diagnostic"}
    return {
        "readings": counter("Readings", "value_json.readings_count", "readings"),
        "classified": counter(
            "Classified readings",
            outcome(Outcome.CLASSIFIED),
            "readings",
            attributes="value_json.labels_count",
        ),
        "refused": counter(
            "Refused readings",
            f"{outcome(Outcome.ABSTAINED)} + {outcome(Outcome.REJECTED)}",
            "readings",
            attributes="value_json.reasons_count",
        ),
        "failed": counter("Failed readings", outcome(Outcome.FAILED), "readings"),
        "latency_p50": gauge("Latency, half of the readings", latency("p50"), "ms", **duration),
        "latency_p95": gauge("Latency, 95 % of the readings", latency("p95"), "ms", **duration),
        "backlog": gauge(
            "Messages waiting", "value_json.spool.waiting_count + value_json.spool.in_flight_count", "messages"
        ),
        "lost": counter("Messages lost", "value_json.spool.refused_count + value_json.spool.dropped_count", "messages"),
        "quarantined": gauge(
            "Messages in quarantine", "value_json.spool.quarantined_count", "messages", entity_category="diagnostic"
        ),
        "temperature": gauge(
            "Processor temperature",
            "value_json.machine.cpu_temperature_c",
            "°C",
            device_class="temperature",
            entity_category="diagnostic",
        ),
        "disk_free": gauge("Free space", "(value_json.machine.disk_free_bytes / 1e9) | round(1)", "GB", **size),
        "memory": gauge("Memory used", "(value_json.machine.resident_bytes / 1e6) | round(1)", "MB", **size),
        "processor": gauge("Processor time", "value_json.machine.cpu_use_pct", "%", entity_category="diagnostic"),
        "throttling": metrics.sensor(
            "Throttling",
            "'None' if value_json.machine.throttling is none else value_json.machine.throttling | join(', ') or 'none'",
            entity_category="diagnostic",
        ),
    }


def _model(info: _Source) -> dict[str, Options]:
    return {
        "model": info.sensor("Model", "value_json.model.name", entity_category="diagnostic"),
        "model_version": info.sensor("Model version", "value_json.model.version", entity_category="diagnostic"),
        "head": info.sensor(
            "Head", "(value_json.model.head or {}).get('name') or 'none'", entity_category="diagnostic"
        ),
        "demonstration": info.binary("Demonstration model", "value_json.demonstration", entity_category="diagnostic"),
        "provisional": info.binary("Unproven model", "value_json.provisional", entity_category="diagnostic"),
    }


def _buttons(topics: Topics) -> dict[str, Options]:
    schema = json.dumps(Command.model_fields["schema_"].default)
    return {
        _button_key(command): {
            "platform": "button",
            "name": name,
            "command_topic": f"{topics.prefix}/command/{command}",
            "command_template": f'{{"schema": {schema}, "id": "{{{{ {_NEW_UUID} }}}}"}}',
            "qos": 1,
        }
        for command, name in BUTTONS.items()
    }


def _button_key(command: CommandName) -> str:
    return f"button_{command.replace('-', '_')}"

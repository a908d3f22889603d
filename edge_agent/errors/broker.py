"""The MQTT broker."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class BrokerError(EdgeAgentError):
    """A problem with the MQTT broker that has no code of its own."""

    code = "broker_failed"
    remedy = "Check [mqtt] in the configuration and the broker's log."


class BrokerUnreachable(BrokerError):
    """The broker's address does not answer. Results wait; the agent keeps trying."""

    code = "broker_unreachable"
    remedy = "Check that the broker is running and that mqtt.host and mqtt.port are right; results wait meanwhile."


class BrokerRefused(BrokerError):
    """The broker refuses the connection. Results wait; the agent keeps trying."""

    code = "broker_refused"
    remedy = "Check user, password and access rights at the broker; results wait meanwhile."


class BrokerSilent(BrokerError):
    """The broker is connected but acknowledges nothing.

    Unacknowledged messages are sent again over a new connection.
    """

    code = "broker_silent"
    remedy = "Look at the broker's log and load; results wait meanwhile."


class BrokerDropped(BrokerError):
    """The broker accepts connections and soon closes them. The agent waits longer before each new attempt."""

    code = "broker_dropped"
    remedy = (
        "Read the broker's log; check this device's access rights, and that no other client has its site and id; "
        "results wait meanwhile."
    )


class BrokerSessionTaken(BrokerError):
    """Another client connected with this device's name, so the broker closed this connection.

    The next pause is long.
    """

    code = "broker_session_taken"
    remedy = "Give each device a site and id of its own, and run one agent per device; results wait meanwhile."


class BrokerLimits(BrokerError):
    """The broker lacks a feature that this device needs, or limits it. What the broker accepts is delivered."""

    code = "broker_limits"
    remedy = "Raise the broker's limits for this device; results wait meanwhile."


class BrokerMoved(BrokerError):
    """The broker refers its clients to another server. The agent only follows its configuration, and keeps trying."""

    code = "broker_moved"
    remedy = "Ask the broker's administrator for its new address and set mqtt.host; results wait meanwhile."


class BrokerForeign(BrokerError):
    """The server at the broker's address does not speak MQTT, or not as configured (with or without TLS)."""

    code = "broker_not_mqtt"
    remedy = "Check mqtt.host and mqtt.port: 1883 is usual without TLS, 8883 with it; results wait meanwhile."


class SecretExposed(BrokerError):
    """Every user of this machine can read a password or key. It is used all the same."""

    code = "secret_exposed"
    remedy = "Remove the access of other users: chmod o-rwx FILE."


class BrokerUntrusted(BrokerError):
    """The broker's certificate does not prove that it is the broker. Nothing is sent to it."""

    code = "broker_untrusted"
    remedy = "Check mqtt.tls.ca_file, and that mqtt.host is the name in the certificate; results wait meanwhile."


class CertificateTime(BrokerError):
    """A certificate is not valid at the time that this device's clock shows. Nothing is sent."""

    code = "certificate_time"
    remedy = "Compare the device's clock ('date') with the right time; renew the certificate if the clock is right."


class BrokerMissing(BrokerError):
    """The demonstration found neither mosquitto nor amqtt."""

    code = "broker_missing"
    remedy = "Install mosquitto, or the extra: pip install 'leukoscope[demo]'."

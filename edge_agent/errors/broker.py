"""The MQTT broker."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class BrokerError(EdgeAgentError):
    """Something about the MQTT broker."""

    code = "broker_failed"
    remedy = "Check [mqtt] in the configuration and the broker's log."


class BrokerUnreachable(BrokerError):
    """Nobody answers at the broker's address. Results wait; the agent keeps trying."""

    code = "broker_unreachable"
    remedy = "Check that the broker runs and that mqtt.host and mqtt.port are right; results wait meanwhile."


class BrokerRefused(BrokerError):
    """The broker answers and says no. Results wait; the agent keeps trying."""

    code = "broker_refused"
    remedy = "Check user, password and access rights at the broker; results wait meanwhile."


class BrokerSilent(BrokerError):
    """The broker is connected and acknowledges nothing. What it was sent is sent again over a new connection."""

    code = "broker_silent"
    remedy = "Look at the broker's log and load; results wait meanwhile."


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

"""Recognises servers at the broker's address that are not the broker."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_agent.errors import (
    BrokerError,
    BrokerForeign,
    BrokerRefused,
    BrokerUnreachable,
    BrokerUntrusted,
    CertificateTime,
)
from edge_agent.mqtt.reasons import shown

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

FIRST_BYTES = 32
"""Number of bytes that are enough to recognise a protocol."""

_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING", "RECORD_LAYER_FAILURE"})


class HandshakeError(OSError):
    """The TCP connection was established, but TLS failed because of ``__cause__``."""


class BrokerSocket(ssl.SSLSocket):
    """A TLS socket that keeps the first bytes, and is closed if the handshake fails, which paho does not do."""

    first_bytes: bytes = b""
    refusal: str | None = None
    """TLS's reason why the server ended the connection."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as in the base
        """See the base. Raises ``HandshakeError``, or the error in the certificate."""
        try:
            super().do_handshake(block)
        except ssl.SSLCertVerificationError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise HandshakeError(str(error)) from error

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """See the base."""
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            # The server may have said why it ended the connection, in bytes that have not been read yet.
            with suppress(OSError):
                self.recv()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """See the base."""
        try:
            received = super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.refusal = error.reason
            raise
        if len(self.first_bytes) < FIRST_BYTES:
            self.first_bytes += received
        return received


def certificate_end(connection: object) -> datetime | None:
    """When the certificate of an encrypted connection's server expires; None for another connection."""
    if not isinstance(connection, ssl.SSLSocket):
        return None
    try:
        certificate = connection.getpeercert() or {}
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    except (KeyError, ValueError, OverflowError):
        # The connection was closed meanwhile, or the certificate expires in a year that no calendar has.
        return None


def first_bytes(connection: object) -> bytes:
    """The first bytes that a connection received; without encryption, those not read yet. Consumes nothing."""
    if isinstance(connection, BrokerSocket):
        return connection.first_bytes
    if isinstance(connection, socket.socket):
        try:
            return connection.recv(FIRST_BYTES, socket.MSG_PEEK)
        except OSError:
            return b""
    return b""


def recognise(received: bytes) -> str | None:
    """The protocol of a server that answers CONNECT with ``received``; None if it may be MQTT."""
    if not received or received[0] in {0x20, 0xE0, 0xF0}:
        return None
    if received[0] in {0x15, 0x16} and received[1:2] in {b"", b"\x03"}:
        return "TLS"
    if received.startswith(b"HTTP/") or received.lstrip().startswith(b"<"):
        return "HTTP"
    for beginning, name in ((b"SSH-", "SSH"), (b"AMQP", "AMQP"), (b"220", "SMTP or FTP"), (b"* OK", "IMAP")):
        if received.startswith(beginning):
            return name
    return "something else"


def explain_foreign(address: str, received: bytes, *, encrypted: bool) -> BrokerForeign | None:
    """The error for a server that does not speak MQTT; None if its answer may be MQTT."""
    protocol = recognise(received)
    match protocol:
        case None:
            return None
        case "TLS":
            return explain_encrypted(address)
        case "HTTP":
            return BrokerForeign(
                f"{address} is a web server, not an MQTT broker{' (over TLS)' if encrypted else ''}.",
                remedy=f"Set mqtt.port to the broker's MQTT port ({8883 if encrypted else 1883}), not its web page's.",
            )
        case "something else":
            return BrokerForeign(f'{address} does not speak MQTT; it answers "{shown(_text(received))}".')
    return BrokerForeign(f"{address} speaks {protocol}, not MQTT.")


def explain_encrypted(address: str) -> BrokerForeign:
    """The error for a server that expects TLS while this device is configured without."""
    return BrokerForeign(
        f"{address} speaks TLS, and this device is configured without.",
        remedy="Add a section [mqtt.tls], or set mqtt.port to the broker's port without TLS (1883).",
    )


def _text(received: bytes) -> str:
    return received.decode("ascii", "backslashreplace")


def expects_tls(host: str, port: int, timeout_s: float) -> bool:
    """Whether a server that hung up after an unencrypted CONNECT starts a TLS handshake. Nothing is sent over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=timeout_s) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        # It refuses within TLS: it may require a certificate.
        return "ALERT" in (error.reason or "")
    except (OSError, ValueError):
        return False


def explain_tls_refusal(address: str, reason: str) -> BrokerRefused:
    """The error for a server that refuses this device within TLS."""
    return BrokerRefused(
        f"The broker at {address} refused the TLS connection: {reason}.",
        remedy="Check mqtt.tls.certificate_file and key_file, and the TLS versions that the broker accepts.",
    )


def explain_failure(error: Exception, address: str) -> BrokerError:  # noqa: PLR0911 - one per way to fail
    """Why an attempt to connect failed."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=9 | 10):
            return CertificateTime(f"The certificate of {address}: {error.verify_message}.")
        case ssl.SSLCertVerificationError():
            return BrokerUntrusted(f"The certificate of {address}: {error.verify_message}.")
        case HandshakeError():
            return _explain_handshake(error.__cause__, address)
        case ssl.SSLError():
            return BrokerUnreachable(f"{address} does not speak TLS correctly: {error.reason or error}.")
        case socket.gaierror():
            return BrokerUnreachable(f"The name in {address} is not known: {error.strerror}.")
        case TimeoutError():
            return BrokerUnreachable(f"{address} does not answer: timed out.")
        case OSError():
            return BrokerUnreachable(f"{address} does not answer: {error.strerror or error}.")
    return BrokerUnreachable(f"{address} is not an address: {error}.")


def _explain_handshake(cause: BaseException | None, address: str) -> BrokerError:
    if isinstance(cause, ssl.SSLError) and cause.reason not in _NOT_TLS:
        if "ALERT" in (cause.reason or ""):
            return explain_tls_refusal(address, cause.reason)
        return BrokerUnreachable(f"{address} does not speak TLS correctly: {cause.reason or cause}.")
    return BrokerForeign(
        f"{address} does not speak TLS, and this device is configured with it.",
        remedy="Set mqtt.port to the broker's port with TLS (8883). For one on this machine: remove [mqtt.tls].",
    )

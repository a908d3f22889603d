from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from threading import Thread

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.mqtt.peer import BrokerSocket, HandshakeError, explain_failure, explain_foreign, recognise


@pytest.mark.parametrize(
    ("received", "protocol"),
    [
        (b"\x20\x03\x00\x00\x00", None),
        (b"\xe0\x01\x8e", None),
        (b"", None),
        (b"\x15\x03\x01\x00\x02\x02\x16", "TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (b"<!DOCTYPE html>", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"AMQP\x00\x00\x09\x01", "AMQP"),
        (b"220 mail.example ESMTP", "SMTP or FTP"),
        (b"\x00\x01\x02", "something else"),
    ],
)
def test_a_peer_is_known_by_its_first_bytes(received: bytes, protocol: str | None) -> None:
    assert recognise(received) == protocol


@given(st.binary(max_size=32))
def test_whatever_a_peer_says_is_explained_on_one_line(received: bytes) -> None:
    error = explain_foreign("broker:1883", received, encrypted=False)
    assert (error is None) == (recognise(received) is None)
    assert error is None or error.message.isprintable()


def caused(cause: OSError) -> HandshakeError:
    error = HandshakeError(str(cause))
    error.__cause__ = cause
    return error


def ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (socket.gaierror(-2, "Name or service not known"), "broker_unreachable"),
        (ConnectionRefusedError(111, "Connection refused"), "broker_unreachable"),
        (TimeoutError("timed out"), "broker_unreachable"),
        (UnicodeError("label empty or too long"), "broker_unreachable"),
        (RuntimeError("?"), "broker_unreachable"),
        (caused(ssl_error("WRONG_VERSION_NUMBER")), "broker_not_mqtt"),
        (caused(ConnectionResetError(104, "Connection reset by peer")), "broker_not_mqtt"),
        (caused(TimeoutError("timed out")), "broker_not_mqtt"),
        (caused(ssl_error("TLSV1_ALERT_PROTOCOL_VERSION")), "broker_refused"),
        (caused(ssl_error("NO_SHARED_CIPHER")), "broker_unreachable"),
    ],
)
def test_every_way_to_fail_has_its_code_and_remedy(error: Exception, code: str) -> None:
    found = explain_failure(error, "broker:1883")
    assert found.code == code
    assert "broker:1883" in found.message
    assert found.remedy


def test_the_reason_of_a_refusal_is_read_even_if_the_next_write_fails_first() -> None:
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_context)
    authority.configure_trust(server_context)
    server_context.verify_mode = ssl.CERT_REQUIRED
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.sslsocket_class = BrokerSocket
    authority.configure_trust(client_context)

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            accepted, _ = listening.accept()
            with accepted, suppress(ssl.SSLError):
                server_context.wrap_socket(accepted, server_side=True)

        refusing = Thread(target=refuse)
        refusing.start()
        with (
            socket.create_connection(listening.getsockname()) as plain,
            client_context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            refusing.join()
            with pytest.raises(OSError, match=r"EOF|reset|pipe"):  # noqa: PT012 - the first write may still be taken
                for _ in range(2):
                    connection.send(b"CONNECT")
            assert isinstance(connection, BrokerSocket)
            assert connection.refusal == "TLSV13_ALERT_CERTIFICATE_REQUIRED"

"""The page over TLS, with the device's own certificate and with a configured one."""

from __future__ import annotations

import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import trustme
from cryptography import x509

from edge_agent.cli.local_broker import free_port
from edge_agent.errors import ConfigError
from edge_agent.web.access.certificate import RENEWAL, fingerprint, own_certificate, read_certificate
from edge_agent.web.server import MicroscopePage
from edge_agent.web.settings import OWN_CERTIFICATE, WebSettings, WebTlsSettings
from tests.page_access import PASSWORDS, write_access
from tests.page_device import FakeDevice

NOW = datetime(2026, 11, 29, tzinfo=UTC)
EVERYWHERE = "0.0.0.0"  # noqa: S104 - with a password


def settings(folder: Path, **changes: object) -> WebSettings:
    given = {"enabled": True, "host": EVERYWHERE, "port": free_port(), "access_file": write_access(folder)} | changes
    return WebSettings.model_validate(given)


def test_on_the_network_the_page_is_served_over_tls_with_a_login(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    with MicroscopePage(wanted, tmp_path).serving(FakeDevice()) as page:
        assert page.address.startswith("https://")
        trust = ssl.create_default_context(cafile=str(tmp_path / OWN_CERTIFICATE))
        with httpx2.Client(base_url=f"https://localhost:{wanted.port}", verify=trust) as visitor:
            assert visitor.get("/").status_code == 200
            assert visitor.get("/readings").status_code == 401
            headers = {"sec-fetch-site": "same-origin"}
            assert visitor.post("/session", json={"password": "wrong"}, headers=headers).status_code == 401
            answer = visitor.post("/session", json={"password": PASSWORDS["look"]}, headers=headers)
            assert answer.status_code == 204
            assert "strict-transport-security" not in answer.headers, "nobody could return to a page with a warning"
            assert visitor.get("/readings").status_code == 200
            assert visitor.post("/commands/pause", json={}, headers=headers).json()["code"] == "role_insufficient"
    with pytest.raises(OSError, match=r"."), socket.create_connection(("127.0.0.1", wanted.port)):
        pass


def test_a_certificate_of_ones_own_is_used_also_on_this_machine(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "web.crt")
    issued.private_key_pem.write_to_path(tmp_path / "web.key")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    tls = WebTlsSettings(certificate_file=tmp_path / "web.crt", key_file=tmp_path / "web.key")
    wanted = WebSettings(enabled=True, port=free_port(), tls=tls)
    with MicroscopePage(wanted, tmp_path).serving(FakeDevice()):
        answer = httpx2.get(f"https://localhost:{wanted.port}/session", verify=trust)
        assert answer.json() == {"role": "administer", "needs_login": False}
        assert "strict-transport-security" in answer.headers
    assert not (tmp_path / OWN_CERTIFICATE).exists()
    (tmp_path / "web.key").write_text("no key")
    with pytest.raises(ConfigError, match=r"web\.tls\.certificate_file"):
        MicroscopePage(wanted, tmp_path).start(FakeDevice())


def test_on_the_network_a_page_without_passwords_is_refused() -> None:
    for host in (EVERYWHERE, "::", "192.0.2.7", "scope-1.clinic.example"):
        with pytest.raises(ValueError, match="needs passwords"):
            WebSettings(enabled=True, host=host)
    for host in ("127.0.0.1", "::1", "localhost"):
        assert not WebSettings(enabled=True, host=host).encrypted


def certificate(path: Path) -> x509.Certificate:
    found = read_certificate(path)
    assert found is not None
    return found


def test_the_devices_certificate_names_it_and_only_its_owner_can_read_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "scope-1.clinic.example")
    path = own_certificate(
        settings(tmp_path, allowed_hosts=["Microscope.clinic.example", "w\u00f6rd", ""]), tmp_path, NOW
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    made = certificate(path)
    known = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "scope-1.clinic.example", "scope-1.local", "microscope.clinic.example"} <= set(
        known.get_values_for_type(x509.DNSName)
    )
    assert "127.0.0.1" in {str(each) for each in known.get_values_for_type(x509.IPAddress)}
    assert len(fingerprint(made)) == 95


def test_it_stays_the_same_until_it_has_to_change(tmp_path: Path) -> None:
    """Every new one is a new warning in every browser."""
    wanted = settings(tmp_path)
    path = own_certificate(wanted, tmp_path, NOW)
    first = certificate(path)
    soon = first.not_valid_after_utc - RENEWAL - timedelta(seconds=1)
    for now in (NOW, soon):
        own_certificate(settings(tmp_path), tmp_path, now)
        assert certificate(path) == first
    own_certificate(wanted, tmp_path, soon + timedelta(seconds=1))
    renewed = certificate(path)
    assert renewed.not_valid_after_utc > first.not_valid_after_utc
    own_certificate(settings(tmp_path, allowed_hosts=["new.example"]), tmp_path, soon)
    assert certificate(path) != renewed


@pytest.mark.parametrize("damage", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_one_is_replaced(tmp_path: Path, damage: bytes) -> None:
    path = own_certificate(settings(tmp_path), tmp_path, NOW)
    path.write_bytes(damage)
    own_certificate(settings(tmp_path), tmp_path, NOW)
    assert certificate(path).not_valid_after_utc > NOW


def test_one_from_a_time_when_the_clock_was_wrong_is_replaced(tmp_path: Path) -> None:
    path = own_certificate(settings(tmp_path), tmp_path, NOW + timedelta(days=3000))
    own_certificate(settings(tmp_path), tmp_path, NOW)
    assert certificate(path).not_valid_before_utc <= NOW

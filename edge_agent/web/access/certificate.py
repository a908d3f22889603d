"""The certificate that the device makes for its own page.

It is self-signed, so a browser asks about it once; ``edge-agent web address`` prints the fingerprint to compare. It
stays the same as long as possible, since browsers ask again about every new one: it changes when a name is added or
half a year before it expires, but not with the device's address.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import ssl
from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_agent.addresses import parse_address
from edge_agent.errors import FileUnusable
from edge_agent.web.access.location import own_addresses, own_names
from edge_agent.web.settings import OWN_CERTIFICATE, WebSettings

LIFETIME = timedelta(days=825)
"""The longest that Apple's devices accept (support.apple.com/103769)."""

RENEWAL = timedelta(days=180)
"""How long before its expiry it is replaced."""


def own_certificate(settings: WebSettings, state_folder: Path, now: datetime) -> Path:
    """The file with the device's certificate and key, made or renewed if needed. Raises ``FileUnusable``."""
    path = state_folder / OWN_CERTIFICATE
    names = ["localhost", *own_names(), *settings.allowed_hosts]
    if parse_address(settings.host) is None:
        names.append(settings.host)
    if not _is_fit(path, names, now):
        try:
            _write(path, _make(names, ["127.0.0.1", "::1", *own_addresses()], now))
        except OSError as error:
            raise FileUnusable.from_os_error(error) from error
    return path


def load_own_certificate(context: ssl.SSLContext, path: Path) -> None:
    """Load the certificate into ``context``, for new connections. Raises ``FileUnusable``."""
    try:
        context.load_cert_chain(path)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be used: {error}.", remedy="Remove it; the device makes another.") from error


def read_certificate(path: Path) -> x509.Certificate | None:
    """The first certificate in a PEM file; None if there is none. Raises ``OSError``."""
    with contextlib.suppress(ValueError):
        return x509.load_pem_x509_certificate(path.read_bytes())
    return None


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, as browsers show it."""
    digest = certificate.fingerprint(hashes.SHA256()).hex().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _is_fit(path: Path, names: Iterable[str], now: datetime) -> bool:
    try:
        content = path.read_bytes()
        certificate = x509.load_pem_x509_certificate(content)
        key = serialization.load_pem_private_key(content, None)
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
    same = certificate.public_key() == key.public_key()
    in_time = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEWAL
    return same and in_time and set(_general_names(names)) <= set(known)


def _make(names: Iterable[str], addresses: Iterable[str], now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Leukoscope microscope page")])
    subjects = list(dict.fromkeys([*_general_names(names), *_general_names(addresses)]))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A day early, for browsers whose clock is behind.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now - timedelta(days=1) + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(subjects), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _general_names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    """The names as a certificate holds them. Those that it cannot hold are left out: no browser sends them either."""
    found: list[x509.GeneralName] = []
    for host in hosts:
        try:
            found.append(x509.IPAddress(ip_address(host)))
        except ValueError:
            with contextlib.suppress(ValueError):
                found.append(x509.DNSName(host.lower().rstrip(".")))
    return found


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)

"""When the certificates end that the device depends on: its own, its CA's, the page's and the broker's."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_agent.contracts import Check
from edge_agent.credentials import credential
from edge_agent.errors import CertificateError, CertificateExpired, CertificateExpiring, CertificateUnreadable

WARNING = timedelta(days=30)
"""How long before its end a certificate is told of: time to ask for another one, and to bring it to every clinic."""

READ_INTERVAL_S = 3600.0

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that shows an earlier time is not set, and says nothing of a certificate."""


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """A certificate that the configuration names."""

    setting: str
    path: Path
    renewal: str
    """What to do before it ends."""
    is_ca: bool = False
    """A file of trusted CAs, of which the one that ends last counts: while a CA is replaced, the old one is beside the
    new one. Of other files the first certificate counts; those after it are the CAs that issued it."""

    @property
    def title(self) -> str:
        """What a message calls it."""
        return f"{self.setting} {self.path}"


@dataclass(frozen=True, slots=True)
class CertificateEnd:
    """When a certificate ends."""

    title: str
    at: datetime
    renewal: str


def read_end(file: CertificateFile) -> CertificateEnd:
    """When a certificate ends. Raises ``CertificateUnreadable``, and ``ImportError`` without ``cryptography``."""
    path = credential(file.path)
    try:
        end = _last_end_of_ca(path) if file.is_ca else _first_end(path)
    except (OSError, ValueError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no certificate in PEM form"
        raise CertificateUnreadable(f"{file.title} cannot be read: {reason}.") from error
    return CertificateEnd(file.title, end, file.renewal)


def broker_end(at: datetime) -> CertificateEnd:
    """When the certificate ends that the broker showed."""
    return CertificateEnd("The broker's certificate", at, "Ask whoever runs the broker to renew its certificate.")


def find_problem(end: CertificateEnd, now: datetime) -> CertificateError | None:
    """What is wrong with a certificate now, if anything."""
    day = f"{end.at:%Y-%m-%d}"
    left = end.at - now
    if left <= timedelta(0):
        return CertificateExpired(f"{end.title} ended on {day}.", remedy=end.renewal)
    if left <= WARNING:
        days = {0: "within a day", 1: "in a day"}.get(left.days, f"in {left.days} days")
        return CertificateExpiring(f"{end.title} ends on {day}, {days}.", remedy=end.renewal)
    return None


def worst(problems: Iterable[CertificateError]) -> CertificateError | None:
    """All problems as one, with the code and remedy of the most urgent; None if there are none."""
    order = (CertificateExpired, CertificateUnreadable, CertificateExpiring)
    found = sorted(problems, key=lambda problem: order.index(type(problem)))
    if not found:
        return None
    return type(found[0])(" ".join(problem.message for problem in found), remedy=found[0].remedy)


class CertificateWatch:
    """The check ``certificates``. Belongs to the monitor's thread; files are read at most once an hour."""

    def __init__(
        self,
        files: tuple[CertificateFile, ...],
        broker_certificate_end: Callable[[], datetime | None],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads nothing yet. ``broker_certificate_end`` is None where there is no connection, or no encryption."""
        self._files = files
        self._broker_certificate_end = broker_certificate_end
        self._now = now
        self._monotonic_s = monotonic_s
        self._read_at_s = float("-inf")
        self._ends: list[CertificateEnd] = []
        self._unreadable: list[CertificateError] = []
        self._broker: datetime | None = None
        self._missing = False

    def check(self) -> Check:
        """The state now: ok too where no certificate is used."""
        now = self._now()
        # Kept while there is no connection: it is still the one to be renewed.
        self._broker = self._broker_certificate_end() or self._broker
        if now < EARLIEST:
            return Check.unknown("certificates", "The clock is not set, so nothing is known of certificates.")
        if self._monotonic_s() - self._read_at_s >= READ_INTERVAL_S:
            self._read_at_s = self._monotonic_s()
            self._read()
        ends = [*self._ends, *(() if self._broker is None else (broker_end(self._broker),))]
        found = (find_problem(end, now) for end in ends)
        problem = worst([*self._unreadable, *(each for each in found if each is not None)])
        if problem is None and self._missing:
            return Check.unknown("certificates", "Certificates cannot be read: the extra 'web' is not installed.")
        return Check.from_error("certificates", problem)

    def _read(self) -> None:
        self._ends, self._unreadable, self._missing = [], [], False
        for file in self._files:
            try:
                self._ends.append(read_end(file))
            except CertificateUnreadable as error:
                self._unreadable.append(error)
            except ImportError:
                self._missing = True


def _last_end_of_ca(path: Path) -> datetime:
    """By Python's own means. Raises ``OSError``, or ``ValueError`` if there is no CA in the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=path)
    ends = [str(found["notAfter"]) for found in context.get_ca_certs() if "notAfter" in found]
    return datetime.fromtimestamp(max(ssl.cert_time_to_seconds(end) for end in ends), UTC)


def _first_end(path: Path) -> datetime:
    """Raises ``OSError``, or ``ValueError`` if there is no certificate in the file."""
    content = path.read_bytes()
    # Only where there is such a file: it takes some megabytes.
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 - see above

    return load_pem_x509_certificate(content).not_valid_after_utc

"""Certificates are reported a month before they end, with the file, the day, and the remedy."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contracts import Check, CheckState
from edge_agent.errors import CertificateExpired, CertificateExpiring
from edge_agent.monitoring.certificates import (
    READ_INTERVAL_S,
    WARNING,
    CertificateEnd,
    CertificateFile,
    CertificateWatch,
    find_problem,
    read_end,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def write(folder: Path, ends_at: datetime, name: str = "device.crt") -> CertificateFile:
    """A certificate followed by the CA that issued it, as a server's or client's file contains them."""
    path = folder / name
    issued = trustme.CA().issue_cert("scope-1.example.org", not_before=ends_at - 400 * DAY, not_after=ends_at)
    path.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    return CertificateFile("mqtt.tls.certificate_file", path, "Renew it.")


class Watched:
    def __init__(self, *files: CertificateFile) -> None:
        self.now, self.monotonic_s = NOW, 5.0
        self.broker: datetime | None = None
        self.watch = CertificateWatch(
            files, lambda: self.broker, now=lambda: self.now, monotonic_s=lambda: self.monotonic_s
        )

    def check(self, *, later_s: float = 0.0) -> Check:
        self.monotonic_s += later_s
        return self.watch.check()


def test_without_certificates_there_is_no_fault() -> None:
    assert Watched().check() == Check(name="certificates", state=CheckState.OK)


@pytest.mark.parametrize(
    ("left", "code", "words"),
    [
        (31 * DAY, None, None),
        (29.5 * DAY, "certificate_expiring", "ends on 2026-12-29, in 29 days."),
        (1.5 * DAY, "certificate_expiring", "ends on 2026-12-01, in a day."),
        (timedelta(hours=1), "certificate_expiring", "ends on 2026-11-29, within a day."),
        (-timedelta(hours=1), "certificate_expired", "ended on 2026-11-29."),
    ],
    ids=["fine", "month", "tomorrow", "today", "over"],
)
def test_a_file_that_ends_is_told_with_its_name_and_day(
    tmp_path: Path, left: timedelta, code: str | None, words: str | None
) -> None:
    file = write(tmp_path, NOW + left)
    check = Watched(file).check()
    assert check.code == code
    assert check.message == (None if words is None else f"mqtt.tls.certificate_file {file.path} {words}")
    assert check.remedy == (None if code is None else "Renew it.")


def test_of_a_file_of_cas_the_one_that_ends_last_counts(tmp_path: Path) -> None:
    new = trustme.CA().cert_pem.bytes()
    path = tmp_path / "ca.crt"
    old = trustme.CA()
    path.write_bytes(old.cert_pem.bytes() + new)
    end = read_end(CertificateFile("mqtt.tls.ca_file", path, "", is_ca=True))
    found = ssl.create_default_context(cafile=path).get_ca_certs()
    assert end.at == max(
        datetime.strptime(str(ca["notAfter"]), "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC) for ca in found
    )


@pytest.mark.parametrize("is_ca", [False, True], ids=["certificate", "ca"])
@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\0" * 500),
        lambda path: path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ],
    ids=["gone", "empty", "zeros", "no-certificate"],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, spoil: Callable[[Path], object], *, is_ca: bool) -> None:
    file = write(tmp_path, NOW + 100 * DAY)
    spoil(file.path)
    check = Watched(CertificateFile("mqtt.tls.ca_file", file.path, "", is_ca=is_ca)).check()
    assert check.code == "certificate_unreadable"
    assert str(file.path) in str(check.message)


def test_files_are_read_once_an_hour_and_what_was_renewed_is_well_again(tmp_path: Path) -> None:
    watched = Watched(write(tmp_path, NOW + 5 * DAY))
    assert watched.check().code == "certificate_expiring"
    write(tmp_path, NOW + 300 * DAY)
    assert watched.check(later_s=READ_INTERVAL_S - 1).code == "certificate_expiring"
    assert watched.check(later_s=1).code is None
    watched.now += 290 * DAY
    assert watched.check().code == "certificate_expiring"


def test_the_brokers_certificate_is_the_one_that_was_seen_last() -> None:
    watched = Watched()
    watched.broker = NOW + 10 * DAY
    assert "The broker's certificate ends on 2026-12-09" in str(watched.check().message)
    watched.broker = None
    assert watched.check().code == "certificate_expiring"
    watched.broker = NOW + 300 * DAY
    assert watched.check().code is None


def test_the_most_urgent_has_the_code_and_nothing_is_left_out(tmp_path: Path) -> None:
    watched = Watched(
        write(tmp_path, NOW + 5 * DAY, "soon.crt"),
        CertificateFile("web.tls.certificate_file", tmp_path / "none.crt", ""),
        write(tmp_path, NOW - DAY, "over.crt"),
    )
    check = watched.check()
    assert check.code == "certificate_expired"
    assert all(name in str(check.message) for name in ("soon.crt", "none.crt", "over.crt"))


def test_a_clock_that_is_not_set_says_nothing_of_certificates(tmp_path: Path) -> None:
    watched = Watched(write(tmp_path, NOW - DAY))
    watched.now = datetime(1970, 1, 1, tzinfo=UTC)
    assert watched.check().state is CheckState.UNKNOWN


@given(st.timedeltas(timedelta(days=-4000), timedelta(days=4000)))
def test_there_is_a_warning_for_a_month_and_an_error_from_the_end_on(left: timedelta) -> None:
    problem = find_problem(CertificateEnd("It", NOW + left, ""), NOW)
    expected = CertificateExpired if left <= timedelta(0) else CertificateExpiring if left <= WARNING else type(None)
    assert type(problem) is expected


@given(st.binary(max_size=300))
def test_whatever_is_in_a_file_is_a_date_or_one_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("certificates") / "any.crt"
    path.write_bytes(b"-----BEGIN CERTIFICATE-----\n" + content)
    for is_ca in (False, True):
        assert Watched(CertificateFile("file", path, "", is_ca=is_ca)).check().code == "certificate_unreadable"


def test_an_agent_without_certificates_does_not_load_what_reads_them() -> None:
    code = "import sys; import edge_agent.agent.agent; print('cryptography' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"

"""Finds the source of this machine's Debian packages, so that the box uses it too."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

APT = Path("/etc/apt")
_TRANSPORT = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)
_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<address>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$")


@dataclass(frozen=True, slots=True)
class Mirror:
    """An archive of Debian, and the keys with which its releases are signed."""

    address: str
    signed_by: str | None

    def line(self, suite: str) -> str:
        """The one-line form for another suite of the same archive."""
        options = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {options}{self.address} {suite} main"


def find_mirror(folder: Path = APT) -> Mirror | None:
    """The first archive of a Debian release in apt's sources; None on another distribution."""
    with suppress(OSError):
        release = platform.freedesktop_os_release()
        if release.get("ID") == "debian":
            return next(_mirrors(folder, release.get("VERSION_CODENAME", "stable")), None)
    return None


def transport_options() -> dict[str, str]:
    """This machine's apt options for proxies and for the archive's dates."""
    found = {}
    for name in _TRANSPORT:
        shown = subprocess.run(
            ["apt-config", "shell", "value", name], capture_output=True, text=True, check=True
        ).stdout.strip()
        if shown:
            found[name] = shown.removeprefix("value=").strip("'")
    return found


def _mirrors(folder: Path, release: str) -> Iterator[Mirror]:
    parts = folder / "sources.list.d"
    for path in sorted(parts.glob("*.sources")):
        yield from _deb822(path.read_text(), release)
    for path in (folder / "sources.list", *sorted(parts.glob("*.list"))):
        if path.is_file():
            yield from _one_line(path.read_text(), release)


def _deb822(text: str, release: str) -> Iterator[Mirror]:
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        for line in stanza.splitlines():
            name, colon, value = line.partition(":")
            if colon and not line.startswith(("#", " ", "\t")):
                fields[name.strip().lower()] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no":
            signed_by = fields.get("signed-by", "")
            # Neither updates nor security, which are separate archives, nor other publishers' archives.
            if release in fields.get("suites", "").split() and "main" in fields.get("components", "").split():
                for address in fields.get("uris", "").split():
                    # A key written into the stanza itself does not fit into a line.
                    yield Mirror(address, signed_by if signed_by.startswith("/") else None)


def _one_line(text: str, release: str) -> Iterator[Mirror]:
    for line in text.splitlines():
        found = _ONE_LINE.match(line.strip())
        if found and found["suite"] == release and "main" in found["components"].split():
            signed_by = re.search(r"signed-by=(/\S+)", found["options"] or "")
            yield Mirror(found["address"], signed_by.group(1) if signed_by else None)

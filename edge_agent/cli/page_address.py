"""Prints where the microscope page can be opened, and by what its certificate is recognised."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from edge_agent.cli.terminal import output
from edge_agent.config import Config
from edge_agent.credentials import credential
from edge_agent.errors import WebMissing
from edge_agent.web.settings import OWN_CERTIFICATE, WebSettings


def show_address(config: Config) -> None:
    """Print the page's URLs, the first one as a QR code, and the certificate's fingerprint. Raises ``WebMissing``."""
    try:
        import segno

        from edge_agent.web.access.certificate import fingerprint, read_certificate
        from edge_agent.web.access.location import page_urls
    except ImportError as error:
        raise WebMissing(f"The address cannot be shown: {error}.") from error
    settings = config.web
    urls = page_urls(settings)
    output.print("The microscope page:", markup=False)
    for url in urls:
        output.print(f"  {url}", markup=False)
    if not settings.on_network:
        output.print("Only browsers on this device can open it.", markup=False)
        return
    if _can_draw():
        drawn = io.StringIO()
        segno.make(urls[0], error="m", micro=False).terminal(drawn, border=4, compact=True)
        output.print(drawn.getvalue(), markup=False, end="")
    path = config.state.folder / OWN_CERTIFICATE if settings.tls is None else credential(settings.tls.certificate_file)
    try:
        certificate = read_certificate(path)
    except FileNotFoundError:
        certificate = None
    except PermissionError:
        output.print(f"{path} cannot be read; run it with sudo to see the certificate's fingerprint.", markup=False)
        return
    if certificate is None:
        output.print(_not_yet(settings, path), markup=False)
        return
    output.print("SHA-256 fingerprint of its certificate:", markup=False)
    output.print(f"  {fingerprint(certificate)}", markup=False)
    if settings.tls is None:
        output.print(
            "The browser warns of this certificate once, because the device made it itself. Compare the fingerprint "
            "before you go on.",
            markup=False,
        )


def _not_yet(settings: WebSettings, path: Path) -> str:
    if settings.tls is not None:
        return f"{path} contains no certificate."
    return "The device makes its certificate when it first serves the page; then this also prints its fingerprint."


def _can_draw() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")

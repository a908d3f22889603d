"""The certificate with which the microscope page is served."""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.errors import EdgeAgentError
from edge_agent.web.settings import WebSettings

log = logging.getLogger(__name__)


class PageTls:
    """A TLS context with the configured certificate, else with the device's own. TLS 1.2 or later."""

    def __init__(self, settings: WebSettings, state_folder: Path) -> None:
        """Raises ``ConfigError`` or ``FileUnusable`` if the certificate cannot be used."""
        self._settings = settings
        self._state_folder = state_folder
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        if settings.tls is not None:
            settings.tls.load_into(self.context)
        else:
            self._use_own()

    async def renew(self) -> None:
        """Replace the device's own certificate before it expires; new connections get the new one. Never raises."""
        if self._settings.tls is not None:
            return
        try:
            await asyncio.to_thread(self._use_own)
        except EdgeAgentError as error:
            log.warning("the old certificate of the microscope page stays: %s", error, extra={"code": error.code})

    def _use_own(self) -> None:
        # The module takes seven megabytes, and a page for this device alone needs no certificate.
        from edge_agent.web.access.certificate import (  # noqa: PLC0415 - see above
            load_own_certificate,
            own_certificate,
        )

        path = own_certificate(self._settings, self._state_folder, datetime.now(UTC))
        load_own_certificate(self.context, path)

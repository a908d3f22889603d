"""Section ``[web]``."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from edge_agent.addresses import is_loopback
from edge_agent.credentials import credential
from edge_agent.errors import ConfigError
from edge_agent.settings import Settings

OWN_CERTIFICATE = Path("web", "certificate.pem")
"""The device's own certificate, below the state folder. Key and certificate are one file, so that they always match."""


class WebTlsSettings(Settings):
    """Section ``[web.tls]``: a certificate of your own. Without it the device makes one, of which browsers warn."""

    certificate_file: Path = Field(description="The page's certificate, and those that issued it (PEM).")
    key_file: Path = Field(description="Its private key (PEM, not encrypted).")

    def load_into(self, context: ssl.SSLContext) -> None:
        """Load the certificate into ``context``. Raises ``ConfigError`` if the files cannot be used."""
        try:
            # Otherwise OpenSSL would ask for a password on a terminal, which a device does not have.
            context.load_cert_chain(credential(self.certificate_file), credential(self.key_file), password=lambda: "")
        except OSError as error:
            raise ConfigError(
                f"web.tls.certificate_file {self.certificate_file} and key_file {self.key_file} cannot be used: "
                f"{error}.",
                remedy="Name a certificate and its private key in PEM form, without a password.",
            ) from error


class WebSettings(Settings):
    """The microscope page. By default it listens on this machine only, where it needs no password."""

    enabled: bool = Field(default=False, description="Whether the microscope page is served.")
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; with 0.0.0.0 or :: the network can open the page, with a password.",
    )
    port: int = Field(default=8080, ge=1, le=65535, description="TCP port to listen on.")
    allowed_hosts: list[str] = Field(
        default=[],
        description="Other names under which browsers may open the page. Addresses, localhost and the device's own "
        "host name need not be listed.",
    )
    access_file: Path | None = Field(
        default=None,
        description="File with the hashes of passwords and tokens, written by 'edge-agent web password'. Needed where "
        "the page can be opened from the network; without it everyone on this machine may do everything.",
    )
    session_hours: float = Field(default=12, ge=0.1, le=720, description="How long a log-in lasts.")
    tls: WebTlsSettings | None = Field(
        default=None,
        description="A certificate of your own. Without it, a page on the network has one that the device makes.",
    )

    @property
    def on_network(self) -> bool:
        """Whether other machines can open the page."""
        return not is_loopback(self.host)

    @property
    def encrypted(self) -> bool:
        """Whether the page is served over TLS: always on the network."""
        return self.on_network or self.tls is not None

    @model_validator(mode="after")
    def _needs_passwords_on_the_network(self) -> Self:
        if self.enabled and self.on_network and self.access_file is None:
            raise PydanticCustomError(
                "access_missing",
                "On the network the page needs passwords; run 'edge-agent web password --role work --file FILE' and "
                "set web.access_file to that file, or use 127.0.0.1",
                {"keys": ("host",)},
            )
        return self

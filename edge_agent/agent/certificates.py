"""Which certificates a device depends on by its configuration."""

from __future__ import annotations

import os

from edge_agent.config import Config
from edge_agent.monitoring.certificates import CertificateFile
from edge_agent.web.settings import OWN_CERTIFICATE

_THEN = "then run 'systemctl reload leukoscope'"


def certificate_files(config: Config) -> tuple[CertificateFile, ...]:
    """The files whose end is watched. The system's own CAs are not: the system renews them."""
    found: list[CertificateFile] = []
    tls = config.mqtt.tls
    if tls is not None and tls.certificate_file is not None:
        found.append(
            CertificateFile(
                "mqtt.tls.certificate_file",
                tls.certificate_file,
                f"Have this device's certificate renewed by whoever issued it, replace the file, {_THEN}.",
            )
        )
    if tls is not None and tls.ca_file is not None:
        found.append(
            CertificateFile(
                "mqtt.tls.ca_file",
                tls.ca_file,
                f"Get the broker's new CA certificate, add it to the file, {_THEN}.",
                is_ca=True,
            )
        )
    web = config.web
    if web.enabled and web.tls is not None:
        found.append(
            CertificateFile(
                "web.tls.certificate_file",
                web.tls.certificate_file,
                "Renew the page's certificate, replace the file, then run 'systemctl restart leukoscope'.",
            )
        )
    own = config.state.folder / OWN_CERTIFICATE
    # It is made when the page is served for the first time, and lasts for years then.
    if web.enabled and web.encrypted and web.tls is None and os.access(own, os.R_OK):
        found.append(
            CertificateFile(
                "The microscope page's own certificate",
                own,
                "The device renews it by itself; see its log for why it could not.",
            )
        )
    return tuple(found)

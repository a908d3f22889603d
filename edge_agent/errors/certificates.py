"""Certificates that end."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class CertificateError(EdgeAgentError):
    """A problem with a certificate that has no code of its own."""

    code = "certificate_failed"
    remedy = "Check the files in [mqtt.tls] and [web.tls]."


class CertificateExpiring(CertificateError):
    """A certificate ends within 30 days. Everything works until then."""

    code = "certificate_expiring"
    remedy = "Renew the certificate before that day, then reload the agent."


class CertificateExpired(CertificateError):
    """A certificate has ended, so that connections fail sooner or later."""

    code = "certificate_expired"
    remedy = "Renew the certificate, then reload the agent."


class CertificateUnreadable(CertificateError):
    """The file of a certificate in use can no longer be read. The next start of the agent fails."""

    code = "certificate_unreadable"
    remedy = "Put the certificate (PEM) back where the configuration names it, readable by the agent's user."

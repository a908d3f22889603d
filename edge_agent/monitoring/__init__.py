"""Health checks, metrics and figures of the host, on a schedule."""

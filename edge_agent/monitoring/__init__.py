"""Health checks, metrics and the host's figures, on a schedule."""

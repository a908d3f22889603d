"""Health, metrics and the host, on a schedule."""

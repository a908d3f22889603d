"""An endpoint for Prometheus: every device of the fleet, and the collector itself."""

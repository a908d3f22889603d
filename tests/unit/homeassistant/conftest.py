"""A machine whose figures are known, as for the health checks."""

from tests.unit.monitoring.conftest import make_inputs

__all__ = ["make_inputs"]

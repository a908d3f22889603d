"""Handles an unexpected exception: the reading of its frame fails, and the traceback is logged."""

from __future__ import annotations

import logging

from edge_agent.errors import AnalysisError

log = logging.getLogger(__name__)


def defect(error: Exception) -> AnalysisError:
    """The error of the reading. Logs where it came from."""
    log.error("analysis_failed", exc_info=error)
    return AnalysisError(f"{type(error).__name__}: {error}")

"""Tests the model by loading it again, and every other part by its check."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.contracts import Check, CheckState
from edge_agent.errors import EdgeAgentError

MODEL = "model"


def run_self_test(load_model: Callable[[], object], run_checks: Callable[[], tuple[Check, ...]]) -> tuple[Check, ...]:
    """The check of the model first, then the others.

    ``load_model`` loads it and compares it with its golden outputs; it raises ``EdgeAgentError`` if it cannot be used.
    """
    problem: EdgeAgentError | None = None
    try:
        load_model()
    except EdgeAgentError as error:
        problem = error
    loaded = Check.from_error(MODEL, problem)
    checks = run_checks()
    # Of a model that can be used, drift says more, once enough fields were seen.
    drift = next((check for check in checks if check.name == MODEL), loaded)
    model = drift if problem is None and drift.state is not CheckState.UNKNOWN else loaded
    return (model, *(check for check in checks if check.name != MODEL))

"""A fleet's run reports its figures, and docs/scaling.md agrees with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.fleet_sizing import FIGURES, tables
from tests.fleet.load import judge, percentiles


def summary(session: str, results_count: int, *, refused_count: int = 0, waiting_count: int = 0) -> dict[str, Any]:
    return {
        "session": session,
        "results_count": results_count,
        "last_seq": results_count - 1,
        "refused_results_count": refused_count,
        "waiting_count": waiting_count,
    }


def received(sessions: dict[str, list[int]], times: list[tuple[float, float]] | None = None) -> dict[str, Any]:
    return {"sessions": sessions, "duplicates_count": 1, "connections_count": 2, "times": times or []}


def test_a_result_that_did_not_arrive_is_lost() -> None:
    found = judge([summary("a", 3), summary("b", 2)], received({"a": [0, 2], "b": [0, 1]}), [])
    assert (found.accepted_count, found.delivered_count, found.lost_count) == (5, 4, 1)
    assert (found.duplicates_count, found.receiver_connections_count) == (1, 2)


def test_a_device_of_which_nothing_arrived_is_lost_entirely() -> None:
    assert judge([summary("a", 7)], received({}), []).lost_count == 7


def test_what_a_spool_refused_or_still_has_is_not_lost() -> None:
    summaries = [summary("a", 4, refused_count=1, waiting_count=2)]
    found = judge(summaries, received({"a": [0]}), [])
    assert (found.accepted_count, found.refused_count, found.left_count, found.lost_count) == (3, 1, 2, 0)


def test_results_of_a_device_that_did_not_end_in_order_count_only_as_far_as_it_says() -> None:
    assert judge([summary("a", 2)], received({"a": [0, 1, 2]}), []).delivered_count == 2


def test_the_steady_latency_leaves_the_faults_out() -> None:
    times = [(float(second), 9.0 if 40 <= second <= 60 else 0.2) for second in range(200)]
    window = {"fault": "killed", "began_s": 40.0, "ended_s": 45.0}
    found = judge([summary("a", 200)], received({"a": list(range(200))}, times), [window])
    assert found.latency_steady_ms == {"p50": 200.0, "p99": 200.0}
    assert found.latency_all_ms["p99"] == 9000.0
    assert found.faults == [{"fault": "killed", "lasted_s": 5.0, "longest_latency_s": 9.0}]


def test_percentiles_of_nothing_are_not_invented() -> None:
    assert percentiles([]) == {}


def test_the_page_has_the_figures_that_were_measured(repository: Path) -> None:
    if not list(FIGURES.glob("*.json")):
        pytest.fail("docs/figures/fleet has no figures: make fleet")
    page = (repository / "docs" / "scaling.md").read_text().splitlines()
    assert [line for line in tables(FIGURES) if line and line not in page] == []

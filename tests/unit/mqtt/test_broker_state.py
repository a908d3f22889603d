from __future__ import annotations

import pytest

from edge_agent.errors import BrokerLimits, BrokerRefused, BrokerUnreachable
from edge_agent.mqtt import BrokerState
from edge_agent.mqtt.broker_state import BrokerStateReporter


def test_the_oldest_problem_of_a_connection_is_reported_until_it_is_over() -> None:
    states: list[BrokerState] = []
    reporter = BrokerStateReporter(states.append)
    limits, refused = BrokerLimits("no retained messages"), BrokerRefused("no results")
    reporter.connected("5", limits)
    reporter.set_problem("spool", refused)
    assert [state.error for state in states] == [limits]
    reporter.connected("5", None)
    reporter.set_problem("spool", refused)
    reporter.set_problem("spool", BrokerRefused("no results"))
    reporter.set_problem("commands", BrokerRefused("no commands"))
    reporter.set_problem("commands", None)
    reporter.set_problem("spool", None)
    assert [state.error for state in states] == [limits, None, refused, None]
    assert all(state.connected and state.version == "5" for state in states)


def test_a_problem_is_logged_once_when_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    reporter = BrokerStateReporter(lambda _state: None)
    for _ in range(3):
        reporter.disconnected(BrokerUnreachable("nobody answers"))
    reporter.disconnected(BrokerRefused("refused"))
    assert [vars(record)["code"] for record in caplog.records] == ["broker_unreachable", "broker_refused"]


def test_a_lost_connection_takes_its_problems_with_it() -> None:
    reporter = BrokerStateReporter(lambda _state: None)
    reporter.connected("5", None)
    reporter.set_problem("spool", BrokerRefused("no results"))
    reporter.disconnected(BrokerUnreachable("gone"))
    assert reporter.problem("spool") is None
    reporter.connected("5", None)
    assert reporter.state.error is None

"""The short form of the kills and of the fuzzing; ``make faults`` runs every point and 100,000 messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.fuzz_desired import fuzz_desired
from tests.faults.rollout_kills import roll_out_and_kill


@pytest.mark.parametrize(
    ("points", "end"),
    [
        # The end is the same wherever the agent was killed, only later.
        (["waiting", "in the middle of the download", "before it appears", "when it is activated"], ("active", "site")),
        # A crash of the model on trial cannot be told from a power cut: the previous model returns.
        (["when it is installed", "active"], ("rolled_back", "demo")),
    ],
    ids=["on the way", "on trial"],
)
def test_a_kill_at_any_point_of_a_roll_out_ends_well(
    tmp_path: Path, broker_port: int, points: Sequence[str], end: tuple[str, str]
) -> None:
    found = roll_out_and_kill(tmp_path / "device", broker_port, points)
    assert (found.state, found.model) == end, found


def test_wrong_messages_are_each_refused_with_a_code_and_change_nothing(broker_port: int) -> None:
    report = fuzz_desired(broker_port, 1000)
    assert report.refused_count == report.sent_count >= 1000
    assert set(report.codes_count) == {"desired_invalid", "desired_stale"}

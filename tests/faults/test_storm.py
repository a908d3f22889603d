"""The short form of the storm; ``make faults`` runs the long one."""

from __future__ import annotations

from pathlib import Path

from tests.faults.storm import storm


def test_nothing_is_lost_in_a_storm(tmp_path: Path, mosquitto: str) -> None:
    report = storm(tmp_path, results_count=300, kills_count=6, seed=1)
    assert report.lost_count == 0, report
    assert report.holes_count == 0
    assert report.invalid_count == 0
    assert report.refused_count == report.dropped_count == 0
    assert report.delivered_count == report.accepted_count
    assert report.results_count >= 300

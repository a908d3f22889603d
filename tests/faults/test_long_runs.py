"""The short forms of the fuzzing and the soak; ``make faults`` runs the long ones."""

from __future__ import annotations

from pathlib import Path

from tests.faults.fuzz import fuzz
from tests.faults.soak import soak


def test_wrong_payloads_are_answered_and_change_nothing(broker_port: int) -> None:
    report = fuzz(broker_port, 1500)
    assert report.answered_count == report.sent_count >= 1500
    assert set(report.codes_count) == {"command_invalid"}


def test_neither_memory_nor_files_grow(tmp_path: Path, mosquitto: str) -> None:
    report = soak(tmp_path, 1500)
    # A short run is noisy, but a leak of one frame or result each would still show.
    assert report.growth_low_kb_per_1000 < 1000, report
    assert report.files_last_count <= report.files_first_count, report

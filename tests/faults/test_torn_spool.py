"""The short form of the cuts; ``make faults`` makes many more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.torn_spool import cut_everywhere, record


def test_a_power_cut_between_any_two_writes_leaves_what_was_committed(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    calls = record(tmp_path)
    # The log has been copied into the file meanwhile.
    assert sum(call.name == "ftruncate" and call.file == "spool.db-wal" for call in calls) >= 2
    report = cut_everywhere(calls, tmp_path / "cut", 150, seed=1)
    assert min(report.kept_count, report.forgotten_count, report.torn_count) > 100
    assert report.messages_count > 0
    assert report.well, report

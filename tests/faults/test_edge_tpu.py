"""The short form of the stalls; ``make faults`` runs the long form, and measures the time of recovery."""

from __future__ import annotations

import shutil

import pytest

from tests.edge_tpu.stand_in import NO_COMPILER
from tests.faults.edge_tpu import stall_often


def test_stalls_lose_no_picture_and_leave_nothing_behind() -> None:
    if shutil.which("cc") is None:
        pytest.skip(NO_COMPILER)
    report = stall_often(10, hollow=True, deadline_s=0.1)
    assert report.stalls_count == 10
    assert not report.problems, report

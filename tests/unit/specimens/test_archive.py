from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from edge_agent.contracts import Report, Specimen, Topics
from edge_agent.specimens import archive as module
from edge_agent.specimens.archive import PREFIX, ReportArchive
from edge_agent.specimens.tally import Tally
from edge_agent.spool import MemorySpool, SpoolLimits, SqliteSpool
from edge_agent.spool.offline import read_entries
from edge_agent.spool.place import FILE
from tests.slides import MODEL


def finished(slide: int) -> Report:
    tally = Tally(specimen=Specimen(id="S-7K3F-92QX", slide=slide), began_at=datetime.now(UTC))
    return tally.report(topics=Topics("clinic", "scope-1"), session=uuid4(), model=MODEL)


def as_kept(report: Report) -> Report:
    return Report.model_validate_json(report.to_json())


def test_the_newest_report_comes_first_and_each_is_found_by_its_id() -> None:
    spool = MemorySpool(2**20)
    archive = ReportArchive(spool.state_entries)
    reports = [finished(slide) for slide in (1, 2, 3)]
    for report in reports:
        spool.write_state_entries(archive.entries_with(report))
    assert archive.reports() == [as_kept(report) for report in reversed(reports)]
    assert archive.find(reports[0].id) == as_kept(reports[0])
    assert archive.find(uuid4()) is None


def test_the_oldest_report_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_COUNT", 3)
    spool = MemorySpool(2**20)
    archive = ReportArchive(spool.state_entries)
    for slide in range(1, 6):
        spool.write_state_entries(archive.entries_with(finished(slide)))
    assert [report.specimen.slide for report in archive.reports()] == [5, 4, 3]
    assert len(spool.state_entries()) == 3


def test_a_report_that_cannot_be_read_is_left_and_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    spool = MemorySpool(2**20)
    archive = ReportArchive(spool.state_entries)
    foreign = f"{PREFIX}{uuid4()}"
    spool.write_state_entries({foreign: b'{"schema": "leukoscope/report/v9"}'})
    report = finished(1)
    spool.write_state_entries(archive.entries_with(report))
    with caplog.at_level(logging.WARNING):
        assert archive.reports() == [as_kept(report)]
    assert foreign in caplog.text
    assert foreign in spool.state_entries()


def test_the_archive_of_a_running_agent_can_be_read_from_its_file(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, SpoolLimits(max_bytes=2**20, max_age_s=3600, commit_delay_s=0))
    report = finished(1)
    spool.write_state_entries({"specimen": b"{}", **ReportArchive(spool.state_entries).entries_with(report)})
    assert spool.flush(10)
    try:
        offline = ReportArchive(lambda prefix: read_entries(tmp_path / FILE, prefix))
        assert offline.reports() == [as_kept(report)]
        assert offline.find(report.id) == as_kept(report)
    finally:
        spool.close()

"""``edge-agent-collector status``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic_core import to_json
from rich.table import Table

from edge_agent.cli.terminal import NOTICE, output, write_json_line
from edge_agent.collector.cli.arguments import ConfigOption
from edge_agent.collector.config import load_config
from edge_agent.collector.database import database_errors, open_database, shown_url
from edge_agent.collector.schema import require_schema
from edge_agent.collector.summary import CollectorSummary, DeviceSummary, Summary, summarize

_CLOCK_DOUBTED_S = 300.0
_STOPPED_AFTER_S = 60.0

_UNITS = (("d", 86400.0), ("h", 3600.0), ("min", 60.0))


def status(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what is stored, the newest result of each device, and how far behind the collectors are."""
    engine = open_database(load_config(config).database)
    now = datetime.now(UTC)
    with database_errors(engine):
        require_schema(engine)
        with engine.connect() as connection:
            summary = summarize(connection, now)
    if as_json:
        write_json_line(to_json({"database": shown_url(engine), **asdict(summary)}).decode())
        return
    output.print(shown_url(engine), markup=False)
    _show(summary, now)
    output.print(NOTICE, markup=False)


def _show(summary: Summary, now: datetime) -> None:
    for each in summary.tables:
        output.print(f"  {each.table:<10} {'about ' if each.is_estimate else ''}{each.rows_count:,}", markup=False)
    if summary.clock_far_off_count:
        output.print(f"  {summary.clock_far_off_count:,} results have a clock that is far off", markup=False)
    devices = Table("site", "device", "state", "newest", "seq", "received", "from capture to receipt", box=None)
    for device in summary.devices:
        devices.add_row(
            device.site,
            device.device,
            device.state or "unknown",
            _moment(device.newest_captured_at),
            "" if device.newest_seq is None else str(device.newest_seq),
            ""
            if device.newest_received_at is None
            else f"{_duration((now - device.newest_received_at).total_seconds())} ago",
            _delay(device),
        )
    if summary.devices:
        output.print(devices)
    for collector in summary.collectors:
        output.print(_line(collector), markup=False)
    if not summary.collectors:
        output.print("No collector has run yet.", markup=False)


def _line(collector: CollectorSummary) -> str:
    ago = _duration(collector.seen_ago_s)
    seen = f"last seen {ago} ago" if collector.seen_ago_s > _STOPPED_AFTER_S else f"running, seen {ago} ago"
    behind = "" if collector.behind_s is None else f", {_duration(collector.behind_s)} behind"
    return (
        f"{collector.instance}: {seen}{behind}; since its start {collector.stored_count:,} stored, "
        f"{collector.repeated_count:,} came twice, {collector.unreadable_count:,} unreadable, "
        f"{collector.retries_count:,} attempts failed"
    )


def _moment(moment: datetime | None) -> str:
    return "none" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def _ago(moment: datetime | None, now: datetime) -> str:
    return "" if moment is None else f"{_duration((now - moment).total_seconds())} ago"


def _delay(device: DeviceSummary) -> str:
    if device.delay_s is None:
        return ""
    if device.delay_s < -_CLOCK_DOUBTED_S:
        return f"its clock is {_duration(-device.delay_s)} ahead"
    late = device.delay_s > _CLOCK_DOUBTED_S
    return f"{_duration(max(0.0, device.delay_s))}{' (backlog, or its clock is behind)' if late else ''}"


def _duration(seconds: float) -> str:
    for unit, length_s in _UNITS:
        if seconds >= length_s:
            return f"{seconds / length_s:.1f} {unit}"
    return f"{seconds:.1f} s"

"""Keeps the reports of finished slides."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from uuid import UUID

from pydantic import ValidationError

from edge_agent.contracts import Report
from edge_agent.spool.base import StateEntries

log = logging.getLogger(__name__)

KEPT_COUNT = 200
"""Reports of a few kilobytes each; beyond it the oldest is deleted."""

PREFIX = "report/"

Source = Callable[[str], dict[str, bytes]]
"""The state entries whose key begins with a prefix, in the order in which they were first written."""


class ReportArchive:
    """Reads the kept reports, and creates the entries that keep another one.

    Reports are state entries of the spool, so that a report and the message with it are written in one transaction:
    there is never one without the other, whenever the device is killed. The spool's repair and locking cover the
    reports too, and they need no place of their own. Any thread may use the archive.
    """

    def __init__(self, source: Source) -> None:
        """``source`` is a spool's ``state_entries``, or a function that reads them from a spool's file."""
        self._source = source

    def entries_with(self, report: Report) -> StateEntries:
        """The entries to write, together with the report's message, to keep the report."""
        kept = list(self._source(PREFIX))
        oldest = kept[: max(0, len(kept) + 1 - KEPT_COUNT)]
        return {**dict.fromkeys(oldest), _key(report.id): report.to_json()}

    def reports(self) -> list[Report]:
        """All kept reports, the newest first. A report that cannot be read is left in place and logged."""
        return list(self._read(self._source(PREFIX)))[::-1]

    def find(self, report_id: UUID) -> Report | None:
        """The report with this id; None if it is not kept, or cannot be read."""
        key = _key(report_id)
        return next(self._read({name: value for name, value in self._source(key).items() if name == key}), None)

    def _read(self, entries: dict[str, bytes]) -> Iterator[Report]:
        for key, value in entries.items():
            try:
                yield Report.model_validate_json(value)
            except ValidationError as error:
                # A newer release may have written it, and may read it again.
                log.warning("the state entry '%s' is not a report of this release: %s", key, error.error_count())


def _key(report_id: UUID) -> str:
    return f"{PREFIX}{report_id}"

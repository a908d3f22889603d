"""Writes one Bundle per slide, entry by entry: neither the slides nor the readings of one need fit into memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import quote
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, select

from edge_agent.atomic_file import new_file
from edge_agent.collector.export.columns import EXPORTED
from edge_agent.collector.export.fhir.codes import code_systems, markings
from edge_agent.collector.export.fhir.device import device, device_identity
from edge_agent.collector.export.fhir.identity import derived_uuid, identifier, urn
from edge_agent.collector.export.fhir.observation import observation
from edge_agent.collector.export.fhir.specimen import Slide, specimens
from edge_agent.collector.export.fhir.summary import ReportedReadings, slide_report, slide_summary
from edge_agent.collector.export.fhir.validation import fault_of
from edge_agent.collector.export.selection import Selection, stream
from edge_agent.collector.tables import reports, results

READINGS_COUNT = 5000
"""Most readings of one Bundle: about 25 MB. A slide with more readings has several Bundles."""

CODE_SYSTEMS_NAME = "code-systems.json"


@dataclass(slots=True)
class WrittenBundles:
    """Counts of the written Bundles and readings."""

    readings_count: int = 0
    slides_count: int = 0
    files_count: int = 0
    without_slide_count: int = 0
    """Readings that belong to no slide. FHIR has no place for them."""
    refused_count: int = 0
    """Readings that are not valid in FHIR."""
    first_fault: str | None = None

    def count(self, row: Row[Any], fault: str | None) -> None:
        """Count a reading; ``fault`` says why it could not be written."""
        if fault is None:
            self.readings_count += 1
            return
        self.refused_count += 1
        self.first_fault = self.first_fault or f"reading {row.id}: {fault}"


def write_bundles(
    connection: Connection,
    selection: Selection,
    folder: Path,
    *,
    transaction: bool = False,
    readings_count: int = READINGS_COUNT,
) -> WrittenBundles:
    """Write ``SITE_SPECIMEN_SLIDE.json`` for each slide with a selected reading, and the code systems, into ``folder``.

    With ``transaction`` a server accepts a Bundle as it is, and accepting it a second time creates nothing twice.
    Raises ``OSError``, and SQLAlchemy's errors.
    """
    written = WrittenBundles()
    folder.mkdir(parents=True, exist_ok=True)
    with new_file(folder / CODE_SYSTEMS_NAME) as file, _Bundle(file, transaction=transaction) as bundle:
        for each in code_systems():
            bundle.add(derived_uuid("code-system", each["url"]), each, f"url={each['url']}")
    for slide, readings in groupby(_rows(connection, selection), _slide_of):
        written.slides_count += 1
        # Each reading that this loop takes begins another Bundle of the slide.
        for part, first in enumerate(readings, start=1):
            summaries = _summaries(connection, selection, slide) if part == 1 else ()
            with (
                new_file(folder / _file_name(slide, part)) as file,
                _Bundle(file, transaction=transaction) as bundle,
            ):
                writing = _SlideBundle(bundle, slide, part, summaries)
                for row in chain([first], islice(readings, readings_count - 1)):
                    written.count(row, writing.add(row))
                writing.finish()
            written.files_count += 1
    written.without_slide_count = _count_without_slide(connection, selection)
    return written


def _slide_of(row: Row[Any]) -> Slide:
    return Slide(row.site, row.specimen, row.slide)


def _file_name(slide: Slide, part: int) -> str:
    names = (quote(slide.site, safe=""), quote(slide.specimen, safe=""), f"{slide.number:03}")
    return f"{'_'.join(names)}{'' if part == 1 else f'_part-{part}'}.json"


def _rows(connection: Connection, selection: Selection) -> Iterator[Row[Any]]:
    query = (
        _selected(selection)
        .where(results.c.specimen.is_not(None), results.c.slide.is_not(None))
        .order_by(results.c.specimen, results.c.slide, results.c.site, results.c.captured_at, results.c.id)
    )
    for rows in stream(connection, query):
        yield from rows


def _selected(selection: Selection) -> Select[Any]:
    names = [column.name for column in EXPORTED["results"].columns if column.name in results.c]
    conditions = selection.conditions(results, EXPORTED["results"].time)
    return select(*(results.c[name] for name in names)).where(*conditions)


def _count_without_slide(connection: Connection, selection: Selection) -> int:
    conditions = selection.conditions(results, EXPORTED["results"].time)
    query = select(func.count()).select_from(results).where(*conditions, results.c.specimen.is_(None))
    return connection.scalar(query) or 0


def _summaries(connection: Connection, selection: Selection, slide: Slide) -> Iterable[Row[Any]]:
    query = (
        select(*(column for column in reports.c if column.name != "payload"))
        .where(reports.c.site == slide.site, reports.c.specimen == slide.specimen, reports.c.slide == slide.number)
        .where(*selection.conditions(reports, EXPORTED["reports"].time))
        .order_by(reports.c.finished_at, reports.c.id)
    )
    return connection.execute(query).all()


class _Bundle:
    """A Bundle that is being written: its entries so far are in the file already."""

    def __init__(self, file: BinaryIO, *, transaction: bool) -> None:
        self._file, self._transaction = file, transaction
        self._entries_count = 0
        self._demonstration = self._provisional = False
        head = {"resourceType": "Bundle", "type": "transaction" if transaction else "collection"}
        file.write(_json(head)[:-1] + b',"entry":[')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            # Written last, because only now it is known what the entries are.
            meta = markings(demonstration=self._demonstration, provisional=self._provisional)
            self._file.write(b'\n],"meta":' + _json(meta) + b"}\n")

    def mark(self, *, demonstration: bool, provisional: bool) -> None:
        """Mark the whole Bundle like one of its entries."""
        self._demonstration |= demonstration
        self._provisional |= provisional

    def add(self, identity: UUID, resource: dict[str, Any], search: str | None = None) -> None:
        """Add an entry; ``search`` is the query by which a server finds a resource that it already has."""
        entry: dict[str, Any] = {"fullUrl": urn(identity), "resource": resource}
        if self._transaction:
            kind, known = resource["resourceType"], identifier(identity)
            query = search or f"identifier={known['system']}|{known['value']}"
            entry["request"] = {"method": "PUT", "url": f"{kind}?{quote(query, safe='=:/|')}"}
        self._file.write((b"," if self._entries_count else b"") + b"\n" + _json(entry))
        self._entries_count += 1


class _SlideBundle:
    """The Bundle of a slide, or of a part of its readings."""

    def __init__(self, bundle: _Bundle, slide: Slide, part: int, summaries: Iterable[Row[Any]]) -> None:
        self._bundle, self._slide, self._part = bundle, slide, part
        self._devices: set[UUID] = set()
        self._summaries: list[UUID] = []
        self._readings: ReportedReadings | None = None
        for identity, resource in specimens(slide):
            bundle.add(identity, resource)
        for row in summaries:
            resource = slide_summary(row, slide)
            if fault_of(resource) is None:
                bundle.add(row.id, resource)
                self._summaries.append(row.id)

    def add(self, row: Row[Any]) -> str | None:
        """Add a reading, after its device. Returns why it cannot be added, None if it was."""
        if self._readings is not None and row.id in self._readings.identities:
            return "it is stored twice, with another time"
        reader = device_identity(row)
        resource = observation(row, slide=self._slide.identity, device=reader)
        if (fault := fault_of(resource)) is not None:
            return fault
        if reader not in self._devices:
            described = device(row)
            if (fault := fault_of(described)) is not None:
                return fault
            self._bundle.add(reader, described)
            self._devices.add(reader)
        self._bundle.add(row.id, resource)
        self._count(row)
        return None

    def _count(self, row: Row[Any]) -> None:
        if self._readings is None:
            self._readings = ReportedReadings({}, row.captured_at, row.captured_at, row.received_at)
        readings = self._readings
        readings.identities[row.id] = None
        readings.first_at = min(readings.first_at, row.captured_at)
        readings.last_at = max(readings.last_at, row.captured_at)
        readings.newest_received_at = max(readings.newest_received_at, row.received_at)
        readings.demonstration |= row.demonstration
        readings.provisional |= row.provisional

    def finish(self) -> None:
        """Add the report, which refers to everything before it."""
        if self._readings is None:
            return
        self._bundle.mark(demonstration=self._readings.demonstration, provisional=self._readings.provisional)
        identity = derived_uuid("report", self._slide.site, self._slide.name, self._part)
        self._bundle.add(identity, slide_report(identity, self._slide, self._readings, self._summaries))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

"""Reads Bundles, and stores readings of every kind for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from edge_agent.collector.export.fhir.bundles import CODE_SYSTEMS_NAME, WrittenBundles, write_bundles
from edge_agent.collector.export.selection import Selection, open_reading
from edge_agent.contracts import Outcome, Reason, Specimen
from edge_agent.specimens.cell_tally import CellTally
from tests.collecting import make_report
from tests.slides import TYPES, differential
from tests.unit.collector.export.stored import readings, store

BUNDLES = {
    "S-0001-A": {"demonstration": False},
    "S-0002-A": {"demonstration": False, "provisional": True},
    "S-0003-A": {"demonstration": True},
}
"""Specimens of a model that may give labels, of a provisional one, and of a demonstration."""

CELLS = CellTally().adding(differential(blast=3, lymphocyte=1, refused=2), TYPES).differential()
"""The cells of each slide."""

SEEDED_COUNT = 16
"""Enough for every outcome to occur."""


def store_every_kind(engine: Engine) -> None:
    for specimen, kind in BUNDLES.items():
        taken = readings(SEEDED_COUNT, specimen=specimen, **kind)
        if kind.get("provisional"):
            # As in the agent, a model without proof gives no label.
            taken = [
                each.model_copy(
                    update={
                        "outcome": Outcome.ABSTAINED,
                        "reason": Reason.MODEL_UNPROVEN,
                        "label": None,
                        "malignant": None,
                    }
                )
                if each.outcome is Outcome.CLASSIFIED
                else each
                for each in taken
            ]
        taken[1] = taken[1].model_copy(update={"reason": "a_later_reason"} if taken[1].reason else {})
        store(engine, taken)
        store(engine, [make_report(specimen=Specimen(id=specimen, slide=1), differential=CELLS, **kind)])


def write(engine: Engine, folder: Path, **settings: Any) -> WrittenBundles:
    with open_reading(engine) as connection:
        return write_bundles(connection, settings.pop("selection", Selection()), folder, **settings)


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The Bundles by file name."""
    return {path.name: json.loads(path.read_bytes()) for path in sorted(folder.iterdir())}


def slides(folder: Path) -> dict[str, dict[str, Any]]:
    """The Bundles of slides, by specimen."""
    return {name.split("_")[1]: each for name, each in read(folder).items() if name != CODE_SYSTEMS_NAME}


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


def field_readings(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in resources(bundle, "Observation") if code_of(each["code"]) == "field-reading"]


def code_of(concept: dict[str, Any]) -> str:
    return str(concept["coding"][0]["code"])


def codings(value: Any) -> Iterator[dict[str, str]]:
    """Every coding anywhere within ``value``."""
    if isinstance(value, dict):
        if {"system", "code"} <= value.keys():
            yield value
        for each in value.values():
            yield from codings(each)
    elif isinstance(value, list):
        for each in value:
            yield from codings(each)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)

"""Exported Bundles against HL7's own definitions of R4, read by other people's programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft6Validator

from edge_agent.collector.database import open_database
from edge_agent.collector.schema import migrate
from edge_agent.collector.settings import DatabaseSettings
from tests.node_tools import NodeTools
from tests.unit.collector.export.fhir.bundle import codings, store_every_kind, write

SCRIPT = Path(__file__).parents[1] / "tools" / "validate_fhir.cjs"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Bundles of every outcome, of a provisional model and of a demonstration; collections and transactions."""
    folder = tmp_path_factory.mktemp("fhir")
    engine = open_database(DatabaseSettings(url=f"sqlite:///{folder / 'collected.db'}"))
    migrate(engine)
    store_every_kind(engine)
    write(engine, folder / "collection")
    write(engine, folder / "transaction", transaction=True)
    engine.dispose()
    return sorted(folder.glob("*/*.json"))


@pytest.fixture(scope="module")
def definitions(node_tools: NodeTools) -> Path:
    """Folder of HL7's definitions of R4."""
    return node_tools.modules / "@medplum" / "definitions" / "dist" / "fhir" / "r4"


def validate(node_tools: NodeTools, *paths: Path) -> dict[str, Any]:
    done = node_tools.run(SCRIPT, *paths)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_bundles_are_valid_r4_with_its_invariants(node_tools: NodeTools, exported: list[Path]) -> None:
    found = validate(node_tools, *exported)
    assert found["version"] == "4.0.1"
    assert found["resources"] > 100
    assert found["problems"] == []


def test_the_validator_finds_what_is_wrong(node_tools: NodeTools, exported: list[Path], tmp_path: Path) -> None:
    """Without this, a validator that checks nothing would pass."""
    bundle = json.loads(next(path for path in exported if "S-0001-A" in path.name).read_bytes())
    [observation] = [entry["resource"] for entry in bundle["entry"] if "valueCodeableConcept" in entry["resource"]][:1]
    observation |= {"dataAbsentReason": {"text": "both"}, "patient": {"display": "nobody"}, "issued": "yesterday"}
    del observation["code"]
    bundle["entry"][0]["request"] = {"method": "PUT", "url": "Specimen"}
    damaged = tmp_path / "damaged.json"
    damaged.write_text(json.dumps(bundle))
    texts = " ".join(each["text"] for each in validate(node_tools, damaged)["problems"])
    for expected in ("obs-6", "bdl-3", "patient", "instant", "Observation.code"):
        assert expected in texts


def test_every_resource_follows_hl7s_json_schema(definitions: Path, exported: list[Path]) -> None:
    schema = json.loads((definitions / "fhir.schema.json").read_bytes())

    @cache
    def validator(kind: str) -> Draft6Validator:
        return Draft6Validator({"$ref": f"#/definitions/{kind}", "definitions": schema["definitions"]})

    kinds = set()
    for bundle in map(json.loads, (path.read_bytes() for path in exported)):
        for entry in bundle["entry"]:
            resource = entry.pop("resource")
            kinds.add(resource["resourceType"])
            validator(resource["resourceType"]).validate(resource)
        # The entries' resources have been checked; 146 alternatives for each would take minutes.
        validator("Bundle").validate(bundle)
    assert kinds == {"CodeSystem", "Device", "DiagnosticReport", "Observation", "Specimen"}
    with pytest.raises(Exception, match="nonsense"):
        validator("Observation").validate({"resourceType": "Observation", "status": "nonsense", "code": {}})


def test_every_code_of_hl7_exists_with_that_display(definitions: Path, exported: list[Path]) -> None:
    known = {
        (system, code): display
        for name in ("valuesets.json", "v2-tables.json", "v3-codesystems.json")
        for system, code, display in _codes(definitions / name)
    }
    used = {
        (each["system"], each["code"], each["display"])
        for path in exported
        for each in codings(json.loads(path.read_bytes()))
        if each["system"].startswith("http://terminology.hl7.org/")
    }
    assert len(used) >= 7
    for system, code, display in used:
        assert known[system, code] == display


def _codes(path: Path) -> Iterator[tuple[str, str, str | None]]:
    for entry in json.loads(path.read_bytes())["entry"]:
        if entry["resource"]["resourceType"] == "CodeSystem":
            yield from _concepts(entry["resource"]["url"], entry["resource"].get("concept", []))


def _concepts(system: str, concepts: list[dict[str, Any]]) -> Iterator[tuple[str, str, str | None]]:
    for concept in concepts:
        yield system, concept["code"], concept.get("display")
        yield from _concepts(system, concept.get("concept", []))

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update

from edge_agent.collector.export.fhir.codes import BASE
from edge_agent.collector.export.fhir.narrative import NOTICE, narrative, plain_text
from edge_agent.collector.export.fhir.validation import fault_of
from edge_agent.collector.export.selection import Selection
from edge_agent.collector.tables import results
from edge_agent.contracts import Outcome, Specimen, Topics
from edge_agent.specimens.cell_tally import CellTally
from tests.collecting import NOW, make_report, make_result
from tests.slides import TYPES, differential
from tests.unit.collector.export.fhir.bundle import (
    SEEDED_COUNT,
    code_of,
    codings,
    field_readings,
    read,
    references,
    resources,
    slides,
    store_every_kind,
    write,
)
from tests.unit.collector.export.stored import readings, store


@pytest.fixture
def written(sqlite_engine: Engine, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """The Bundles of readings of every kind, by specimen."""
    store_every_kind(sqlite_engine)
    write(sqlite_engine, tmp_path / "out")
    return slides(tmp_path / "out")


def rows(engine: Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        return {str(row.id): row for row in connection.execute(select(results))}


def of_row(observation: dict[str, Any]) -> str:
    return str(observation["identifier"][0]["value"]).removeprefix("urn:uuid:")


def component(observation: dict[str, Any], code: str) -> dict[str, Any] | None:
    return next((each for each in observation["component"] if code_of(each["code"]) == code), None)


def test_every_reading_of_a_slide_is_an_observation_with_its_figures(
    written: dict[str, dict[str, Any]], sqlite_engine: Engine
) -> None:
    stored = rows(sqlite_engine)
    seen = Counter[str]()
    for observation in field_readings(written["S-0001-A"]):
        row = stored[of_row(observation)]
        seen[row.outcome] += 1
        assert observation["effectiveDateTime"] == row.captured_at.isoformat(timespec="microseconds").replace(
            "+00:00", "Z"
        )
        probabilities = {
            code_of(each["code"]): each["valueQuantity"]["value"]
            for each in observation["component"]
            if each["code"]["coding"][0]["system"].endswith("/label-probability")
        }
        assert probabilities == (row.probabilities or {})
        latency = component(observation, "latency-total-ms")
        assert latency is not None
        assert latency["valueQuantity"] == {
            "value": row.latency_total_ms, "unit": "ms", "system": "http://unitsofmeasure.org", "code": "ms",
        }  # fmt: skip
    assert seen.keys() == set(Outcome)
    assert seen.total() == SEEDED_COUNT


def test_only_a_classified_reading_has_a_value_and_every_other_says_why_not(
    written: dict[str, dict[str, Any]], sqlite_engine: Engine
) -> None:
    stored = rows(sqlite_engine)
    expected = {
        Outcome.CLASSIFIED: (None, "preliminary"),
        Outcome.ABSTAINED: ("unknown", "preliminary"),
        Outcome.REJECTED: ("not-performed", "preliminary"),
        Outcome.FAILED: ("error", "cancelled"),
    }
    for observation in field_readings(written["S-0001-A"]):
        row = stored[of_row(observation)]
        absent, status = expected[row.outcome]
        assert observation["status"] == status
        if absent is None:
            assert code_of(observation["valueCodeableConcept"]) == row.label
            assert "dataAbsentReason" not in observation
        else:
            assert "valueCodeableConcept" not in observation
            reason, own = observation["dataAbsentReason"]["coding"]
            assert reason["code"] == absent
            assert own["code"] == (row.reason or row.error_code)


@pytest.mark.parametrize(("specimen", "tag"), [("S-0002-A", "provisional"), ("S-0003-A", "demonstration")])
def test_what_proves_nothing_never_looks_like_a_finding(
    written: dict[str, dict[str, Any]], specimen: str, tag: str
) -> None:
    bundle = written[specimen]
    everything = json.dumps(bundle)
    for observation in resources(bundle, "Observation"):
        assert not {"valueCodeableConcept", "interpretation"} & observation.keys()
        assert tag in {each["code"] for each in observation["meta"]["tag"]}
        codes = {code_of(each["code"]) for each in observation["component"]}
        assert not codes & {"malignant-ratio", "confidence-ratio", "malignant-count", "low-ratio", "high-ratio"}
        assert not codes & {"blasts-count", "blast-ratio", "blast-low-ratio", "blast-high-ratio"}
    for system in ("label", "label-probability", "label-count", "type-count"):
        assert f"{BASE}/CodeSystem/{system}" not in {each["system"] for each in codings(bundle)}
    assert "early-pre-b" not in everything
    assert tag in {each["code"] for each in bundle["meta"]["tag"]}
    [report] = resources(bundle, "DiagnosticReport")
    assert tag in {each["code"] for each in report["meta"]["tag"]}


def summary_of(bundle: dict[str, Any]) -> dict[str, float]:
    """The figures of the slide's summary, by their codes."""
    [found] = [each for each in resources(bundle, "Observation") if code_of(each["code"]) == "slide-summary"]
    return {code_of(each["code"]): each["valueQuantity"]["value"] for each in found["component"]}


def test_a_slides_summary_has_its_cells_by_type(written: dict[str, dict[str, Any]]) -> None:
    found = summary_of(written["S-0001-A"])
    assert (found["cells-judged-count"], found["cells-refused-count"], found["blasts-count"]) == (4, 2, 3)
    assert (found["blast-ratio"], found["blast"], found["lymphocyte"], found["smudge"]) == (0.75, 3, 1, 0)
    assert found["blast-low-ratio"] < 0.75 < found["blast-high-ratio"]


def test_of_cells_that_all_were_refused_no_count_of_blasts_is_given(engine: Engine, tmp_path: Path) -> None:
    refused = CellTally().adding(differential(refused=2), TYPES).differential()
    specimen = Specimen(id="S-0009-A", slide=1)
    store(engine, readings(1, specimen=specimen.id, demonstration=False))
    store(engine, [make_report(specimen=specimen, demonstration=False, differential=refused)])
    write(engine, tmp_path / "out")
    found = summary_of(slides(tmp_path / "out")["S-0009-A"])
    assert (found["cells-judged-count"], found["cells-refused-count"]) == (0, 2)
    assert not {"blasts-count", "blast-ratio", "blast"} & found.keys()


def test_a_demonstration_has_no_proper_value_whatever_its_outcome(written: dict[str, dict[str, Any]]) -> None:
    reasons = {code_of(each["dataAbsentReason"]) for each in field_readings(written["S-0003-A"])}
    assert reasons == {"not-applicable"}


def test_test_data_are_marked_as_hl7_marks_them(written: dict[str, dict[str, Any]]) -> None:
    for specimen, is_test in (("S-0001-A", False), ("S-0003-A", True)):
        for each in (written[specimen], *field_readings(written[specimen])):
            codes = [label["code"] for label in each["meta"]["security"]]
            assert codes == (["HRESCH", "HTEST"] if is_test else ["HRESCH"])


def test_every_resource_says_that_it_is_for_research_and_none_is_about_a_patient(
    written: dict[str, dict[str, Any]],
) -> None:
    for bundle in written.values():
        for entry in bundle["entry"]:
            resource = entry["resource"]
            assert NOTICE in resource["text"]["div"]
            assert resource["meta"]["tag"][0]["code"] == "research-only"
            assert resource["resourceType"] != "Patient"
            assert (
                not {"subject", "patient", "encounter", "performer", "conclusion", "conclusionCode"} & resource.keys()
            )
            assert resource.get("status", "partial") in {"partial", "preliminary", "cancelled"}


def test_references_stay_within_the_bundle_and_lead_to_the_right_kind(written: dict[str, dict[str, Any]]) -> None:
    for bundle in written.values():
        kinds = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in bundle["entry"]}
        assert len(kinds) == len(bundle["entry"])
        assert set(references(bundle)) <= kinds.keys()
        for observation in field_readings(bundle):
            assert kinds[observation["device"]["reference"]] == "Device"
        for observation in resources(bundle, "Observation"):
            assert kinds[observation["specimen"]["reference"]] == "Specimen"
        [report] = resources(bundle, "DiagnosticReport")
        assert report["status"] == "partial"
        assert [kinds[each["reference"]] for each in report["specimen"]] == ["Specimen"]
        results_of = [each["reference"] for each in report["result"]]
        assert set(results_of) == {url for url, kind in kinds.items() if kind == "Observation"}
        assert len(results_of) == SEEDED_COUNT + 1


def test_every_local_code_is_defined_in_the_code_systems(written: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    systems = {each["url"]: each for each in resources(read(tmp_path / "out")["code-systems.json"], "CodeSystem")}
    used = {(each["system"], each["code"]) for bundle in written.values() for each in codings(bundle)}
    for system, code in used:
        if not system.startswith(f"{BASE}/CodeSystem/"):
            continue
        defined = systems[system]
        if defined["content"] == "complete" and code != "a_later_reason":
            assert code in {each["code"] for each in defined["concept"]}, (system, code)


def test_the_models_of_fhir_resources_accept_whole_bundles(sqlite_engine: Engine, tmp_path: Path) -> None:
    store_every_kind(sqlite_engine)
    for transaction in (False, True):
        write(sqlite_engine, tmp_path / "out", transaction=transaction)
        for bundle in read(tmp_path / "out").values():
            Bundle.model_validate(bundle)


def test_the_same_rows_make_the_same_files(sqlite_engine: Engine, tmp_path: Path) -> None:
    store_every_kind(sqlite_engine)
    for name in ("a", "b"):
        write(sqlite_engine, tmp_path / name)
    assert read(tmp_path / "a") == read(tmp_path / "b")


def test_a_server_can_take_a_transaction_twice(sqlite_engine: Engine, tmp_path: Path) -> None:
    store(sqlite_engine, readings(3))
    write(sqlite_engine, tmp_path / "out", transaction=True)
    for bundle in read(tmp_path / "out").values():
        assert bundle["type"] == "transaction"
        searched = [(entry["request"]["method"], entry["request"]["url"]) for entry in bundle["entry"]]
        assert len(set(searched)) == len(searched)
        for (method, url), entry in zip(searched, bundle["entry"], strict=True):
            assert method == "PUT"
            kind, _, query = url.partition("?")
            assert kind == entry["resource"]["resourceType"]
            if kind == "CodeSystem":
                assert query == f"url={entry['resource']['url']}"
            else:
                known = entry["resource"]["identifier"][0]
                assert query == f"identifier={known['system']}|{known['value']}"


def test_slides_of_two_sites_with_the_same_specimen_are_two(engine: Engine, tmp_path: Path) -> None:
    store(engine, [*readings(3), *readings(2, topics=Topics("south-clinic", "scope-1")), *readings(4, slide=2)])
    done = write(engine, tmp_path / "out")
    assert (done.readings_count, done.slides_count, done.files_count) == (9, 3, 3)
    counts = {name: len(field_readings(bundle)) for name, bundle in read(tmp_path / "out").items()}
    assert counts == {
        "code-systems.json": 0,
        "north-clinic_S-7K3F-92QX_001.json": 3,
        "north-clinic_S-7K3F-92QX_002.json": 4,
        "south-clinic_S-7K3F-92QX_001.json": 2,
    }
    identities = [
        each["identifier"][0]["value"]
        for bundle in read(tmp_path / "out").values()
        for each in resources(bundle, "Specimen")
    ]
    # A specimen's resource is the same in the Bundles of both of its slides.
    assert len(identities) == 6
    assert len(set(identities)) == 5


def test_a_slide_with_more_readings_than_a_bundle_may_have_gets_several(sqlite_engine: Engine, tmp_path: Path) -> None:
    store(sqlite_engine, readings(7))
    done = write(sqlite_engine, tmp_path / "out", readings_count=3)
    assert (done.slides_count, done.files_count) == (1, 3)
    bundles = read(tmp_path / "out")
    counts = {name: len(field_readings(bundle)) for name, bundle in bundles.items() if name != "code-systems.json"}
    assert counts == {
        "north-clinic_S-7K3F-92QX_001.json": 3,
        "north-clinic_S-7K3F-92QX_001_part-2.json": 3,
        "north-clinic_S-7K3F-92QX_001_part-3.json": 1,
    }
    reported = [
        each["identifier"][0]["value"] for bundle in bundles.values() for each in resources(bundle, "DiagnosticReport")
    ]
    assert len(set(reported)) == 3


def test_readings_without_a_slide_are_counted_and_left_out(sqlite_engine: Engine, tmp_path: Path) -> None:
    store(sqlite_engine, [*readings(2), *readings(3, specimen=None)])
    done = write(sqlite_engine, tmp_path / "out")
    assert (done.readings_count, done.without_slide_count) == (2, 3)


def test_a_selection_holds_for_readings_and_reports(sqlite_engine: Engine, tmp_path: Path) -> None:
    store_every_kind(sqlite_engine)
    chosen = Selection(since=NOW + timedelta(seconds=10), until=NOW + timedelta(seconds=12), specimen="S-0001-A")
    done = write(sqlite_engine, tmp_path / "out", selection=chosen)
    assert (done.readings_count, done.files_count) == (2, 1)
    # The slide's report is from an earlier time.
    assert len(resources(slides(tmp_path / "out")["S-0001-A"], "Observation")) == 2


def test_another_model_is_another_device(sqlite_engine: Engine, tmp_path: Path) -> None:
    [first, second] = readings(2)
    store(
        sqlite_engine,
        [first, second.model_copy(update={"model": second.model.model_copy(update={"version": "2.0.0"})})],
    )
    write(sqlite_engine, tmp_path / "out")
    [bundle] = slides(tmp_path / "out").values()
    versions = [[each["value"] for each in device["version"]] for device in resources(bundle, "Device")]
    assert [each[1] for each in versions] == ["simulated 1.0.0", "simulated 2.0.0"]
    assert len({each["device"]["reference"] for each in field_readings(bundle)}) == 2


def test_one_reading_that_is_not_valid_in_fhir_does_not_stop_the_rest(sqlite_engine: Engine, tmp_path: Path) -> None:
    taken = readings(3)
    store(sqlite_engine, taken)
    with sqlite_engine.begin() as connection:
        # No agent makes such a label; a foreign program may.
        wrong = update(results).where(results.c.id == taken[1].id)
        connection.execute(wrong.values(demonstration=False, outcome="classified", label="two  words \n"))
    done = write(sqlite_engine, tmp_path / "out")
    assert (done.readings_count, done.refused_count) == (2, 1)
    assert done.first_fault is not None
    assert str(taken[1].id) in done.first_fault
    [bundle] = slides(tmp_path / "out").values()
    assert {of_row(each) for each in field_readings(bundle)} == {str(taken[0].id), str(taken[2].id)}


def test_an_id_that_is_stored_twice_is_written_once(sqlite_engine: Engine, tmp_path: Path) -> None:
    [first] = readings(1)
    store(sqlite_engine, [first, first.model_copy(update={"captured_at": NOW + timedelta(days=1)})])
    done = write(sqlite_engine, tmp_path / "out")
    assert (done.readings_count, done.refused_count) == (1, 1)


def test_doubts_about_a_reading_are_noted(sqlite_engine: Engine, tmp_path: Path) -> None:
    reading = make_result(0)
    clock = reading.clock.model_copy(update={"synchronised": False})
    [of_slide] = readings(1)
    place = of_slide.specimen
    assert place is not None
    repeated = place.model_copy(update={"field": 4, "repeats_field": 2})
    store(sqlite_engine, [of_slide.model_copy(update={"clock": clock, "specimen": repeated})])
    write(sqlite_engine, tmp_path / "out")
    [bundle] = slides(tmp_path / "out").values()
    [observation] = field_readings(bundle)
    notes = " ".join(each["text"] for each in observation["note"])
    assert "not synchronised" in notes
    assert "Field 2" in notes
    field = component(observation, "field")
    assert field is not None
    assert field["valueInteger"] == 4


@given(st.text(max_size=30))
def test_any_text_makes_a_valid_resource(text: str) -> None:
    resource = {
        "resourceType": "Device",
        "text": narrative(text),
        "version": [{"value": plain_text(text)}],
    }
    assert fault_of(resource) is None


def test_identities_are_uuids(written: dict[str, dict[str, Any]]) -> None:
    for bundle in written.values():
        for entry in bundle["entry"]:
            UUID(entry["fullUrl"].removeprefix("urn:uuid:"))

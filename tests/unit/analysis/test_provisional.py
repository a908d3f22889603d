"""A bundle without a record: everything that people and programs see says that the bundle is provisional."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Pixels, frame_now
from edge_agent.cli.app import app
from edge_agent.contracts import Outcome, Reason, Topics
from edge_agent.contracts.specimen import Specimen
from edge_agent.inference import Classifier, load_bundle
from edge_agent.specimens.tally import Tally
from edge_agent.vision.settings import QualityLimits

Array = NDArray[np.uint8]


@pytest.fixture
def unrecorded(demo_bundle: Path) -> Path:
    """The demonstration bundle as written by versions before the record."""
    path = demo_bundle / "manifest.json"
    content = json.loads(path.read_text())
    content.pop("evidence", None)
    path.write_text(json.dumps(content))
    return demo_bundle


@pytest.fixture
def provisional(unrecorded: Path) -> Analyzer:
    return Analyzer(Classifier(load_bundle(unrecorded)), QualityLimits())


def test_a_good_field_gets_no_answer(provisional: Analyzer, smear: Array) -> None:
    reading = provisional.analyse(frame_now("camera0", Pixels(smear, ColourOrder.RGB)))
    assert (reading.outcome, reading.reason) == (Outcome.ABSTAINED, Reason.MODEL_UNPROVEN)
    assert (reading.label, reading.malignant, reading.probabilities, reading.malignant_ratio) == (None,) * 4
    assert reading.decision is not None
    assert reading.decision.confidence_ratio is None
    # The heat map would show the location of the class that is withheld.
    assert reading.explanation is not None
    assert reading.explanation.class_activation_map is None


def test_the_result_and_the_slides_report_say_so(provisional: Analyzer, smear: Array) -> None:
    result = ResultMaker("clinic-a", "scope-1", uuid7()).make(
        provisional.analyse(frame_now("camera0", Pixels(smear, ColourOrder.RGB)))
    )
    assert json.loads(result.to_json())["provisional"] is True
    tally = Tally(specimen=Specimen(id="S-7K3F-92QX", slide=1), began_at=datetime.now(UTC)).counting(result)
    assert tally.report(topics=Topics("clinic", "scope-1"), session=uuid7(), model=result.model).provisional


def test_a_rejected_field_says_so_too(provisional: Analyzer) -> None:
    black = np.zeros((224, 224, 3), np.uint8)
    reading = provisional.analyse(frame_now("camera0", Pixels(black, ColourOrder.RGB)))
    assert reading.outcome is Outcome.REJECTED
    assert reading.provisional


def test_classify_says_why(unrecorded: Path, smear: Array, tmp_path: Path) -> None:
    picture = tmp_path / "smear.png"
    cv2.imwrite(str(picture), cv2.cvtColor(smear, cv2.COLOR_RGB2BGR))
    ran = CliRunner().invoke(app, ["classify", str(picture), "--bundle", str(unrecorded)])
    assert ran.exit_code == 0
    assert json.loads(ran.stdout.splitlines()[-1])["reason"] == "model_unproven"
    assert "provisional" in ran.stderr
    assert "no record of figures" in ran.stderr

from __future__ import annotations

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.extraction import ExtractedField, FailedFrame, RejectedFrame
from edge_agent.analysis.reading import PendingReading, Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels, frame_now
from edge_agent.contracts import Outcome, Reason, Result
from edge_agent.errors import ImageError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.cells import find_cells
from edge_agent.vision.preprocessing import DENOISERS
from edge_agent.vision.settings import QualityLimits

Array = NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(Classifier(load_bundle("demo")), QualityLimits())


def rgb(array: Array) -> Frame:
    return frame_now("camera0", Pixels(np.ascontiguousarray(array), ColourOrder.RGB))


def png(array: Array) -> Frame:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return frame_now("camera0", Encoded(buffer.getvalue()))


def result_of(reading: Reading) -> Result:
    """The message, through JSON and back, and thus checked against the contract."""
    return Result.model_validate_json(ResultMaker("clinic-a", "scope-1", uuid7()).make(reading).to_json())


def test_a_good_field_is_classified_with_all_its_evidence(analyzer: Analyzer, smear: Array) -> None:
    reading = analyzer.analyse(rgb(smear))
    assert reading.outcome is Outcome.CLASSIFIED
    result = result_of(reading)
    assert result.demonstration
    assert result.use == "research-only"
    assert result.probabilities is not None
    assert result.label == max(result.probabilities, key=lambda label: (result.probabilities or {})[label])
    assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-4)
    malignant = sum(p for label, p in result.probabilities.items() if label != "benign")
    assert result.malignant_ratio == pytest.approx(malignant, abs=1e-4)
    assert result.nuclei is not None
    assert result.nuclei.count > 0
    assert reading.explanation is not None
    assert reading.explanation.class_activation_map is not None
    stages = {
        "waiting",
        "field",
        "denoising",
        "segmentation",
        "quality",
        "preprocessing",
        "handover",
        "inference",
        "decision",
    }
    assert set(result.latency_ms) == stages | {"total"}
    counted = sum(ms for stage, ms in result.latency_ms.items() if stage not in {"waiting", "total"})
    assert result.latency_ms["total"] == pytest.approx(counted, abs=0.05)


def test_the_same_field_reads_the_same_however_it_arrives(analyzer: Analyzer, smear: Array) -> None:
    as_bgr = frame_now("camera0", Pixels(np.ascontiguousarray(smear[..., ::-1]), ColourOrder.BGR))
    readings = [analyzer.analyse(frame) for frame in (rgb(smear), as_bgr, png(smear))]
    assert len({str(reading.probabilities) for reading in readings}) == 1


def test_a_lie_about_the_colour_order_changes_the_reading(analyzer: Analyzer, smear: Array) -> None:
    lie = frame_now("camera0", Pixels(smear, ColourOrder.BGR))
    assert analyzer.analyse(lie).nuclei != analyzer.analyse(rgb(smear)).nuclei


def grey(array: Array) -> Array:
    return np.repeat(cv2.cvtColor(array, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)


def _nuclei(field: Array) -> NDArray[np.bool_]:
    return find_cells(DENOISERS["median3"](field)).segmentation.mask > 0


def _with_bleached_nuclei(field: Array) -> Array:
    bleached = field.copy()
    bleached[_nuclei(field)] = 255, 150, 255
    return bleached


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda s: (s * 0.2).astype(np.uint8), Reason.UNDER_EXPOSED),
        (np.zeros_like, Reason.UNDER_EXPOSED),
        (lambda s: np.full_like(s, 255), Reason.OVER_EXPOSED),
        (lambda s: np.full_like(s, 251), Reason.OVER_EXPOSED),
        (_with_bleached_nuclei, Reason.OVER_EXPOSED),
        (grey, Reason.NO_COLOUR),
        (lambda s: np.clip(s * (1.0, 0.75, 0.45), 0, 255).astype(np.uint8), Reason.COLOUR_CAST),
        (lambda s: cv2.GaussianBlur(s, (0, 0), 5), Reason.BLURRED),
        (lambda s: s[:100, :100], Reason.FIELD_TOO_SMALL),
        (lambda s: s[:1, :1], Reason.FIELD_TOO_SMALL),
    ],
)
def test_an_unfit_field_is_rejected_with_its_reason(
    analyzer: Analyzer, smear: Array, spoil: object, reason: Reason
) -> None:
    assert callable(spoil)
    reading = analyzer.analyse(rgb(spoil(smear)))
    assert (reading.outcome, reading.reason) == (Outcome.REJECTED, reason)
    assert reading.label is None
    assert reading.probabilities is None
    result_of(reading)


def test_bright_paper_does_not_spoil_a_field(analyzer: Analyzer, smear: Array) -> None:
    bright = smear.copy()
    bright[smear.min(axis=2) > 200] = 255
    assert (bright == 255).all(axis=2).mean() > 0.3
    assert analyzer.analyse(rgb(bright)).reason is not Reason.OVER_EXPOSED


def test_red_cells_are_not_an_empty_field(analyzer: Analyzer) -> None:
    field = np.full((224, 224, 3), (238, 236, 240), np.uint8)
    for x in range(20, 220, 30):
        cv2.circle(field, (x, x), 11, (190, 200, 215), -1)
        cv2.circle(field, (x, 220 - x), 11, (230, 190, 180), -1)
    reading = analyzer.analyse(rgb(field))
    assert (reading.outcome, reading.reason) == (Outcome.REJECTED, Reason.NO_NUCLEATED_CELLS)
    assert result_of(reading).reason is Reason.NO_NUCLEATED_CELLS


@pytest.mark.parametrize("colour", [(238, 236, 240), (225, 205, 215), (150, 150, 140)])
def test_glass_is_an_empty_field_and_not_a_grey_picture(analyzer: Analyzer, colour: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(0).normal(0, 3, (224, 224, 3))
    reading = analyzer.analyse(rgb(np.clip(noise + colour, 0, 255).astype(np.uint8)))
    assert (reading.outcome, reading.reason) == (Outcome.REJECTED, Reason.EMPTY_FIELD)
    assert reading.quality is not None
    assert reading.quality.foreground_pct is not None
    assert reading.quality.foreground_pct < 1


def test_only_a_field_that_is_fit_to_be_judged_waits_for_the_network(analyzer: Analyzer, smear: Array) -> None:
    assert isinstance(analyzer.prepare(analyzer.extract(rgb(smear))), PendingReading)
    for frame, extraction, outcome in (
        (rgb(np.zeros_like(smear)), ExtractedField, Outcome.REJECTED),
        (rgb(smear[:1, :1]), RejectedFrame, Outcome.REJECTED),
        (frame_now("camera0", Encoded(b"broken")), FailedFrame, Outcome.FAILED),
    ):
        extracted = analyzer.extract(frame)
        assert isinstance(extracted, extraction)
        finished = analyzer.prepare(extracted)
        assert isinstance(finished, Reading)
        assert finished.outcome is outcome
        assert "inference" not in finished.latency_ms
        assert analyzer.complete(finished) is finished


def test_a_moving_stage_is_rejected_and_a_resting_one_is_not(analyzer: Analyzer, smear: Array) -> None:
    previous = analyzer.extract(rgb(np.roll(smear, 60, axis=0)))
    moving = analyzer.read(analyzer.extract(rgb(smear)), previous=previous)
    assert (moving.outcome, moving.reason) == (Outcome.REJECTED, Reason.MOVING)
    resting = analyzer.read(analyzer.extract(rgb(smear)), previous=analyzer.extract(rgb(smear)))
    assert resting.outcome is Outcome.CLASSIFIED
    assert resting.quality is not None
    assert resting.quality.motion_pct == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "image_unreadable"), (b"\xff\xd8 cut off", "image_unreadable"), (b"hello", "image_unreadable")],
)
def test_an_unreadable_picture_is_a_failed_reading(analyzer: Analyzer, data: bytes, code: str) -> None:
    reading = analyzer.analyse(frame_now("camera0", Encoded(data)))
    assert reading.outcome is Outcome.FAILED
    assert reading.error is not None
    assert reading.error.code == code
    assert reading.error.remedy
    result_of(reading)


@pytest.mark.parametrize("damage", ["half", "hole", "another's lower half"])
def test_a_damaged_jpeg_is_a_failed_reading_and_not_an_unfamiliar_one(
    analyzer: Analyzer, smear: Array, damage: str
) -> None:
    def jpeg(array: Array) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "JPEG")
        return buffer.getvalue()

    whole, other = jpeg(smear), jpeg(np.ascontiguousarray(smear[::-1]))
    half = len(whole) // 2
    data = {
        "half": whole[:half] + b"\xff\xd9",
        "hole": whole[:half] + whole[half + 500 :],
        "another's lower half": whole[:half] + other[len(other) // 2 :],
    }[damage]
    assert analyzer.analyse(frame_now("camera0", Encoded(whole))).outcome is Outcome.CLASSIFIED
    reading = analyzer.analyse(frame_now("camera0", Encoded(data)))
    assert reading.outcome is Outcome.FAILED
    assert reading.error is not None
    assert reading.error.code == "image_unreadable"
    assert "damaged or cut short" in reading.error.message


def test_a_motion_photo_reads_as_its_still(analyzer: Analyzer, smear: Array) -> None:
    buffer = io.BytesIO()
    Image.fromarray(smear).save(buffer, "JPEG")
    still, film = buffer.getvalue(), b"\0\0\0\x18ftypmp42" + bytes(300_000)
    readings = [analyzer.analyse(frame_now("camera0", Encoded(data))) for data in (still, still + film)]
    assert readings[0].probabilities == readings[1].probabilities
    assert readings[1].outcome is Outcome.CLASSIFIED


def test_an_error_in_a_frames_place_is_a_failed_reading(analyzer: Analyzer) -> None:
    reading = analyzer.analyse(frame_now("camera0", ImageError("slide.jpg cannot be read: permission denied.")))
    assert reading.outcome is Outcome.FAILED
    assert reading.error is not None
    assert "slide.jpg" in reading.error.message


def test_a_defect_of_ours_is_a_failed_reading_and_is_logged(
    smear: Array, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    analyzer = Analyzer(Classifier(load_bundle("demo")), QualityLimits())
    monkeypatch.setattr("edge_agent.analysis.analyzer.find_cells", lambda _field, **_settings: 1 / 0)
    reading = analyzer.analyse(rgb(smear))
    assert reading.outcome is Outcome.FAILED
    assert reading.error is not None
    assert reading.error.code == "analysis_failed"
    assert "ZeroDivisionError" in caplog.text


def test_a_picture_beyond_the_limit_is_refused_before_decoding(smear: Array) -> None:
    analyzer = Analyzer(Classifier(load_bundle("demo")), QualityLimits(), max_pixels=1000)
    reading = analyzer.analyse(png(smear))
    assert reading.error is not None
    assert reading.error.code == "image_too_large"


def test_below_its_threshold_the_model_abstains_and_names_no_class(demo_bundle: object, smear: Array) -> None:
    bundle = load_bundle("demo")
    # The demonstration is certain of its own drawings; at this temperature it is certain of nothing.
    strict = bundle.manifest.model_copy(
        update={
            "temperature": 1000.0,
            "thresholds": bundle.manifest.thresholds.model_copy(update={"min_confidence_ratio": 0.9}),
        }
    )
    reading = Analyzer(Classifier(replace(bundle, manifest=strict)), QualityLimits()).analyse(rgb(smear))
    assert (reading.outcome, reading.reason) == (Outcome.ABSTAINED, Reason.LOW_CONFIDENCE)
    assert reading.label is None
    assert reading.probabilities is not None


def test_numbers_of_a_session_have_no_hole(analyzer: Analyzer, smear: Array) -> None:
    maker = ResultMaker("clinic-a", "scope-1", uuid7())
    made = [maker.make(analyzer.analyse(frame)) for frame in (rgb(smear), rgb(smear[:1, :1]), rgb(smear))]
    assert [result.seq for result in made] == [0, 1, 2]
    assert len({result.id for result in made}) == 3
    assert [result.id for result in made] == sorted(result.id for result in made)

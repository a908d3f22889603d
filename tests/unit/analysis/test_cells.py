"""The results of a cells bundle for cells, and for a field by its cells, alone or beside a bundle for whole fields."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.blast_offset import (
    MAX_BLAST_RATIO,
    MIN_NEUTROPHILS_COUNT,
    NO_OFFSET,
    BlastOffset,
)
from edge_agent.analysis.cell_analyzer import CellAnalyzer
from edge_agent.analysis.cell_judge import CellJudge
from edge_agent.analysis.cell_judgement import CellJudgement
from edge_agent.analysis.cell_scale import configured_scale
from edge_agent.analysis.reading import Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels, frame_now
from edge_agent.cameras.smear import draw_smear
from edge_agent.contracts import Manifest, Outcome, Reason, Result
from edge_agent.contracts.manifest import Thresholds
from edge_agent.errors import BundleWrongKind, ImageError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import MANIFEST, shipped_bundles
from edge_agent.inference.decision import decide
from edge_agent.vision.settings import QualityLimits
from tests.cells import ALL_FAMILIAR, make_cells_bundle
from tests.heads import write_head

Array = NDArray[np.uint8]
UM_PER_PIXEL = 0.1
MakeAnalyzer = Callable[..., Analyzer]


@pytest.fixture(scope="module")
def frame() -> Frame:
    rgb = draw_smear(np.random.default_rng(3), "pre-b", size_px=(900, 1200), um_per_pixel=UM_PER_PIXEL)[0]
    return frame_now("camera0", Pixels(rgb, ColourOrder.RGB))


@pytest.fixture
def analyzer_of(tmp_path: Path) -> MakeAnalyzer:
    def make(**changes: Any) -> Analyzer:
        bundle = load_bundle(make_cells_bundle(tmp_path / "cells", **changes))
        return Analyzer(Classifier(bundle), QualityLimits(), um_per_pixel=UM_PER_PIXEL)

    return make


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return Classifier(load_bundle(make_cells_bundle(tmp_path_factory.mktemp("bundles") / "cells")))


def result_of(reading: Reading) -> Result:
    """The message, through JSON and back, and thus checked against the contract."""
    return Result.model_validate_json(ResultMaker("clinic-a", "scope-1", uuid7()).make(reading).to_json())


def test_a_field_is_classified_by_its_cells(analyzer_of: MakeAnalyzer, frame: Frame) -> None:
    reading = analyzer_of(max_cells_count=6).analyse(frame)
    result = result_of(reading)
    assert (result.outcome, result.reason, result.demonstration) == (Outcome.CLASSIFIED, None, True)
    assert {"cells", "decision"} <= result.latency_ms.keys()
    assert "inference" not in result.latency_ms
    judged = [cell for cell in result.cells if cell.type is not None]
    refused = [cell for cell in result.cells if cell.refusal is not None]
    found = result.differential
    assert found is not None
    assert result.nuclei is not None
    assert found.cells_count == result.nuclei.count > found.judged_count == len(judged) == 6
    assert found.refused_count == len(refused) > 0
    assert {cell.refusal for cell in refused} == {Reason.CELL_CUT}
    assert found.types_count == {
        code: sum(cell.type == code for cell in judged) for code in ("benign", "early-pre-b", "pre-b", "pro-b")
    }
    assert found.blasts_count == sum(cell.type != "benign" for cell in judged)
    assert found.blast_ratio == pytest.approx(found.blasts_count / len(judged))
    assert found.model == result.model
    assert result.malignant_ratio == pytest.approx(np.mean([cell.blast_ratio for cell in judged]), abs=1e-5)
    assert result.label in {cell.type for cell in judged}
    assert reading.explanation is not None
    windows = [each for each in reading.explanation.cell_windows if isinstance(each, np.ndarray)]
    assert len(reading.explanation.cell_windows) == len(result.cells)
    assert len(windows) == 6


def test_each_nucleus_lies_in_its_box(analyzer_of: MakeAnalyzer, frame: Frame) -> None:
    assert isinstance(frame.image, Pixels)
    upright = frame_now("camera0", Pixels(np.ascontiguousarray(np.rot90(frame.image.array)), ColourOrder.RGB))
    analyzer = analyzer_of()
    for each in (frame, upright):
        assert isinstance(each.image, Pixels)
        height, width = each.image.array.shape[:2]
        found = result_of(analyzer.analyse(each)).cells
        assert found
        for cell in found:
            assert None not in (cell.left_px, cell.top_px, cell.width_px, cell.height_px)
            left, top, wide, high = cell.left_px or 0, cell.top_px or 0, cell.width_px or 0, cell.height_px or 0
            assert (left + wide / 2, top + high / 2) == pytest.approx((cell.x_px, cell.y_px), abs=0.2)
            assert 0 <= left < left + wide <= width + 0.1
            assert 0 <= top < top + high <= height + 0.1
            assert cell.nucleus_area_px <= 1.1 * wide * high


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"thresholds": {**ALL_FAMILIAR, "max_unfamiliarity_score": 1e-6}}, Reason.UNFAMILIAR),
        ({"thresholds": {**ALL_FAMILIAR, "min_confidence_ratio": 1.0}, "temperature": 1e3}, Reason.LOW_CONFIDENCE),
        ({"evidence": None}, Reason.MODEL_UNPROVEN),
        ({"cells": {"window_um": 95.0, "max_cells_count": 16}}, Reason.CELL_CUT),
        ({"cells": {"window_um": 5.0, "max_cells_count": 16}}, Reason.FIELD_TOO_SMALL),
    ],
    ids=lambda each: each.value if isinstance(each, Reason) else "",
)
def test_a_field_whose_cells_are_all_refused_has_no_label(
    analyzer_of: MakeAnalyzer, frame: Frame, changes: dict[str, Any], reason: Reason
) -> None:
    result = result_of(analyzer_of(**changes).analyse(frame))
    assert (result.outcome, result.reason) == (Outcome.ABSTAINED, reason)
    assert (result.label, result.malignant, result.probabilities, result.malignant_ratio) == (None, None, None, None)
    assert result.provisional is (reason is Reason.MODEL_UNPROVEN)
    assert {cell.refusal for cell in result.cells if not cell.cut} == {reason}
    assert {(cell.type, cell.type_ratio) for cell in result.cells} == {(None, None)}
    # For a familiar cell, the blast ratio is given whether the type is certain or not.
    seen = [cell.blast_ratio for cell in result.cells if not cell.cut]
    assert (None in seen) is (reason is not Reason.LOW_CONFIDENCE)
    assert result.differential is not None
    assert (result.differential.judged_count, result.differential.blast_ratio) == (0, None)
    assert (result.decision is None) is (reason in {Reason.CELL_CUT, Reason.FIELD_TOO_SMALL})
    if result.decision is not None:
        assert (result.decision.unfamiliarity_score > result.decision.max_unfamiliarity_score) is (
            reason is Reason.UNFAMILIAR
        )


def judgement(judge: CellJudge, *ratios: float) -> CellJudgement:
    probabilities = np.array(ratios)
    label = judge.labels[int(probabilities.argmax())]
    return CellJudgement(None, label=label, type_ratio=max(ratios), probabilities=probabilities)


BENIGN, EARLY, PRE = (0.9, 0.1, 0.0, 0.0), (0.2, 0.5, 0.3, 0.0), (0.3, 0.1, 0.6, 0.0)


@pytest.mark.parametrize(
    ("ratios", "label"),
    [
        ((BENIGN, BENIGN), "benign"),
        ((BENIGN, BENIGN, EARLY), "early-pre-b"),
        ((BENIGN, EARLY, PRE, PRE), "pre-b"),
        ((EARLY, PRE), "pre-b"),
        ((PRE, EARLY, EARLY), "early-pre-b"),
    ],
    ids=["no-blast", "one-blast", "commonest-blast", "likeliest-of-equals", "commonest-of-two"],
)
def test_one_blast_among_many_cells_names_the_field(
    cells: Classifier, ratios: tuple[tuple[float, ...], ...], label: str
) -> None:
    judge = CellJudge(cells, None)
    verdict = judge.sum_up([None, CellJudgement(Reason.UNFAMILIAR), *(judgement(judge, *each) for each in ratios)])
    assert verdict.label is not None
    assert (verdict.outcome, verdict.label.code) == (Outcome.CLASSIFIED, label)
    mean = np.mean(ratios, axis=0)
    assert list((verdict.probabilities or {}).values()) == pytest.approx(list(mean), abs=1e-6)
    assert verdict.malignant_ratio == pytest.approx(mean[1:].sum(), abs=1e-6)


@pytest.mark.parametrize(
    ("refusals", "reason"),
    [
        ((Reason.UNFAMILIAR, Reason.CELL_CUT), Reason.UNFAMILIAR),
        ((Reason.UNFAMILIAR, Reason.LOW_CONFIDENCE), Reason.LOW_CONFIDENCE),
        ((Reason.CELL_CUT, None), Reason.CELL_CUT),
        ((Reason.CELL_CUT, Reason.SCALE_UNKNOWN), Reason.SCALE_UNKNOWN),
        ((), Reason.NO_NUCLEATED_CELLS),
    ],
    ids=lambda each: each.value if isinstance(each, Reason) else str(len(each)),
)
def test_the_reason_is_that_of_the_cell_that_came_nearest_to_a_type(
    cells: Classifier, refusals: tuple[Reason | None, ...], reason: Reason
) -> None:
    judgements = [None if each is None else CellJudgement(each) for each in refusals]
    verdict = CellJudge(cells, None).sum_up(judgements)
    assert (verdict.outcome, verdict.reason, verdict.label) == (Outcome.ABSTAINED, reason, None)


def test_a_field_decides_by_the_cells_that_pass_its_limits_if_any_does(cells: Classifier) -> None:
    found = cells.run(np.zeros((224, 224, 3), np.uint8))
    limits = Thresholds(max_unfamiliarity_score=found.unfamiliarity_score + 1, min_confidence_ratio=0)
    near = decide(found, limits)[2]
    far = near.model_copy(update={"unfamiliarity_score": near.max_unfamiliarity_score + 5, "confidence_ratio": None})
    decision = (
        CellJudge(cells, None)
        .sum_up([CellJudgement(Reason.UNFAMILIAR, decision=far), CellJudgement(Reason.LOW_CONFIDENCE, decision=near)])
        .decision
    )
    assert decision is not None
    assert decision.unfamiliarity_score == near.unfamiliarity_score
    assert decision.confidence_ratio == near.confidence_ratio
    assert decision.rule == "any-cell@1"


def test_a_cells_bundle_beside_a_field_bundle_changes_nothing_but_the_cells(cells: Classifier, frame: Frame) -> None:
    fields = Classifier(load_bundle("demo"))
    alone = Analyzer(fields, QualityLimits())
    both = Analyzer(fields, QualityLimits(), cells=cells)
    one, other = (json.loads(result_of(each.analyse(frame)).to_json()) for each in (alone, both))
    assert one["differential"] is None
    assert other["differential"]["judged_count"] > 0
    assert other["differential"]["model"]["name"] == "test-cells"
    assert any("type" in cell for cell in other["cells"])
    for cell in other["cells"]:
        for key in cell.keys() - one["cells"][0].keys():
            del cell[key]
    for each in (one, other):
        for key in ("id", "session", "latency_ms", "differential", "clock"):
            del each[key]
    assert one == other


def test_messages_of_a_field_bundle_do_not_grow(frame: Frame) -> None:
    reading = Analyzer(Classifier(load_bundle("demo")), QualityLimits()).analyse(frame)
    message = json.loads(ResultMaker("clinic-a", "scope-1", uuid7()).make(reading).to_json())
    assert message["cells"][0].keys() == {
        "x_px",
        "y_px",
        "nucleus_area_px",
        "nucleus_area_um2",
        "window_side_px",
        "cut",
    }


def test_a_head_on_a_cells_bundle_types_the_cells(tmp_path: Path, frame: Frame) -> None:
    folder = make_cells_bundle(tmp_path / "cells", name="demo")
    head = write_head(tmp_path / "head", bundle=str(folder))
    manifest = json.loads((head / "head.json").read_bytes())
    (head / "head.json").write_text(json.dumps({**manifest, "thresholds": ALL_FAMILIAR}))
    analyzer = Analyzer(
        Classifier(load_bundle(folder), head=head), QualityLimits(), um_per_pixel=UM_PER_PIXEL, proof=None
    )
    result = result_of(analyzer.analyse(frame))
    assert result.outcome is Outcome.CLASSIFIED
    assert result.differential is not None
    assert result.differential.types_count.keys() == {"blast", "mature"}
    assert sum(result.differential.types_count.values()) == result.differential.judged_count > 0
    assert result.differential.model.head is not None


@pytest.mark.parametrize(
    ("code", "rule", "shifted"),
    [("neutrophil", "blast-first@1", True), ("lymphocyte", "blast-first@1", False), ("neutrophil", None, False)],
    ids=["neutrophils", "lymphocytes", "one-softmax"],
)
def test_a_run_whose_neutrophils_look_like_blasts_has_fewer_blasts(
    tmp_path: Path, frame: Frame, code: str, rule: str | None, *, shifted: bool
) -> None:
    """The demonstration bundle, told that what it sees here is a neutrophil, if it is no blast."""
    assert isinstance(frame.image, Pixels)
    run = [png(np.ascontiguousarray(frame.image.array[:224, :224]))] * MIN_NEUTROPHILS_COUNT
    labels = load_bundle("demo").manifest.model_dump(mode="json")["labels"]
    bundle = make_cells_bundle(
        tmp_path / "cells",
        cells={"window_um": 24, "max_cells_count": 16, "probabilities": rule},
        labels=[{**labels[0], "malignant": True}, labels[1], {**labels[2], "code": code}, labels[3]],
        temperature=0.5,
        evidence=None,
    )
    analyzer = CellAnalyzer(Classifier(load_bundle(bundle)), proof=None)
    before = analyzer.analyse(run[0]).probabilities
    assert before is not None
    assert before[code] > 0.7 * (1 - before["benign"])
    # Measured twice, because a measurement must not use the earlier result.
    for _ in range(2):
        analyzer.find_blast_offset(run)
        after = analyzer.analyse(run[0]).probabilities
        assert after is not None
        assert after["benign"] == pytest.approx(MAX_BLAST_RATIO if shifted else before["benign"], abs=2e-6)
        assert (analyzer.blast_offset != NO_OFFSET) is shifted
        assert not shifted or before["benign"] > 2 * MAX_BLAST_RATIO


def test_a_head_has_no_question_of_its_own_for_blasts(tmp_path: Path, frame: Frame) -> None:
    assert isinstance(frame.image, Pixels)
    image = png(np.ascontiguousarray(frame.image.array[:224, :224]))
    folder = make_cells_bundle(tmp_path / "cells", name="demo")
    head = write_head(tmp_path / "head", bundle=str(folder))
    manifest = json.loads((head / "head.json").read_bytes())
    (head / "head.json").write_text(json.dumps({**manifest, "thresholds": ALL_FAMILIAR}))
    analyzer = CellAnalyzer(Classifier(load_bundle(folder), head=head), proof=None)
    before = analyzer.analyse(image).probabilities
    assert before is not None
    analyzer.blast_offset = BlastOffset(-5.0, 9)
    assert analyzer.analyse(image).probabilities == before


def test_a_bundle_of_the_wrong_kind_is_one_clear_error(cells: Classifier) -> None:
    fields = Classifier(load_bundle("demo"))
    with pytest.raises(BundleWrongKind, match="'demo' judges whole fields"):
        CellAnalyzer(fields)
    with pytest.raises(BundleWrongKind, match="'demo' judges whole fields"):
        Analyzer(fields, QualityLimits(), cells=fields)
    with pytest.raises(BundleWrongKind, match="'test-cells' judges cells itself"):
        Analyzer(cells, QualityLimits(), cells=cells)


@pytest.mark.parametrize(
    "changes",
    [
        {"cells": None},
        {"kind": "field"},
        {"field": {"aspect_width": 4, "aspect_height": 3, "fit": "stretch"}},
        {"input": {**json.loads((shipped_bundles()["demo"] / MANIFEST).read_bytes())["input"], "width_px": 225}},
        {"cells": {"window_um": 24, "max_cells_count": 65}},
        {"cells": {"window_um": 0, "max_cells_count": 16}},
    ],
    ids=["no-section", "field-with-section", "field-geometry", "not-square", "too-many", "no-size"],
)
def test_a_manifest_that_contradicts_its_kind_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = make_cells_bundle(tmp_path / "cells", **changes)
    with pytest.raises(ValidationError):
        Manifest.model_validate_json((folder / MANIFEST).read_bytes())


def png(array: Array) -> Frame:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return frame_now("camera0", Encoded(buffer.getvalue()))


@pytest.mark.parametrize("shape", [(150, 150), (224, 224), (300, 500), (900, 700)], ids=str)
def test_an_image_is_one_cell(cells: Classifier, frame: Frame, shape: tuple[int, int]) -> None:
    assert isinstance(frame.image, Pixels)
    image = np.ascontiguousarray(frame.image.array[: shape[0], : shape[1]])
    analyzer = CellAnalyzer(cells)
    readings = [
        analyzer.analyse(png(image)),
        analyzer.analyse(frame_now("camera0", Pixels(np.ascontiguousarray(image[..., ::-1]), ColourOrder.BGR))),
    ]
    if max(shape) <= 224:
        assert readings[0].probabilities == readings[1].probabilities
    result = result_of(readings[0])
    assert result.outcome is Outcome.CLASSIFIED
    assert len(result.cells) == 1
    cell = result.cells[0]
    assert cell.type == result.label
    assert cell.window_side_px == pytest.approx(24 / 32 * min(shape), abs=0.1)
    assert cell.blast_ratio == result.malignant_ratio
    assert result.differential is not None
    assert (result.differential.cells_count, result.differential.judged_count) == (1, 1)


@pytest.mark.parametrize("at_px", [(160, 160), (200, 130)], ids=["centre", "beside"])
@pytest.mark.parametrize("side_px", [320, 960], ids=["whole", "reduced"])
def test_the_window_is_cut_around_the_nucleus_of_an_image(
    cells: Classifier, at_px: tuple[int, int], side_px: int
) -> None:
    picture = np.full((320, 320, 3), (230, 225, 235), np.uint8)
    cv2.circle(picture, at_px, 40, (95, 60, 140), -1, cv2.LINE_AA)
    grown = np.asarray(cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_LINEAR), np.uint8)
    factor = side_px / 320
    cell = result_of(CellAnalyzer(cells, scale=configured_scale(0.1 / factor)).analyse(png(grown))).cells[0]
    assert (cell.x_px, cell.y_px) == pytest.approx([factor * each for each in at_px], abs=3 * factor)
    assert (cell.width_px, cell.height_px) == pytest.approx((80 * factor, 80 * factor), abs=5 * factor)
    assert cell.nucleus_area_um2 == pytest.approx(np.pi * 4**2, rel=0.1)
    assert cell.window_side_px == pytest.approx(240 * factor, abs=0.1)


@pytest.mark.parametrize("size", [1, 40, 111])
def test_an_image_that_is_too_small_for_a_cell_is_rejected(cells: Classifier, size: int) -> None:
    reading = CellAnalyzer(cells).analyse(png(np.zeros((size, 300, 3), np.uint8)))
    assert (reading.outcome, reading.reason) == (Outcome.REJECTED, Reason.FIELD_TOO_SMALL)
    assert result_of(reading).differential is None


def test_a_scale_at_which_an_image_shows_less_than_a_cell_is_refused_before_any_work(cells: Classifier) -> None:
    """A window of 24,000 px would be 1.7 GB."""
    reading = CellAnalyzer(cells, scale=configured_scale(0.001)).analyse(png(np.zeros((300, 300, 3), np.uint8)))
    assert (reading.outcome, reading.reason) == (Outcome.REJECTED, Reason.FIELD_TOO_SMALL)


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (ImageError("It is gone."), "image_unreadable"),
        (Encoded(b""), "image_unreadable"),
        (Encoded(b"no picture"), "image_unreadable"),
    ],
    ids=["gone", "empty", "text"],
)
def test_what_is_no_image_is_a_failed_reading(cells: Classifier, image: Encoded | ImageError, code: str) -> None:
    reading = CellAnalyzer(cells).analyse(frame_now("camera0", image))
    assert reading.outcome is Outcome.FAILED
    assert reading.error is not None
    assert reading.error.code == code
    result_of(reading)


def test_a_frame_that_is_damaged_where_only_its_cells_need_it_fails_as_an_image(
    cells: Classifier, frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(frame.image, Pixels)
    buffer = io.BytesIO()
    Image.fromarray(frame.image.array).save(buffer, "JPEG")

    def refuse(*_: object, **__: object) -> Array:
        raise ImageError("The image is damaged.")

    monkeypatch.setattr("edge_agent.analysis.cell_cutting.decode_image", refuse)
    reading = Analyzer(cells, QualityLimits()).analyse(frame_now("camera0", Encoded(buffer.getvalue())))
    assert reading.outcome is Outcome.FAILED
    assert reading.error is not None
    assert reading.error.code == "image_unreadable"

"""'trainer bundle-cells': from a run on drawn cells to a bundle that the agent loads, with its figures on its cards."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.analysis.cell_analyzer import CellAnalyzer
from edge_agent.cameras.frame import ColourOrder, Pixels, frame_now
from edge_agent.contracts import BundleKind, Reason
from edge_agent.errors import BundleWrongKind
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import MODEL, load_golden
from edge_agent.inference.familiarity import Familiarity
from edge_agent.inference.proof import ProofLimits, unproven_reasons
from edge_agent.vision.preprocessing import preprocess
from tests.unit.trainer.cells.drawn_cells import draw_cell, make_sources, write_picture
from trainer.cells.bundling import bundle as bundling
from trainer.cells.bundling.bundle import bundle_cells
from trainer.cells.bundling.held_out import HeldOut
from trainer.cells.foreign.familiarity import CellsFamiliarity
from trainer.cells.laboratories.listing import list_cells
from trainer.cells.laboratories.sources import TYPES, Sources
from trainer.cells.training import int8
from trainer.cells.training.network import (
    ALPHA,
    BLAST_FEATURES_COUNT,
    CellsWeights,
    build_cells_network,
    build_types_tail,
)
from trainer.cells.training.options import Apart, CellsOptions
from trainer.cells.training.parts import assign_parts, write_parts
from trainer.cells.training.run import CONFIG, PARTS, WEIGHTS, CellsRunConfig
from trainer.cells.windows.canvases import Canvases, make_canvases
from trainer.cells.windows.cutting import cut_canvas
from trainer.errors import BundleUnproven, DataError, RunError
from trainer.evaluation.evaluate import evaluate
from trainer.export.bundle_files import DATA_CARD
from trainer.export.conversion import operations
from trainer.export.identity import BundleIdentity
from trainer.files import write_json
from trainer.networks.backbone import build_backbone
from trainer.networks.network import to_network_input
from trainer.networks.weights import named_weights
from trainer.spec import LOGITS
from trainer.training.run import read_config

IDENTITY = BundleIdentity("drawn-cells", "0.1.0")
NUCLEI_UM = {"blast": 13.0, "neutrophil_band": 9.0, "healthy": 7.0, "platelet": 3.0}
TABLE = "| laboratory | AUROC |"


class Run(NamedTuple):
    folder: Path
    data: Path
    sources: Sources
    canvases: Canvases
    weights: CellsWeights


class Bundled(NamedTuple):
    folder: Path
    judged: HeldOut
    lacking: tuple[str, ...]
    classifier: Classifier


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run as 'trainer train-cells' would write it, with a random network."""
    data, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("run")
    sources = make_sources("north", "south", patients=["north"])
    rows = []
    rng = np.random.default_rng(1)
    for code in ("north", "south"):
        for number in range(32):
            label = list(NUCLEI_UM)[number % 4]
            path = f"{code}/{number}.png"
            drawn = draw_cell(nucleus_um=NUCLEI_UM[label] + rng.uniform(-1, 1)).astype(np.float64)
            write_picture(
                data / "cells" / path, np.clip(drawn + rng.normal(0, 6, drawn.shape), 0, 255).astype(np.uint8)
            )
            rows.append({"path": path, "label": label, "group": f"p{number // 4}" if code == "north" else ""})
    with (data / "cells/manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "group"])
        writer.writeheader()
        writer.writerows(rows)
    # In this process, because other processes would have to start first.
    canvases = make_canvases(list_cells(data, sources).cells, sources, folder / "cache/canvases", processes=1)
    cells = [each for each in canvases.cells if each.is_nucleated]
    options = CellsOptions(
        data=str(data),
        out=str(folder),
        weights="imagenet",
        cache=str(folder / "cache"),
        leave_out=None,
        apart=Apart.PATIENTS,
        test_share=0.3,
        validation_share=0.3,
        variants=1,
        epochs=1,
        seed=3,
    )
    write_parts(folder / PARTS, cells, assign_parts(cells, options))
    digest = hashlib.sha256("\n".join(each.sha256 for each in cells).encode()).hexdigest()
    write_json(folder / CONFIG, CellsRunConfig.now(options, digest, len(cells)))
    keras.utils.set_random_seed(0)
    imagenet = named_weights(build_backbone(ALPHA, side_px=96))
    blast = rng.normal(0, 0.5, BLAST_FEATURES_COUNT).astype(np.float32)
    weights = CellsWeights(imagenet, blast, 0.5, named_weights(build_types_tail(imagenet)), 2.0)
    weights.save(folder / WEIGHTS)
    return Run(folder, data, sources, canvases, weights)


@pytest.fixture(scope="module")
def bundled(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundled:
    folder = tmp_path_factory.mktemp("bundles") / "drawn"
    judged, lacking = bundle_cells(
        run.folder, run.data, folder, IDENTITY, table=TABLE, provisional=True, sources=run.sources
    )
    return Bundled(folder, judged, lacking, Classifier(load_bundle(folder)))


def windows_of(run: Run) -> NDArray[np.uint8]:
    return np.stack([preprocess(cut_canvas(each), "cell_stain@1", "none") for each in run.canvases])


def log_odds(bundled: Bundled, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.array([bundled.classifier.classify(window).logits[0] for window in windows])


def test_the_agent_loads_it_as_a_cells_bundle_that_asks_for_blasts_first(bundled: Bundled, run: Run) -> None:
    bundled.classifier.verify_golden()
    manifest = bundled.classifier.manifest
    assert manifest.kind is BundleKind.CELLS
    assert manifest.cells is not None
    assert (manifest.cells.window_um, manifest.cells.probabilities) == (24.0, "blast-first@1")
    assert [label.code for label in manifest.labels] == [each.value for each in TYPES]
    assert [label.code for label in manifest.labels if label.malignant] == ["blast"]
    assert manifest.training.images_count == 48
    assert load_golden(bundled.classifier.bundle).field.shape == (4, 96, 96, 3)
    assert (bundled.folder / MODEL).stat().st_size < 3e6


def test_integers_tell_blasts_as_the_network_does(bundled: Bundled, run: Run) -> None:
    assert set(operations(bundled.classifier.bundle.contents[MODEL])) == {
        "ADD",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "MEAN",
        "MUL",
        "RESHAPE",
    }
    windows = windows_of(run)
    expected = np.asarray(build_cells_network(run.weights)(to_network_input(windows))[LOGITS])[:, 0]
    assert expected.std() > 0.2
    assert np.corrcoef(log_odds(bundled, windows), expected)[0, 1] > 0.98


def test_what_rounding_adds_to_all_log_odds_is_undone(
    bundled: Bundled, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows, model = windows_of(run), bundled.classifier.bundle.contents[MODEL]
    converted = []

    def convert(network: keras.Model, images: NDArray[np.uint8]) -> bytes:
        converted.append(np.asarray(network(to_network_input(images))[LOGITS]))
        return model

    monkeypatch.setattr(int8, "convert_to_int8", convert)
    # As if rounding subtracted one from each.
    int8.convert_cells(replace(run.weights, blast_bias=run.weights.blast_bias + 1), windows)
    first, second = converted
    added = np.median(log_odds(bundled, windows) - first[:, 0])
    assert added < -0.5
    assert np.allclose(second[:, 0], first[:, 0] - added, atol=1e-3)
    assert np.allclose(second[:, 1:], first[:, 1:], atol=1e-5)


def test_its_record_is_of_test_cells_whose_type_is_known(bundled: Bundled) -> None:
    evidence = bundled.classifier.evidence
    assert evidence is not None
    counts = {each.code: each for each in evidence.classes}
    test = [cell.type for cell in bundled.judged.cells]
    for each in TYPES:
        assert counts[each.value].held_out_images_count == test.count(each)
    assert counts["blast"].training_images_count + counts["blast"].held_out_images_count == 16
    # One laboratory does not say to which patients its cells belong.
    assert counts["blast"].specimens_count is None
    assert bundled.lacking == unproven_reasons(bundled.classifier.labels, evidence, ProofLimits())
    assert bundled.lacking


def test_a_provisional_one_gives_no_type(bundled: Bundled) -> None:
    frame = frame_now("test", Pixels(draw_cell(), ColourOrder.RGB))
    reading = CellAnalyzer(bundled.classifier).analyse(frame)
    assert reading.provisional
    assert reading.reason in {Reason.MODEL_UNPROVEN, Reason.UNFAMILIAR}


def test_its_cards_name_laboratories_and_what_was_measured(bundled: Bundled) -> None:
    card = (bundled.folder / "card.md").read_text()
    assert "**Provisional.**" in card
    assert "Research and engineering only" in card
    assert TABLE in card
    assert f"Measured on {len(bundled.judged.cells)} test cells" in card
    assert "objects without a nucleus of `north`" in card
    data = (bundled.folder / DATA_CARD).read_text()
    for told in ("`north`", "`south`", "**not known**", "30 µm", "48 pictures"):
        assert told in data


def test_without_a_record_nothing_is_written(
    bundled: Bundled, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = bundled.classifier.bundle.contents[MODEL]
    fitted = CellsFamiliarity(
        Familiarity.load(bundled.classifier.bundle, 32), bundled.classifier.thresholds.max_unfamiliarity_score
    )
    monkeypatch.setattr(bundling, "convert_cells", lambda *_: model)
    monkeypatch.setattr(bundling, "fit_cells_familiarity", lambda *_, **__: fitted)
    with pytest.raises(BundleUnproven, match="not shown to be right"):
        bundle_cells(run.folder, run.data, tmp_path / "out", IDENTITY, sources=run.sources)
    assert not (tmp_path / "out").exists()


def test_other_cells_and_other_runs_are_refused_before_anything_is_computed(
    bundled: Bundled, run: Run, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="is not empty"):
        bundle_cells(run.folder, run.data, bundled.folder, IDENTITY, sources=run.sources)
    with pytest.raises(RunError, match=r"no run of 'trainer train-cells'"):
        bundle_cells(tmp_path, run.data, tmp_path / "out", IDENTITY, sources=run.sources)
    fewer = make_sources("north", patients=["north"])
    with pytest.raises(DataError, match="not the cells"):
        bundle_cells(run.folder, run.data, tmp_path / "out", IDENTITY, sources=fewer)
    with pytest.raises(RunError, match=r"written by 'trainer train-cells'") as caught:
        read_config(run.folder)
    assert "bundle-cells" in caught.value.remedy
    with pytest.raises(BundleWrongKind) as wrong:
        evaluate(str(bundled.folder), run.data, run.folder / PARTS)
    assert "judge-cells" in wrong.value.remedy

"""A head on a cells bundle: fitted to pictures of single cells, and applied to each cell."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.analysis.cell_analyzer import CellAnalyzer
from edge_agent.analysis.cell_scale import CellScaleSource, configured_scale
from edge_agent.cameras.frame import Encoded, frame_now
from edge_agent.cameras.smear import draw_smear
from edge_agent.contracts import Outcome
from edge_agent.errors import BundleWrongKind
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.features import FEATURES
from edge_agent.vision.cell_windows import cut_cell
from edge_agent.vision.decode import decode_image
from edge_agent.vision.preprocessing import preprocess
from tests.cells import WINDOW_UM, make_cells_bundle
from trainer.data.description import load_description
from trainer.errors import DataError
from trainer.site.adapt import FEATURES_KIND, AdaptOptions, adapt
from trainer.site.fine_tune import FineTuneOptions
from trainer.site.picture import PictureMeter
from trainer.site.reading import MAX_FILE_BYTES, read_site, site_scale

CLASSES = ("benign", "pro-b")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cells_bundle(tmp_path_factory.mktemp("bundles") / "cells")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn pictures that stand for single cells; their content does not matter."""
    root = tmp_path_factory.mktemp("site")
    for at, label in enumerate(CLASSES):
        (root / label).mkdir()
        for number in range(10):
            picture = draw_smear(np.random.default_rng([number, at]), label, size_px=(120, 140), stain="blue")[0]
            encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
            (root / label / f"{number}.png").write_bytes(encoded.tobytes())
    (root / "dataset.toml").write_text(
        'name = "drawn"\nsource = "drawn"\nlicence = "none"\nlimits = "They mean nothing."\nsynthetic = true\n'
        + "".join(
            f'[[classes]]\nfolder = "{each}"\ncode = "site-{each}"\ndisplay_name = "{each}"\nmeaning = "{each}"\n'
            f"malignant = {str(each != CLASSES[0]).lower()}\n"
            for each in CLASSES
        )
    )
    return root


def options(bundle: str | Path, site: Path, out: Path, *, as_cell: bool, fine: bool = False) -> AdaptOptions:
    return AdaptOptions(
        bundle=str(bundle),
        data=site,
        name="north-cells-1",
        out=out,
        quick=True,
        as_cell=as_cell,
        um_per_pixel=0.2 if as_cell else None,
        fine_tune=FineTuneOptions("imagenet", 1.0, out / "tuned") if fine else None,
    )


def test_a_head_that_was_fitted_to_single_cells_names_single_cells(bundle: Path, site: Path, tmp_path: Path) -> None:
    fitted = adapt(options(bundle, site, tmp_path / "head", as_cell=True))
    assert fitted.manifest.parent.name == "test-cells"
    analyzer = CellAnalyzer(
        Classifier(load_bundle(bundle), head=tmp_path / "head"), scale=configured_scale(0.2), proof=None
    )
    pictures = [path for label in CLASSES for path in sorted((site / label).glob("*.png"))]
    readings = [analyzer.analyse(frame_now("file", Encoded(path.read_bytes()))) for path in pictures]
    named = [each for each in readings if each.outcome is Outcome.CLASSIFIED]
    assert len(named) > len(pictures) / 2
    right = [
        reading.label == f"site-{path.parent.name}"
        for path, reading in zip(pictures, readings, strict=True)
        if reading in named
    ]
    assert np.mean(right) > 0.8


def test_features_of_a_cell_are_those_that_the_device_would_use(bundle: Path, site: Path) -> None:
    classifier = Classifier(load_bundle(bundle))
    data = (site / CLASSES[0] / "0.png").read_bytes()
    rgb = decode_image(data)
    steps = classifier.manifest.preprocessing
    scale = configured_scale(0.2)
    image = preprocess(cut_cell(rgb, 0.2, WINDOW_UM, 224).window, steps.id, steps.denoise)
    wanted = FEATURES[FEATURES_KIND].make(image, classifier.run(image).middle_map)
    measured = PictureMeter(classifier, FEATURES_KIND, cell_scale=scale).measure(data, 0, variants=0)
    assert np.array_equal(measured.features, wanted)
    assert (measured.reason, measured.appearance) == (None, None)
    assert not np.array_equal(PictureMeter(classifier, FEATURES_KIND, cell_scale=scale).field(data), rgb)


def test_a_bundle_of_the_wrong_kind_is_refused_before_anything_is_measured(
    bundle: Path, site: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleWrongKind, match="'demo' judges whole fields"):
        adapt(options("demo", site, tmp_path / "head", as_cell=True))
    with pytest.raises(BundleWrongKind, match="needs pictures of single cells"):
        adapt(options(bundle, site, tmp_path / "head", as_cell=False))
    with pytest.raises(DataError, match="scale of whole fields"):
        adapt(replace(options("demo", site, tmp_path / "head", as_cell=False), um_per_pixel=0.2))
    with pytest.raises(DataError, match="whole fields only"):
        adapt(options(bundle, site, tmp_path / "head", as_cell=True, fine=True))
    assert not (tmp_path / "head").exists()


def test_the_scale_of_a_site_is_measured_in_its_pictures(bundle: Path, site: Path, tmp_path: Path) -> None:
    """By all classes alike, whatever else is in the folders."""
    mixed = tmp_path / "site"
    for at, label in enumerate(CLASSES):
        (mixed / label).mkdir(parents=True)
        for number in range(3):
            drawn = np.full((200, 200, 3), (234, 226, 232), np.uint8)
            cv2.circle(drawn, (100, 100), (30, 40)[at], (130, 55, 92), -1, cv2.LINE_AA)
            cv2.imwrite(str(mixed / label / f"{number}.png"), drawn)
        (mixed / label / "8.png").write_bytes(b"no picture")
        (mixed / label / "9.png").write_bytes(b"")
        os.truncate(mixed / label / "9.png", MAX_FILE_BYTES + 1)
    (mixed / "dataset.toml").write_bytes((site / "dataset.toml").read_bytes())
    scale = site_scale(mixed, load_description(None, mixed), None)
    assert (scale.source, scale.measured_count) == (CellScaleSource.NUCLEI, 6)
    assert scale.side_um == pytest.approx(np.sqrt(32 * 10.5 / 0.35), rel=0.05)
    # Measurements at one scale are not used at another.
    classifier = Classifier(load_bundle(bundle))
    for um_per_pixel in (0.15, 0.2):
        read_site(
            mixed,
            load_description(None, mixed),
            classifier,
            FEATURES_KIND,
            cache=tmp_path / "cache",
            cell_scale=configured_scale(um_per_pixel),
            variants=0,
        )
    assert len(list((tmp_path / "cache").iterdir())) == 2

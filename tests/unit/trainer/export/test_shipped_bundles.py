"""The shipped bundles give the same outputs here as where they were made, and their cards are true."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import load_golden, shipped_bundles
from trainer.data.dataset import hash_of_hashes
from trainer.data.split import Part, read_split
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.foreign import measure_foreign
from trainer.export.conversion import check_int8
from trainer.networks.int8 import int8_logits

BUNDLES = ("accurate", "cells", "demo", "fast")
FIELDS = ("accurate", "demo", "fast")
REAL = ("accurate", "fast")
MAX_TOGETHER_BYTES = 8_000_000
MIN_ACCURACY = {"accurate": 0.985, "fast": 0.975}


@pytest.fixture
def split() -> Path:
    return Path(str(resources.files("trainer") / "splits" / "all4.csv"))


def test_these_bundles_ship() -> None:
    assert set(shipped_bundles()) == set(BUNDLES)


def test_all_that_ships_fits_into_8_mb() -> None:
    files = [path for name in BUNDLES for path in load_bundle(name).folder.iterdir()]
    assert sum(path.stat().st_size for path in files) < MAX_TOGETHER_BYTES


@pytest.mark.parametrize("name", BUNDLES)
def test_a_shipped_bundle_gives_its_golden_outputs_here(name: str) -> None:
    Classifier(load_bundle(name)).verify_golden()


@pytest.mark.parametrize("name", BUNDLES)
def test_a_shipped_model_is_integers_only(name: str) -> None:
    check_int8(load_bundle(name).model_path.read_bytes())


@pytest.mark.parametrize("name", FIELDS)
def test_golden_fields_are_the_drawn_smears(name: str) -> None:
    # Real images may not be redistributed.
    fields = load_golden(load_bundle(name)).field
    for seed, (label, field) in enumerate(zip(SMEAR_LABELS, fields, strict=True)):
        drawn, _ = draw_smear(np.random.default_rng(seed), label, focus_sigma_px=1.0, noise_sigma_levels=0.0)
        assert np.abs(drawn.astype(int) - field).max() <= 8


@pytest.mark.parametrize("name", BUNDLES)
def test_no_path_of_the_makers_machine_is_in_a_bundle(name: str) -> None:
    folder = load_bundle(name).folder
    for file in ("manifest.json", "card.md", "data.md"):
        text = (folder / file).read_text()
        assert re.search(r"(?<![\w.<])/\w+/", text) is None


def test_only_the_demonstration_calls_itself_one() -> None:
    assert [name for name in BUNDLES if load_bundle(name).manifest.demonstration] == ["demo"]


def test_the_demonstration_knows_freshly_drawn_smears() -> None:
    classifier = Classifier(load_bundle("demo"))
    codes = [label.code for label in classifier.manifest.labels]
    truth = np.repeat(np.arange(len(codes)), 15)
    rng = np.random.default_rng(987_654)
    fields = np.stack([draw_smear(rng, codes[index])[0] for index in truth])
    assert (int8_logits(classifier, fields).argmax(axis=1) == truth).mean() >= 0.9


@pytest.mark.parametrize("name", REAL)
def test_a_real_bundles_split_is_the_one_that_its_manifest_names(split: Path, name: str) -> None:
    assignments = read_split(split)
    manifest = load_bundle(name).manifest
    assert len(assignments) == manifest.training.images_count
    assert hash_of_hashes(each.file.sha256 for each in assignments) == manifest.training.dataset_sha256
    assert {each.file.label for each in assignments} == {label.code for label in manifest.labels}


@pytest.mark.parametrize("name", REAL)
def test_a_real_bundle_keeps_its_figure_on_unseen_images(shared_data: Path, split: Path, name: str) -> None:
    figures = evaluate(name, shared_data / "all4" / "images", split, Part.TEST).figures
    assert figures.accuracy_ratio >= MIN_ACCURACY[name]
    card = (load_bundle(name).folder / "card.md").read_text()
    assert f"Accuracy: {100 * figures.accuracy_ratio:.2f} %" in card


@pytest.mark.parametrize("name", REAL)
def test_a_real_bundle_refuses_other_laboratories_smears(shared_data: Path, name: str) -> None:
    folders = [shared_data / "other-smears", shared_data / "frames-1280x960"]
    found = measure_foreign(BundleAnalyzer.load(name), folders)
    images = sum(each.images_count for each in found)
    refused = sum(each.refused_ratio * each.images_count for each in found)
    assert images == 520
    assert refused / images >= 0.995

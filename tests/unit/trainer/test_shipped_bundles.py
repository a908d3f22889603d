"""The bundles that ship do here what they did where they were made, and what their cards say."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import load_golden, shipped_bundles
from trainer.conversion import check_int8
from trainer.dataset import hash_of_hashes
from trainer.evaluation import evaluate
from trainer.judging import judge_fields
from trainer.split import Part, read_split

BUNDLES = ("demo", "first")
SIZE_LIMITS = {"demo": 1_000_000, "first": 3_200_000}


@pytest.fixture
def split() -> Path:
    return Path(str(resources.files("trainer") / "splits" / "all4.csv"))


def test_both_bundles_ship() -> None:
    assert set(BUNDLES) <= set(shipped_bundles())


@pytest.mark.parametrize("name", BUNDLES)
def test_a_shipped_bundle_gives_its_golden_outputs_here(name: str) -> None:
    Classifier(load_bundle(name)).verify_golden()


@pytest.mark.parametrize("name", BUNDLES)
def test_a_shipped_model_is_integers_only_and_small(name: str) -> None:
    model = load_bundle(name).model_path.read_bytes()
    check_int8(model)
    assert len(model) < SIZE_LIMITS[name]


@pytest.mark.parametrize("name", BUNDLES)
def test_golden_fields_are_the_drawn_smears(name: str) -> None:
    # Real images may not be passed on.
    fields = load_golden(load_bundle(name)).field
    for seed, (label, field) in enumerate(zip(SMEAR_LABELS, fields, strict=True)):
        drawn, _ = draw_smear(np.random.default_rng(seed), label, focus_sigma_px=1.0, noise_sigma_levels=0.0)
        assert np.abs(drawn.astype(int) - field).max() <= 8


@pytest.mark.parametrize("name", BUNDLES)
def test_no_path_of_the_makers_machine_is_in_a_bundle(name: str) -> None:
    folder = load_bundle(name).folder
    for text in ((folder / "manifest.json").read_text(), (folder / "card.md").read_text()):
        assert re.search(r"(?<![\w.<])/\w+/", text) is None


def test_only_the_demonstration_calls_itself_one() -> None:
    assert load_bundle("demo").manifest.demonstration
    assert not load_bundle("first").manifest.demonstration


def test_the_demonstration_knows_freshly_drawn_smears() -> None:
    classifier = Classifier(load_bundle("demo"))
    codes = [label.code for label in classifier.manifest.labels]
    truth = np.repeat(np.arange(len(codes)), 15)
    rng = np.random.default_rng(987_654)
    fields = np.stack([draw_smear(rng, codes[index])[0] for index in truth])
    assert (judge_fields(classifier, fields).argmax(axis=1) == truth).mean() >= 0.9


def test_the_real_bundles_split_is_the_one_that_its_manifest_names(split: Path) -> None:
    assignments = read_split(split)
    training = load_bundle("first").manifest.training
    assert len(assignments) == training.images_count
    assert hash_of_hashes(each.file.sha256 for each in assignments) == training.dataset_sha256
    assert {each.file.label for each in assignments} == {label.code for label in load_bundle("first").manifest.labels}


def test_the_real_bundle_keeps_its_figure_on_unseen_images(shared_data: Path, split: Path) -> None:
    figures = evaluate("first", shared_data / "all4" / "images", split, Part.TEST).figures
    assert figures.accuracy_ratio >= 0.97
    card = (load_bundle("first").folder / "card.md").read_text()
    assert f"Accuracy: {100 * figures.accuracy_ratio:.2f} %" in card

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from trainer.cli import main
from trainer.data.dataset import Dataset, ImageFile
from trainer.data.description import Description, load_description
from trainer.data.synthesis import synthesise
from trainer.errors import DataError
from trainer.evaluation.probe import Pairs, probe
from trainer.networks.backbone import build_backbone
from trainer.networks.weights import named_weights, write_weights

IMAGES = 15


@pytest.fixture
def description(tmp_path: Path) -> Description:
    return load_description("cnmc", tmp_path)


def _cells(subjects: int, *, of_subject: float, of_class: float) -> tuple[np.ndarray, Dataset]:
    """Features of ``subjects`` malignant and as many other subjects: a part of the subject and a part of the class."""
    rng = np.random.default_rng(5)
    features: list[np.ndarray] = []
    files: list[ImageFile] = []
    for subject in range(2 * subjects):
        malignant = subject % 2 == 1
        own = of_subject * rng.normal(size=40)
        for _ in range(IMAGES):
            cell = own + rng.normal(size=40)
            cell[0] += of_class * (1 if malignant else -1)
            features.append(cell)
            name = f"{len(files):064x}"
            files.append(ImageFile(name, "leukemia" if malignant else "healthy", name, f"s{subject}"))
    return np.array(features), Dataset(tuple(files), np.zeros((len(files), 1, 1, 3), np.uint8), ())


def test_features_of_subjects_alone_flatter_a_random_split_only(description: Description) -> None:
    features, dataset = _cells(4, of_subject=1.0, of_class=0.0)
    found = probe(features, dataset, description)
    assert found.random_split.auroc_ratio > 0.85
    assert found.subject_disjoint.auroc_ratio < 0.8
    assert found.gap_ratio == pytest.approx(found.random_split.auroc_ratio - found.subject_disjoint.auroc_ratio)
    assert found.gap_interval_ratio[0] > 0
    for ranking in (found.random_split, found.subject_disjoint):
        low, high = ranking.auroc_interval_ratio
        assert low <= ranking.auroc_ratio <= high


def test_features_of_the_class_hold_for_subjects_never_seen(description: Description) -> None:
    features, dataset = _cells(4, of_subject=0.2, of_class=2.0)
    found = probe(features, dataset, description)
    assert found.subject_disjoint.auroc_ratio > 0.9
    assert abs(found.gap_ratio) < 0.05
    assert (found.malignant_subjects_count, found.other_subjects_count) == (4, 4)


def test_subjects_count_by_their_cells() -> None:
    pairs = Pairs(np.array([[1.0, 0.0]]), np.array([[30.0, 10.0]]))
    assert pairs.ranking(np.array([0]), np.array([0, 1])) == pytest.approx(0.75)
    assert pairs.ranking(np.array([0]), np.array([1, 1])) == pytest.approx(0.0)


def test_images_without_a_subject_are_refused(description: Description) -> None:
    features, dataset = _cells(2, of_subject=0, of_class=1)
    files = tuple(ImageFile(file.path, file.label, file.sha256) for file in dataset.files)
    with pytest.raises(DataError, match="60 of 60 images have no group"):
        probe(features, Dataset(files, dataset.fields, ()), description)


def test_a_subject_of_both_kinds_is_refused(description: Description) -> None:
    features, dataset = _cells(2, of_subject=0, of_class=1)
    files = (ImageFile("x", "leukemia", "x", "s0"), *dataset.files[1:])
    with pytest.raises(DataError, match="group s0 has malignant and other images"):
        probe(features, Dataset(files, dataset.fields, ()), description)


def test_a_single_subject_of_a_kind_cannot_be_left_out(description: Description) -> None:
    features, dataset = _cells(1, of_subject=0, of_class=1)
    with pytest.raises(DataError, match="1 malignant group"):
        probe(features, dataset, description)


def test_the_command_keeps_the_features_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    description = synthesise(data, per_class=6, seed=1)
    rows = [
        f"{each.folder}/{path.name},{each.folder},{each.code}-{number % 2}"
        for each in description.classes
        for number, path in enumerate(sorted((data / each.folder).iterdir()))
    ]
    (data / "table.csv").write_text("\n".join(("path,label,group", *rows)) + "\n")
    keras.utils.set_random_seed(1)
    write_weights(tmp_path / "weights.npz", named_weights(build_backbone(0.35)))
    words = ["probe", "--data", data, "--table", data / "table.csv", "--weights", tmp_path / "weights.npz"]
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in (*words, "--alpha", 0.35, "--out", out, "--json")])
        assert not ended.value.code
        # The second time, the kept features suffice.
        (tmp_path / "weights.npz").unlink(missing_ok=True)
        found = json.loads(capsys.readouterr().out)
        assert found["images_count"] == 24
        assert found["malignant_subjects_count"] == 6
    assert json.loads((out / "probe.json").read_text()) == found

"""Heads are loaded from folders that somebody else may have made."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.errors import EdgeAgentError, GoldenMismatch, HeadError, HeadMismatch, HeadMissing
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import MODEL, load_golden
from edge_agent.inference.features import FEATURES
from edge_agent.inference.head import HEAD_ARRAYS, HEAD_MANIFEST
from edge_agent.inference.model_files import MAX_MANIFEST_BYTES
from edge_agent.vision.preprocessing import preprocess

KIND = "field-description@2"
LABELS = ("left", "right", "neither")


def _arrays(classifier: Classifier, seed: int = 0) -> dict[str, NDArray[Any]]:
    golden = load_golden(classifier.bundle)
    features = np.stack([FEATURES[KIND].make(image, classifier.run(image).middle_map) for image in golden.image])
    size = features.shape[1]
    rng = np.random.default_rng(seed)
    weights = rng.normal(scale=0.05, size=(len(LABELS), size)).astype(np.float32)
    bias = rng.normal(size=len(LABELS)).astype(np.float32)
    whitening = np.eye(size, dtype=np.float32) / 4
    mean = features.mean(axis=0)
    return {
        "weights": weights,
        "bias": bias,
        "familiarity_mean": mean,
        "familiarity_whitening": whitening,
        "golden_logits": (features @ weights.T + bias).astype(np.float32),
        "golden_unfamiliarity": np.linalg.norm((features - mean) @ whitening.T, axis=1).astype(np.float32),
    }


def _manifest(classifier: Classifier, files: dict[str, str]) -> dict[str, Any]:
    bundle = classifier.manifest
    return {
        "schema": "leukoscope/head/v1",
        "name": "north-clinic-1",
        "version": "1.0.0",
        "created_at": "2026-11-29T12:00:00.000Z",
        "demonstration": True,
        "parent": {"name": bundle.name, "version": bundle.version, "sha256": bundle.files[MODEL]},
        "features": KIND,
        "labels": [
            {"code": code, "display_name": code, "meaning": f"{code} cells", "malignant": False} for code in LABELS
        ],
        "temperature": 1.0,
        "thresholds": {"max_unfamiliarity_score": 1000.0, "min_confidence_ratio": 0.1},
        "training": {
            "dataset": "drawn",
            "dataset_sha256": "0" * 64,
            "images_count": 60,
            "unreadable_count": 0,
            "specimens_count": None,
            "groups_count": 60,
            "groups": "near-duplicate-and-time",
            "regularisation": 0.1,
            "seed": 0,
            "software": "test",
            "command": "test",
        },
        "evidence": None,
        "figures": None,
        "appearance": None,
        "min_agent_version": "0.1.0",
        "files": files,
    }


def _write(folder: Path, classifier: Classifier, arrays: bytes, change: dict[str, Any] | None = None) -> None:
    contents = {HEAD_ARRAYS: arrays, "card.md": b"# A head\n"}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / HEAD_MANIFEST).write_text(json.dumps({**_manifest(classifier, files), **(change or {})}))


def _npz(arrays: dict[str, NDArray[Any]]) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]  # names are data
    return content.getvalue()


@pytest.fixture(scope="module")
def demo() -> Classifier:
    return Classifier(load_bundle("demo"))


@pytest.fixture(scope="module")
def whole(demo: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head that can be loaded."""
    folder = tmp_path_factory.mktemp("head") / "head"
    _write(folder, demo, _npz(_arrays(demo)))
    return folder


def _load(demo: Classifier, folder: Path) -> Classifier:
    return Classifier(demo.bundle, head=folder)


def test_a_head_judges_in_place_of_the_bundles_own_classes(demo: Classifier, whole: Path) -> None:
    classifier = _load(demo, whole)
    classifier.verify_golden()
    field, _ = draw_smear(np.random.default_rng(3), SMEAR_LABELS[0])
    image = preprocess(field, demo.manifest.preprocessing.id, demo.manifest.preprocessing.denoise)
    found = classifier.classify(image)
    assert [label.code for label in classifier.labels] == list(LABELS)
    assert found.probabilities.shape == (3,)
    assert found.probabilities.sum() == pytest.approx(1)
    assert np.allclose(found.class_activation_map.mean(axis=(0, 1)), found.logits, atol=1e-3)
    assert classifier.run(image).probabilities.shape == (4,)
    identity = classifier.identity
    assert identity.head is not None
    assert identity.head.sha256 == hashlib.sha256((whole / HEAD_MANIFEST).read_bytes()).hexdigest()


def test_a_head_of_another_bundle_is_refused(whole: Path) -> None:
    with pytest.raises(HeadMismatch, match="fitted on the bundle demo"):
        Classifier(load_bundle("fast"), head=whole)


def test_a_folder_without_a_head_is_one_clear_error(demo: Classifier, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "nul\0"):
        with pytest.raises(HeadMissing):
            _load(demo, folder)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"features": "field-description@9"}, HeadMismatch),
        ({"min_agent_version": "99.0.0"}, HeadError),
        ({"files": {HEAD_ARRAYS: "0" * 64, "card.md": "0" * 64}}, HeadError),
        ({"files": {HEAD_ARRAYS: "0" * 64}}, HeadError),
        ({"files": {"../../etc/passwd": "0" * 64, HEAD_ARRAYS: "0" * 64, "card.md": "0" * 64}}, HeadError),
        ({"files": {"/etc/passwd": "0" * 64, HEAD_ARRAYS: "0" * 64, "card.md": "0" * 64}}, HeadError),
        ({"files": {"..": "0" * 64, HEAD_ARRAYS: "0" * 64, "card.md": "0" * 64}}, HeadError),
        ({"temperature": 0}, HeadError),
        ({"thresholds": {"max_unfamiliarity_score": float("inf"), "min_confidence_ratio": 0.5}}, HeadError),
        ({"labels": []}, HeadError),
        ({"name": "../other"}, HeadError),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(
    demo: Classifier, tmp_path: Path, change: dict[str, Any], error: type[EdgeAgentError]
) -> None:
    _write(tmp_path, demo, _npz(_arrays(demo)), change)
    with pytest.raises(error):
        _load(demo, tmp_path)


def test_a_manifest_without_end_is_refused_before_it_is_read(demo: Classifier, whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "head")
    with (folder / HEAD_MANIFEST).open("ab") as file:
        file.write(b" " * MAX_MANIFEST_BYTES)
    with pytest.raises(HeadError, match="bytes, more than"):
        _load(demo, folder)


def _nan(array: NDArray[Any]) -> NDArray[Any]:
    changed = array.copy()
    changed.flat[0] = np.nan
    return changed


@pytest.mark.parametrize("name", ["weights", "bias", "familiarity_mean", "familiarity_whitening", "golden_logits"])
@pytest.mark.parametrize(
    "change",
    [
        _nan,
        lambda array: array.astype(np.float64),
        lambda array: array[..., :-1],
        lambda array: array[None],
        lambda array: np.array([None, {}], dtype=object),
    ],
    ids=["nan", "float64", "smaller", "another dimension", "pickled"],
)
def test_arrays_that_are_not_what_the_manifest_says_are_refused(
    demo: Classifier, tmp_path: Path, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    arrays = _arrays(demo)
    _write(tmp_path, demo, _npz({**arrays, name: change(arrays[name])}))
    with pytest.raises(HeadError):
        _load(demo, tmp_path)


def test_a_missing_array_is_refused(demo: Classifier, tmp_path: Path) -> None:
    arrays = _arrays(demo)
    del arrays["bias"]
    _write(tmp_path, demo, _npz(arrays))
    with pytest.raises(HeadError, match="bias"):
        _load(demo, tmp_path)


def test_arrays_that_unpack_to_more_than_memory_are_refused_before_they_do(demo: Classifier, tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights.npy", bytes(64 * 2**20))
    _write(tmp_path, demo, content.getvalue())
    with pytest.raises(HeadError, match="unpacks to"):
        _load(demo, tmp_path)


def test_golden_outputs_that_differ_are_refused(demo: Classifier, tmp_path: Path) -> None:
    arrays = _arrays(demo)
    for name in ("golden_logits", "golden_unfamiliarity"):
        _write(tmp_path, demo, _npz({**arrays, name: arrays[name] * 2 + 1}))
        with pytest.raises(GoldenMismatch):
            _load(demo, tmp_path).verify_golden()


@settings(max_examples=60)
@given(data=st.data())
def test_no_damaged_byte_passes_for_the_head_it_was(demo: Classifier, whole: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from((HEAD_MANIFEST, HEAD_ARRAYS, "card.md")))
    content = bytearray((whole / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    folder = whole.parent / "damaged"
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    (folder / name).write_bytes(content)
    try:
        loaded = _load(demo, folder).head
    except HeadError:
        return
    assert name == HEAD_MANIFEST
    assert loaded is not None
    assert loaded.sha256 != hashlib.sha256((whole / HEAD_MANIFEST).read_bytes()).hexdigest()


@settings(max_examples=60)
@given(content=st.binary(max_size=200) | st.builds(lambda end: b"PK\x03\x04" + end, st.binary(max_size=100)))
def test_whatever_the_arrays_file_is_it_is_one_error(demo: Classifier, whole: Path, content: bytes) -> None:
    folder = whole.parent / "hostile"
    _write(folder, demo, content)
    with pytest.raises(HeadError):
        _load(demo, folder)

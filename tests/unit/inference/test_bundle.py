"""Corrupted copies of the shipped demonstration bundle: the real file, the real runtime."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.errors import (
    BundleError,
    BundleFileMissing,
    BundleHashMismatch,
    BundleMismatch,
    BundleMissing,
    BundleUnsupported,
    GoldenMismatch,
)
from edge_agent.inference import Classifier, load_bundle, shipped_bundles
from edge_agent.inference.bundle import load_golden
from tests.cells import make_cells_bundle


def rewrite(folder: Path, **changes: Any) -> None:
    """Change keys of a bundle's manifest; ``a__b`` is key b of section a."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    for path, value in changes.items():
        section = manifest
        *parents, key = path.split("__")
        for parent in parents:
            section = section[parent]
        section[key] = value
    file.write_text(json.dumps(manifest))


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Put another file into a bundle and make the manifest agree with it."""
    (folder / name).write_bytes(content)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite(folder, files={**files, name: hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize("name", shipped_bundles())
def test_every_shipped_bundle_verifies_and_gives_its_golden_outputs(name: str) -> None:
    Classifier(load_bundle(name)).verify_golden()


def test_a_demonstration_bundle_says_so() -> None:
    assert load_bundle("demo").manifest.demonstration


def test_a_bundle_is_found_by_its_folder_too(demo_bundle: Path) -> None:
    assert load_bundle(demo_bundle).manifest == load_bundle("demo").manifest


@pytest.mark.parametrize("name", ["no-such-bundle", "", "nul\0byte", "x" * 5000])
def test_an_unknown_name_lists_those_that_ship(name: str) -> None:
    with pytest.raises(BundleMissing, match="demo"):
        load_bundle(name)


@pytest.mark.parametrize("name", ["model.tflite", "golden.npz", "ood.npz", "card.md"])
def test_a_missing_file_is_named(demo_bundle: Path, name: str) -> None:
    (demo_bundle / name).unlink()
    with pytest.raises(BundleFileMissing, match=name):
        load_bundle(demo_bundle)


@pytest.mark.parametrize("name", ["model.tflite", "golden.npz", "ood.npz", "card.md"])
def test_one_changed_byte_is_refused(demo_bundle: Path, name: str) -> None:
    content = bytearray((demo_bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (demo_bundle / name).write_bytes(content)
    with pytest.raises(BundleHashMismatch, match=name):
        load_bundle(demo_bundle)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preprocessing__id": "hsv@9"}, "hsv@9"),
        # This preprocessing is for cells, and this is a bundle for fields.
        ({"preprocessing__id": "cell_stain@1"}, "cell_stain@1"),
        ({"preprocessing__denoise": "magic"}, "magic"),
        ({"min_agent_version": "99.0.0"}, "99.0.0"),
    ],
)
def test_what_this_agent_does_not_have_is_refused(demo_bundle: Path, changes: dict[str, str], words: str) -> None:
    rewrite(demo_bundle, **changes)
    with pytest.raises(BundleUnsupported, match=words):
        load_bundle(demo_bundle)


@pytest.mark.parametrize(
    "oldest",
    ["", "1", "1.0", "one", "1.2.x", "1.0.0 ", "-1.0.0", "1..0", "\u0661.0.0", "9" * 5000 + ".0.0", None, 2, [1, 0, 0]],
)
def test_an_oldest_agent_that_is_no_version_is_one_error(demo_bundle: Path, oldest: object) -> None:
    rewrite(demo_bundle, min_agent_version=oldest)
    with pytest.raises(BundleError):
        load_bundle(demo_bundle)


@pytest.mark.parametrize(
    ("agent", "fits"),
    [
        ("1.10.0", True),
        ("1.9.0", True),
        ("1.8.9", False),
        ("1.9.0.dev3", True),
        ("1.9.0rc1", True),
        ("1.9.0+debian1", True),
        ("1.8.0.post1", False),
        ("2.0.0a1", True),
    ],
)
def test_an_agent_of_any_kind_of_version_is_compared_by_its_release(
    demo_bundle: Path, monkeypatch: pytest.MonkeyPatch, agent: str, *, fits: bool
) -> None:
    monkeypatch.setattr("edge_agent.__version__", agent)
    rewrite(demo_bundle, min_agent_version="1.9.0")
    if fits:
        load_bundle(demo_bundle)
    else:
        with pytest.raises(BundleUnsupported, match=r"1\.9\.0"):
            load_bundle(demo_bundle)


def test_a_manifest_without_a_file_for_familiarity_is_refused(demo_bundle: Path) -> None:
    files = json.loads((demo_bundle / "manifest.json").read_text())["files"]
    del files["ood.npz"]
    rewrite(demo_bundle, files=files)
    with pytest.raises(BundleError, match=r"ood\.npz"):
        load_bundle(demo_bundle)


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0},
        {"thresholds__min_confidence_ratio": 1.5},
        {"thresholds__max_unfamiliarity_score": 0},
        {"labels": []},
        {"unknown_key": 1},
        {"files": {"../../etc/passwd": "0" * 64}},
        {"name": "Has Spaces"},
    ],
)
def test_a_manifest_that_breaks_the_contract_is_one_error(demo_bundle: Path, changes: dict[str, Any]) -> None:
    rewrite(demo_bundle, **changes)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load_bundle(demo_bundle)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(content=st.binary(max_size=300))
def test_no_bytes_make_anything_but_a_bundle_error(demo_bundle: Path, content: bytes) -> None:
    (demo_bundle / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError):
        load_bundle(demo_bundle)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input__height_px": 96}, "takes int8"),
        ({"input__dtype": "uint8"}, "takes int8"),
        ({"input__scale": 0.5}, "scale or zero point"),
        ({"input__zero_point": 7}, "scale or zero point"),
        ({"outputs__features": "absent"}, "no output 'absent'"),
        ({"outputs__class_activation_map": "logits"}, "dimensions"),
        ({"outputs__middle_map": "absent"}, "no output 'absent'"),
        ({"outputs__middle_map": "features"}, "dimensions"),
        ({"outputs__middle_map": "class_activation_map"}, r"ood\.npz"),
    ],
)
def test_tensors_that_are_not_the_manifests_are_refused(demo_bundle: Path, changes: dict[str, Any], words: str) -> None:
    rewrite(demo_bundle, **changes)
    with pytest.raises(BundleMismatch, match=words):
        Classifier(load_bundle(demo_bundle))


def test_labels_that_do_not_match_the_model_are_refused(demo_bundle: Path) -> None:
    labels = json.loads((demo_bundle / "manifest.json").read_text())["labels"]
    rewrite(demo_bundle, labels=labels[:3], evidence=None)
    with pytest.raises(BundleMismatch, match="3 labels"):
        Classifier(load_bundle(demo_bundle))


@pytest.mark.parametrize("content", [b"", b"not a model", b"TFL3" * 100])
def test_a_file_that_is_no_model_is_refused(demo_bundle: Path, content: bytes) -> None:
    replace_file(demo_bundle, "model.tflite", content)
    with pytest.raises(BundleMismatch, match="not a model"):
        Classifier(load_bundle(demo_bundle))


def spoil_golden(folder: Path, **arrays: Any) -> None:
    golden = load_golden(load_bundle(folder))
    values = {name: getattr(golden, name) for name in ("field", "image", "logits", "unfamiliarity")} | arrays
    file = folder / "golden.npz"
    np.savez_compressed(file, **values)
    replace_file(folder, "golden.npz", file.read_bytes())


def test_other_outputs_than_the_golden_ones_are_refused(demo_bundle: Path) -> None:
    golden = load_golden(load_bundle(demo_bundle))
    spoil_golden(demo_bundle, logits=golden.logits[:, ::-1])
    with pytest.raises(GoldenMismatch, match="other outputs"):
        Classifier(load_bundle(demo_bundle)).verify_golden()


def test_another_preprocessing_than_the_golden_one_is_refused(demo_bundle: Path) -> None:
    golden = load_golden(load_bundle(demo_bundle))
    spoil_golden(demo_bundle, field=golden.field[..., ::-1])
    with pytest.raises(GoldenMismatch, match="another image"):
        Classifier(load_bundle(demo_bundle)).verify_golden()


def test_golden_vectors_of_other_shapes_are_refused(demo_bundle: Path) -> None:
    golden = load_golden(load_bundle(demo_bundle))
    spoil_golden(demo_bundle, image=golden.image[:, ::2])
    with pytest.raises(BundleError, match="shapes"):
        Classifier(load_bundle(demo_bundle)).verify_golden()
    array = io.BytesIO()
    np.save(array, golden.logits)
    for content in (b"", b"no archive", b"PK\x03\x04 cut off", array.getvalue()):
        replace_file(demo_bundle, "golden.npz", content)
        with pytest.raises(BundleError, match="cannot be read"):
            Classifier(load_bundle(demo_bundle)).verify_golden()


@pytest.mark.parametrize(
    "change",
    [
        {"logits": np.full((4, 4), np.nan, np.float32)},
        {"logits": np.full((4, 4), "0.5")},
        {"logits": np.float32(1)},
        {"unfamiliarity": np.zeros(4, "M8[s]")},
    ],
    ids=["no numbers", "texts", "one number", "times"],
)
def test_golden_vectors_that_nothing_can_differ_from_are_refused(demo_bundle: Path, change: dict[str, Any]) -> None:
    spoil_golden(demo_bundle, **change)
    with pytest.raises(BundleError, match=r"golden\.npz (does not|has outputs)"):
        Classifier(load_bundle(demo_bundle)).verify_golden()


def test_a_cells_bundle_may_have_the_preprocessing_of_cells(tmp_path: Path) -> None:
    preprocessing = {"id": "cell_stain@1", "denoise": "none"}
    bundle = load_bundle(make_cells_bundle(tmp_path / "cells", preprocessing=preprocessing))
    assert bundle.manifest.preprocessing.id == "cell_stain@1"
    with pytest.raises(BundleUnsupported, match="cell_stain@9"):
        load_bundle(make_cells_bundle(tmp_path / "newer", preprocessing={**preprocessing, "id": "cell_stain@9"}))

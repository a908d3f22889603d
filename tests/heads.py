"""Heads that are fitted to nothing, for tests: right in every file, and of no use."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import edge_agent
from edge_agent.contracts import HEAD_SCHEMA, HeadManifest
from edge_agent.contracts.head import HeadParent, HeadTraining
from edge_agent.contracts.manifest import Label, Thresholds
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import MODEL, load_golden
from edge_agent.inference.features import FEATURES

FEATURE = "field-description@1"
LABELS = ("blast", "mature")


def write_head(folder: Path, *, bundle: str = "demo", name: str = "north-clinic-1", version: str = "1.0.0") -> Path:
    """Write a head with random weights for a shipped bundle."""
    parent = load_bundle(bundle)
    classifier = Classifier(parent)
    kind = FEATURES[FEATURE]
    golden = load_golden(parent)
    values = np.stack([kind.describe(image, classifier.run(image).middle_map).values for image in golden.image])
    weights = np.random.default_rng(3).normal(0, 0.1, (len(LABELS), values.shape[1])).astype(np.float32)
    mean = values.mean(axis=0)
    arrays = {
        "weights": weights,
        "bias": np.zeros(len(LABELS), np.float32),
        "familiarity_mean": mean,
        "familiarity_whitening": np.eye(len(mean), dtype=np.float32),
        "golden_logits": values @ weights.T,
        "golden_unfamiliarity": np.linalg.norm(values - mean, axis=1).astype(np.float32),
    }
    packed = io.BytesIO()
    np.savez_compressed(packed, **{key: array.astype(np.float32) for key, array in arrays.items()})
    contents = {"head.npz": packed.getvalue(), "card.md": b"# A head for tests\n", "examples.csv": b"sha256,label\n"}
    manifest = HeadManifest(
        schema=HEAD_SCHEMA,
        name=name,
        version=version,
        created_at=datetime(2026, 11, 29, tzinfo=UTC),
        demonstration=True,
        parent=HeadParent(
            name=parent.manifest.name, version=parent.manifest.version, sha256=parent.manifest.files[MODEL]
        ),
        features=FEATURE,
        labels=tuple(Label(code=each, display_name=each, meaning=each, malignant=each == LABELS[0]) for each in LABELS),
        temperature=1.0,
        thresholds=Thresholds(max_unfamiliarity_score=100.0, min_confidence_ratio=0.5),
        training=HeadTraining(
            dataset="nothing",
            dataset_sha256="0" * 64,
            images_count=1,
            unreadable_count=0,
            specimens_count=None,
            groups_count=1,
            groups="near-duplicate-and-time",
            regularisation=1.0,
            seed=0,
            software="tests",
            command="tests",
        ),
        evidence=None,
        figures=None,
        appearance=None,
        min_agent_version=edge_agent.__version__,
        files={key: hashlib.sha256(content).hexdigest() for key, content in contents.items()},
    )
    folder.mkdir(parents=True)
    for key, content in contents.items():
        (folder / key).write_bytes(content)
    (folder / "head.json").write_bytes(manifest.to_json())
    return folder

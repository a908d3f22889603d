from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.contracts.manifest import TrainingField
from edge_agent.inference import load_bundle
from tests.train_options import recipe_without_epochs
from trainer.data.description import load_description
from trainer.export.bundle_files import build_manifest, uncalibrated_contents
from trainer.export.identity import BundleIdentity
from trainer.training.run import RunConfig

ALL4 = TrainingField(aspect_width=4, aspect_height=3, fit="stretch", chroma="half")


@pytest.mark.parametrize(("dataset", "field"), [("all4", ALL4), ("synthetic", None)])
def test_the_manifest_states_the_geometry_of_the_data(
    tmp_path: Path, dataset: str, field: TrainingField | None
) -> None:
    config = RunConfig(
        options=recipe_without_epochs(
            data="data",
            out="out",
            description=dataset,
            alpha=0.35,
            weights="w.npz",
        ),
        dataset=load_description(dataset, tmp_path),
        dataset_sha256="0" * 64,
        images_count=40,
        command="trainer train",
        commit="unknown",
        created_at=datetime.now(UTC),
        versions={},
    )
    contents = uncalibrated_contents(load_bundle("demo").model_path.read_bytes())
    assert build_manifest(BundleIdentity("mine", "0.0.1"), config, contents).field == field

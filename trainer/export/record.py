"""'trainer evidence': the record on held-out images for a bundle that was made before."""

from __future__ import annotations

from pathlib import Path

from edge_agent.contracts import Manifest
from edge_agent.inference.bundle import MANIFEST, load_bundle
from trainer.data.split import Part
from trainer.errors import RunError
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.options import EvaluationOptions
from trainer.files import replacing


def record_evidence(bundle: str, data: Path, split: Path, *, seed: int = 0) -> Manifest:
    """Measure ``bundle`` on the test part of ``split``, and write the record into its manifest, which is returned.

    Raises ``BundleError`` or ``TrainerError``.
    """
    found = load_bundle(bundle)
    evidence = evaluate(bundle, data, split, Part.TEST, EvaluationOptions(seed=seed)).evidence
    if evidence is None:
        raise RunError(f"{split} has no test images.")
    manifest = found.manifest.model_copy(update={"evidence": evidence})
    with replacing(found.folder / MANIFEST) as file:
        file.write(f"{manifest.model_dump_json(indent=2)}\n".encode())
    return manifest

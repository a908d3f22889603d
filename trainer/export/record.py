"""'trainer evidence' and 'trainer appearance': add to an older bundle's manifest what it lacks."""

from __future__ import annotations

from pathlib import Path

from edge_agent.contracts import Manifest
from edge_agent.contracts.manifest import Evidence, Reference, TrainingAppearance
from edge_agent.inference.bundle import MANIFEST, Bundle, load_bundle
from edge_agent.inference.signature import SIGNATURE
from trainer.data.split import Part, held_out, in_part, read_split
from trainer.errors import RunError
from trainer.evaluation.appearance import measure_training_appearance
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.options import EvaluationOptions
from trainer.evaluation.reference import measure_reference
from trainer.files import replacing


def record_evidence(bundle: str, data: Path, split: Path, *, seed: int = 0) -> Manifest:
    """Measure ``bundle`` on the test part of ``split``, write the record into its manifest, and return the manifest.

    Raises ``BundleError`` or ``TrainerError``.
    """
    found = load_bundle(bundle)
    evidence = evaluate(bundle, data, split, Part.TEST, EvaluationOptions(seed=seed)).evidence
    if evidence is None:
        raise RunError(f"{split} has no test images.")
    return _write(found, evidence=evidence)


def record_appearance(bundle: str, data: Path, split: Path) -> Manifest:
    """Measure how the training images of ``split`` look and how ``bundle`` judges the held-out ones.

    Both go into the manifest of ``bundle``, as ranges that the agent compares fields with. Returns the manifest. Raises
    ``BundleError`` or ``TrainerError``.
    """
    analyzer = BundleAnalyzer.load(bundle)
    assignments = read_split(split, data)
    return _write(
        analyzer.classifier.bundle,
        appearance=measure_training_appearance(analyzer, data, in_part(assignments, Part.TRAIN)),
        reference=measure_reference(analyzer, data, held_out(assignments)),
    )


def _write(bundle: Bundle, **sections: Evidence | TrainingAppearance | Reference) -> Manifest:
    manifest = bundle.manifest.model_copy(update=sections)
    # The old signature would not be that of the new manifest.
    (bundle.folder / SIGNATURE).unlink(missing_ok=True)
    with replacing(bundle.folder / MANIFEST) as file:
        file.write(f"{manifest.model_dump_json(indent=2)}\n".encode())
    return manifest

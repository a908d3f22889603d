"""What a bundle's record has to show, judged by its counts."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edge_agent.contracts import Manifest
from edge_agent.contracts.manifest import ClassEvidence, Evidence
from edge_agent.inference import load_bundle
from edge_agent.inference.proof import DEFAULT_PROOF, ProofLimits, unproven_reasons

MANIFEST = load_bundle("accurate").manifest
CODES = tuple(label.code for label in MANIFEST.labels)


def of_class(
    code: str, *, training: int = 80, held_out: int = 20, right: int = 19, specimens: int | None = None
) -> ClassEvidence:
    return ClassEvidence(
        code=code,
        training_images_count=training,
        held_out_images_count=held_out,
        held_out_right_count=right,
        specimens_count=specimens,
    )


def with_evidence(*classes: ClassEvidence, permutation_ratio: float = 0.0001) -> Manifest:
    """The manifest with this record; classes that are not named have a good record."""
    named = {each.code: each for each in classes}
    evidence = Evidence(
        held_out="test images",
        classes=tuple(named.get(code, of_class(code)) for code in CODES),
        permutation_ratio=permutation_ratio,
        permutations_count=9999,
    )
    return MANIFEST.model_copy(update={"evidence": evidence})


def _reasons(manifest: Manifest) -> tuple[str, ...]:
    return unproven_reasons(manifest.labels, manifest.evidence, DEFAULT_PROOF)


def test_a_good_record_is_enough() -> None:
    assert _reasons(with_evidence()) == ()


def test_a_bundle_without_a_record_is_unproven() -> None:
    (reason,) = _reasons(MANIFEST.model_copy(update={"evidence": None}))
    assert "no record" in reason


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (with_evidence(of_class(CODES[0], training=4, held_out=10, right=10)), "has 14 images"),
        (with_evidence(of_class(CODES[0], held_out=4, right=4)), "has 4 held-out images"),
        (with_evidence(of_class(CODES[0], specimens=2)), "has 2 specimens"),
        (with_evidence(*(of_class(code, right=16) for code in CODES)), "64 of 80 held-out images are right"),
        (
            with_evidence(
                of_class(CODES[0], held_out=950, right=930), *(of_class(code, right=10) for code in CODES[1:])
            ),
            "always naming the commonest class",
        ),
        (with_evidence(permutation_ratio=0.02), "shuffled labellings"),
        (
            with_evidence(
                of_class(CODES[0], held_out=5, right=0),
                *(of_class(code, held_out=100, right=100) for code in CODES[1:]),
            ),
            f"'{CODES[0]}' was named in 0 of its 5",
        ),
    ],
    ids=["images", "held out", "specimens", "accuracy", "commonest class", "chance", "a class never found"],
)
def test_what_a_record_lacks_is_said(manifest: Manifest, words: str) -> None:
    (reason,) = _reasons(manifest)
    assert words in reason


@pytest.mark.parametrize("limit", ["min_images_count", "min_held_out_images_count", "min_accuracy_ratio"])
def test_the_limits_cannot_be_set_to_nothing(limit: str) -> None:
    with pytest.raises(ValidationError):
        ProofLimits.model_validate({limit: 0})


def test_more_right_answers_than_images_are_no_record() -> None:
    with pytest.raises(ValidationError, match="more held-out images"):
        of_class(CODES[0], held_out=5, right=6)


def test_a_share_of_labellings_that_no_test_can_give_is_no_record() -> None:
    """The true labelling is one of those tried, so the share is never less than its own."""
    with pytest.raises(ValidationError, match="permutation"):
        with_evidence(permutation_ratio=0.0)

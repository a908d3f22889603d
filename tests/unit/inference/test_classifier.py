from __future__ import annotations

import sys

import numpy as np
import pytest
from ai_edge_litert import interpreter
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.contracts import Outcome, Reason
from edge_agent.contracts.manifest import Thresholds
from edge_agent.errors import RuntimeMissing
from edge_agent.inference import Classifier, decide, load_bundle
from edge_agent.inference.classifier import Classification


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(load_bundle("demo"))


def test_logits_are_the_mean_of_the_class_activation_map(classifier: Classifier, smear: NDArray[np.uint8]) -> None:
    outcome = classifier.classify(smear)
    means = outcome.class_activation_map.mean(axis=(0, 1))
    assert outcome.class_activation_map.ndim == 3
    assert outcome.logits == pytest.approx(means, abs=0.25)
    assert outcome.features.ndim == 1


def test_probabilities_sum_to_one_and_repeat(classifier: Classifier, smear: NDArray[np.uint8]) -> None:
    first, second = classifier.classify(smear), classifier.classify(smear)
    assert first.probabilities.sum() == pytest.approx(1)
    assert (first.probabilities == second.probabilities).all()


def test_red_and_blue_are_not_mixed_up(classifier: Classifier, smear: NDArray[np.uint8]) -> None:
    """The network sees colour: with the channels swapped it must see another picture."""
    straight, swapped = classifier.classify(smear), classifier.classify(np.ascontiguousarray(smear[..., ::-1]))
    assert np.abs(straight.logits - swapped.logits).max() > 0.5


def test_every_pixel_level_has_an_input_value_of_its_own(classifier: Classifier) -> None:
    assert classifier._table.view(np.int8).tolist() == list(range(-128, 128))


@pytest.mark.parametrize("only_signed", [False, True])
def test_several_images_at_once_get_what_each_gets_alone(
    classifier: Classifier, smear: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, only_signed: bool
) -> None:
    monkeypatch.setattr(classifier, "_only_signed", only_signed)
    images = [smear, np.ascontiguousarray(smear[::-1]), smear[:, ::-1], np.full_like(smear, 200)]
    alone = [classifier.classify(image) for image in images]
    assert len({each.unfamiliarity_score for each in alone}) == len(images)
    for one, other in zip(classifier.classify_all(images), alone, strict=True):
        for name in ("probabilities", "logits", "class_activation_map", "features", "middle_map"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert one.unfamiliarity_score == pytest.approx(other.unfamiliarity_score, rel=1e-5)
    assert classifier.classify_all([]) == []
    assert classifier.classify(smear).logits.tolist() == alone[0].logits.tolist(), "a smaller run after a larger one"


def test_an_image_of_another_shape_is_refused(classifier: Classifier, smear: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="broadcast"):
        classifier.classify(smear[:-1])


def classification_with(confidence: float, unfamiliarity: float) -> Classification:
    """A possible output of a network of four classes."""
    probabilities = np.array([confidence, *[(1 - confidence) / 3] * 3])
    nothing = np.zeros(4, np.float32)
    return Classification(
        probabilities, nothing, nothing[None, None], nothing, nothing[None, None], unfamiliarity_score=unfamiliarity
    )


@given(st.floats(0.25, 1), st.floats(0, 1), st.floats(0, 100), st.floats(0.01, 100))
def test_it_abstains_exactly_from_the_unfamiliar_and_below_the_threshold(
    confidence: float, threshold: float, unfamiliarity: float, limit: float
) -> None:
    classification = classification_with(confidence, unfamiliarity)
    outcome, reason, decision = decide(
        classification, Thresholds(max_unfamiliarity_score=limit, min_confidence_ratio=threshold)
    )
    # Familiarity comes first: an unfamiliar field is not reported as unsure, whatever its confidence.
    if unfamiliarity > limit:
        assert (outcome, reason) == (Outcome.ABSTAINED, Reason.UNFAMILIAR)
        assert decision.confidence_ratio is None
    else:
        assert decision.confidence_ratio == pytest.approx(classification.probabilities.max(), abs=1e-6)
        if classification.probabilities.max() < threshold:
            assert (outcome, reason) == (Outcome.ABSTAINED, Reason.LOW_CONFIDENCE)
        else:
            assert (outcome, reason) == (Outcome.CLASSIFIED, None)
    assert decision.min_confidence_ratio == threshold
    assert decision.max_unfamiliarity_score == limit
    assert decision.unfamiliarity_score == pytest.approx(unfamiliarity, abs=1e-3)


def test_tflite_runtime_takes_over_where_litert_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """tflite-runtime has the same interpreter under another name, and does not exist for every Python."""
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", interpreter)
    versions = {"tflite-runtime": "2.14.0"}
    monkeypatch.setattr("edge_agent.inference.runtime.metadata.version", versions.__getitem__)
    found = Classifier(load_bundle("demo"))
    assert found.identity.runtime == "tflite-runtime 2.14.0"
    found.verify_golden()


def test_without_a_runtime_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RuntimeMissing) as caught:
        Classifier(load_bundle("demo"))
    assert "ai-edge-litert" in caught.value.remedy

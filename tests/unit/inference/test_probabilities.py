"""Probabilities: distributions in the order of the logits, with the blast decided first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.special import expit

from edge_agent.errors import BundleError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import load_golden, shipped_bundles
from edge_agent.inference.probabilities import blast_first, softmax
from tests.cells import WINDOW_UM, make_cells_bundle

LOGITS = arrays.arrays(np.float32, (5, 4), elements=st.floats(-60, 60, width=32))
BLAST_FIRST = {"window_um": WINDOW_UM, "max_cells_count": 16, "probabilities": "blast-first@1"}


@given(LOGITS, st.floats(0.05, 20))
def test_softmax_gives_probabilities_in_the_logits_order(logits: NDArray[np.float32], temperature: float) -> None:
    probabilities = softmax(logits, temperature)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert (probabilities >= 0).all()
    for row in range(5):
        assert probabilities[row, logits[row].argmax()] == pytest.approx(probabilities[row].max())


@given(LOGITS, st.floats(0.05, 20))
def test_a_blast_is_as_likely_as_its_log_odds_say_whatever_the_types(
    logits: NDArray[np.float32], temperature: float
) -> None:
    probabilities = blast_first(logits, temperature)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.allclose(probabilities[:, 0], expit(logits[:, 0].astype(np.float64) / temperature))
    rest = expit(-logits[:, :1].astype(np.float64) / temperature)
    assert np.allclose(probabilities[:, 1:], rest * softmax(logits[:, 1:], temperature))


@given(LOGITS, st.floats(0.05, 20), st.floats(-9, 9))
def test_an_offset_moves_blasts_and_not_the_shares_of_the_types(
    logits: NDArray[np.float32], temperature: float, offset: float
) -> None:
    probabilities = blast_first(logits, temperature, offset)
    log_odds = logits[:, :1].astype(np.float64) / temperature + offset
    assert np.allclose(probabilities[:, :1], expit(log_odds))
    assert np.allclose(probabilities[:, 1:], expit(-log_odds) * softmax(logits[:, 1:], temperature))


def test_a_higher_temperature_is_less_sure() -> None:
    logits = np.array([3.0, 1.0, 0.0, 0.0])
    for rule in (softmax, blast_first):
        assert rule(logits, 2.0).max() < rule(logits, 1.0).max()


def test_a_cells_bundle_computes_them_by_the_rule_that_it_names(tmp_path: Path) -> None:
    labels = load_bundle("demo").manifest.model_dump(mode="json")["labels"]
    # So that no class is certain, by either rule.
    unsure = 20.0
    named = make_cells_bundle(
        tmp_path / "named",
        cells=BLAST_FIRST,
        labels=[{**labels[0], "malignant": True}, *labels[1:]],
        temperature=unsure,
    )
    plain = make_cells_bundle(tmp_path / "plain", temperature=unsure)
    for folder, rule, other in ((named, blast_first, softmax), (plain, softmax, blast_first)):
        classifier = Classifier(load_bundle(folder))
        found = classifier.classify(load_golden(classifier.bundle).image[0])
        assert np.allclose(found.probabilities, rule(found.logits, unsure))
        assert not np.allclose(found.probabilities, other(found.logits, unsure))


@pytest.mark.parametrize(
    ("cells", "malignant", "says"),
    [
        ({**BLAST_FIRST, "probabilities": "blast-first@2"}, True, "blast-first@1"),
        (BLAST_FIRST, False, "malignant first label"),
    ],
    ids=["unknown-rule", "first-label-benign"],
)
def test_a_rule_that_cannot_be_followed_is_refused(
    tmp_path: Path, cells: dict[str, object], says: str, *, malignant: bool
) -> None:
    labels = load_bundle("demo").manifest.model_dump(mode="json")["labels"]
    folder = make_cells_bundle(
        tmp_path / "bundle", cells=cells, labels=[{**labels[0], "malignant": malignant}, *labels[1:]]
    )
    with pytest.raises(BundleError, match=says):
        load_bundle(folder)


@pytest.mark.parametrize("name", sorted(shipped_bundles()))
def test_bundles_without_a_rule_stay_valid(name: str) -> None:
    cells = load_bundle(name).manifest.cells
    assert cells is None or cells.probabilities in {None, "blast-first@1"}

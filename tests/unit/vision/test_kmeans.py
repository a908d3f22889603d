from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from edge_agent.vision.colour import LEVELS
from edge_agent.vision.kmeans import kmeans_histogram


def brute_force(histogram: NDArray[np.int64], k: int) -> list[tuple[float, tuple[int, ...]]]:
    """Inertia and first levels of every division of the occupied levels into k intervals, best first."""
    levels = np.flatnonzero(histogram)
    divisions = []
    for cuts in itertools.combinations(range(1, levels.size), min(k, levels.size) - 1):
        inertia = 0.0
        for part in np.split(levels, cuts):
            weights = histogram[part]
            centre = (weights * part).sum() / weights.sum()
            inertia += float((weights * (part - centre) ** 2).sum())
        divisions.append((inertia, (int(levels[0]), *(int(levels[cut]) for cut in cuts))))
    return sorted(divisions)


@st.composite
def histograms(draw: st.DrawFn, max_levels: int = 9) -> NDArray[np.int64]:
    levels = draw(st.lists(st.integers(0, LEVELS - 1), min_size=1, max_size=max_levels, unique=True))
    counts = draw(st.lists(st.integers(1, 50_000), min_size=len(levels), max_size=len(levels)))
    histogram = np.zeros(LEVELS, np.int64)
    histogram[levels] = counts
    return histogram


@given(histograms(), st.integers(1, 5))
def test_the_clustering_is_the_best_of_all(histogram: NDArray[np.int64], k: int) -> None:
    best = brute_force(histogram, k)
    clusters = kmeans_histogram(histogram, k)
    assert clusters.inertia == pytest.approx(best[0][0], rel=1e-9, abs=1e-6)


@given(histograms(), st.integers(2, 5))
def test_labels_and_centres_equal_the_unique_optimum(histogram: NDArray[np.int64], k: int) -> None:
    best = brute_force(histogram, k)
    assume(len(best) == 1 or best[1][0] > best[0][0] * (1 + 1e-9) + 1e-6)
    levels = np.flatnonzero(histogram)
    expected = np.searchsorted(best[0][1], levels, side="right") - 1
    clusters = kmeans_histogram(histogram, k)
    assert clusters.labels[levels].tolist() == expected.tolist()
    for number in range(len(best[0][1])):
        part = levels[expected == number]
        assert clusters.centres[number] == pytest.approx(np.average(part, weights=histogram[part]))
        assert clusters.counts[number] == histogram[part].sum()


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_inertia_is_never_above_scikit_learns_best_of_ten(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = np.clip(rng.normal(rng.choice([110, 130, 165], 400), rng.uniform(1, 12)), 0, 255).astype(np.uint8)
    assume(np.unique(pixels).size >= k)
    reference = KMeans(k, n_init=10, random_state=0).fit(pixels.reshape(-1, 1).astype(np.float64))
    clusters = kmeans_histogram(np.bincount(pixels, minlength=LEVELS), k)
    assert clusters.inertia <= reference.inertia_ * (1 + 1e-9) + 1e-9


@given(histograms(max_levels=40), st.integers(1, 6))
def test_every_level_belongs_to_its_nearest_centre(histogram: NDArray[np.int64], k: int) -> None:
    clusters = kmeans_histogram(histogram, k)
    distances = np.abs(np.arange(LEVELS)[:, None] - clusters.centres)
    own = distances[np.arange(LEVELS), clusters.labels]
    assert (own <= distances.min(axis=1) + 1e-9).all()
    assert clusters.counts.sum() == histogram.sum()
    assert (np.diff(clusters.centres) > 0).all()


def test_fewer_levels_than_clusters_become_a_cluster_each() -> None:
    histogram = np.zeros(LEVELS, np.int64)
    histogram[[3, 200]] = [5, 1]
    clusters = kmeans_histogram(histogram, 4)
    assert clusters.centres.tolist() == [3.0, 200.0]
    assert clusters.inertia == 0.0


@pytest.mark.parametrize(
    ("histogram", "k", "message"),
    [
        (np.zeros(LEVELS, np.int64), 3, "empty"),
        (np.full(LEVELS, -1), 3, "negative"),
        (np.ones(10, np.int64), 3, "shape"),
        (np.ones(LEVELS, np.int64), 0, "k must be"),
        (np.ones(LEVELS, np.int64), 257, "k must be"),
    ],
)
def test_what_cannot_be_clustered_is_refused(histogram: NDArray[np.int64], k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kmeans_histogram(histogram, k)

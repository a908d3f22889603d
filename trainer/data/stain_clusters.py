"""Clusters images by stain and light, as a substitute for slides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from trainer.data.colours import describe
from trainer.data.dataset import Dataset


def stain_clusters(dataset: Dataset, duplicates: NDArray[np.int64], per_class: int, seed: int) -> list[str]:
    """The cluster of each image, by the colours of its background and stain: k-means within its class.

    If no groups are known, this is the closest substitute for slides: a part then holds stains that the other parts of
    the same class do not have. Clusters are formed within classes: where the stain nearly gives the class away,
    clusters over all images would leave parts without some class. Near-duplicates count once and stay together.
    """
    colours = StandardScaler().fit_transform(describe(dataset.fields))
    labels = np.array([file.label for file in dataset.files])
    clusters = np.empty(len(labels), dtype=object)
    for label in sorted(set(labels)):
        mine = np.flatnonzero(labels == label)
        units, unit_of = np.unique(duplicates[mine], return_inverse=True)
        means = np.stack([colours[mine[unit_of == unit]].mean(axis=0) for unit in range(len(units))])
        count = min(per_class, len(units))
        found = KMeans(count, n_init=10, random_state=seed).fit_predict(means)
        clusters[mine] = [f"{label} {cluster}" for cluster in found[unit_of]]
    return [str(cluster) for cluster in clusters]

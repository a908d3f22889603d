"""Merges two groupings of images into one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def merge_groups(first: Sequence[object], second: Sequence[object]) -> NDArray[np.int64]:
    """One number, int64 (n,), for all images that are linked by either grouping; None links nothing."""
    nodes: dict[tuple[int, object], int] = {}
    edges = [
        (index, nodes.setdefault((which, group), len(nodes)))
        for which, groups in enumerate((first, second))
        for index, group in enumerate(groups)
        if group is not None
    ]
    count = len(first)
    rows = [index for index, _ in edges]
    columns = [count + node for _, node in edges]
    size = count + len(nodes)
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][:count], np.int64)

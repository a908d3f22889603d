"""The cluster that the tests of this folder share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fleet.network import entered
from tests.fleet.rabbitmq import Cluster, cluster
from tests.fleet.root import rabbitmq_root, why_not

RUN_VARIABLE = "LEUKOSCOPE_FLEET"


@pytest.fixture(scope="session")
def _running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if not os.environ.get(RUN_VARIABLE):
        pytest.skip("a cluster of RabbitMQ runs in 'make fleet' only")
    reason = why_not()
    if reason is not None:
        pytest.skip(f"no cluster of RabbitMQ can be run: {reason}")
    with cluster(rabbitmq_root(), tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def rabbitmq(_running_cluster: Cluster) -> Iterator[Cluster]:
    """Three nodes; the test, and what it starts, are clients in their network."""
    with entered(_running_cluster.network.hub):
        yield _running_cluster

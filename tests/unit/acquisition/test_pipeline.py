from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from edge_agent.acquisition.pipeline import AnalysisPipeline, PipelineCallbacks
from edge_agent.acquisition.settings import TriggerSettings
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.cameras.settings import CapturePolicy
from edge_agent.inference import Classifier, load_bundle
from edge_agent.testing.cameras import ScriptedCamera, plain_frame
from edge_agent.vision.settings import QualityLimits
from tests.mqtt import PATIENCE_S


@pytest.fixture
def no_collections() -> Iterator[None]:
    """As for all that the agent has loaded before its first reading."""
    gc.disable()
    yield
    gc.enable()


def test_a_pipeline_that_has_ended_keeps_no_model(no_collections: None) -> None:
    analyzer = Analyzer(Classifier(load_bundle("demo")), QualityLimits())
    ended = threading.Event()
    failures: list[BaseException] = []
    pipeline = AnalysisPipeline(
        lambda: ScriptedCamera([plain_frame(number) for number in (1, 2)], live=False),
        CapturePolicy(),
        analyzer,
        TriggerSettings(interval_s=0),
        PipelineCallbacks(lambda _reading: Mock(), lambda _state: None, ended.set, failures.append),
    )
    pipeline.start()
    assert ended.wait(PATIENCE_S)
    pipeline.stop()
    kept = weakref.ref(analyzer)
    del pipeline, analyzer
    assert kept() is None
    assert failures == []

"""Leukoscope's edge agent: from a camera on a microscope to readings over MQTT. Research use only.

The public interface is exported here; everything else may change between releases. Names are imported on first use, so
that ``import edge_agent`` stays cheap.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

# OpenCV and its FFmpeg read these once, when they are loaded or first used, so they are set before any module can
# import cv2. These libraries log to stderr, including a stream's password, so they are silenced whatever the
# environment says; the agent reports their errors itself.
os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # AV_LOG_QUIET
for _talkative in ("OPENCV_FFMPEG_DEBUG", "OPENCV_FFMPEG_SKIP_LOG_CALLBACK"):
    os.environ.pop(_talkative, None)
# The first is OpenCV's own default, which the second would replace: packets marked as damaged are not decoded.
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_flags;prefer_tcp|fflags;+discardcorrupt")
# The default of ten seconds is longer than the capture's deadline, so that each unplugging would cost a thread.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "4")

if TYPE_CHECKING:
    from edge_agent.agent import Agent
    from edge_agent.analysis import Analyzer, Reading
    from edge_agent.cameras import Camera, ColourOrder, Encoded, Frame, Pixels
    from edge_agent.config import Config, load_config
    from edge_agent.contracts import Event, Metrics, Outcome, Reason, Report, Result
    from edge_agent.errors import EdgeAgentError
    from edge_agent.inference import Bundle, Classifier, load_bundle, shipped_bundles

__version__ = "0.2.0"

_EXPORTS = {
    "Agent": "agent",
    "Analyzer": "analysis",
    "Bundle": "inference",
    "Camera": "cameras",
    "Classifier": "inference",
    "ColourOrder": "cameras",
    "Config": "config",
    "EdgeAgentError": "errors",
    "Encoded": "cameras",
    "Event": "contracts",
    "Frame": "cameras",
    "Metrics": "contracts",
    "Outcome": "contracts",
    "Pixels": "cameras",
    "Reading": "analysis",
    "Reason": "contracts",
    "Report": "contracts",
    "Result": "contracts",
    "load_bundle": "inference",
    "load_config": "config",
    "shipped_bundles": "inference",
}

__all__ = [
    "Agent",
    "Analyzer",
    "Bundle",
    "Camera",
    "Classifier",
    "ColourOrder",
    "Config",
    "EdgeAgentError",
    "Encoded",
    "Event",
    "Frame",
    "Metrics",
    "Outcome",
    "Pixels",
    "Reading",
    "Reason",
    "Report",
    "Result",
    "__version__",
    "load_bundle",
    "load_config",
    "shipped_bundles",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""The public interface: what others may import, and that it does not change by accident."""

from __future__ import annotations

import subprocess
import sys

import edge_agent

EXPORTED = [
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


def test_the_exported_names_are_these_and_all_of_them_can_be_imported() -> None:
    assert edge_agent.__all__ == EXPORTED
    assert dir(edge_agent) == sorted(EXPORTED)
    assert all(getattr(edge_agent, name) is not None for name in EXPORTED)


def test_every_exported_class_and_function_is_documented() -> None:
    public = [getattr(edge_agent, name) for name in EXPORTED if name != "__version__"]
    assert all(each.__doc__ for each in public)


def test_importing_the_package_loads_neither_opencv_nor_a_runtime() -> None:
    code = "import sys, edge_agent; print({'cv2', 'numpy', 'ai_edge_litert', 'paho'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

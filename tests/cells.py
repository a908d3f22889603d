"""A cells bundle for tests: the demonstration bundle, told to judge windows. Its answers mean nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from edge_agent.inference.bundle import MANIFEST, shipped_bundles

WINDOW_UM = 24.0
ALL_FAMILIAR: dict[str, Any] = {"max_unfamiliarity_score": 1e6, "min_confidence_ratio": 0.0}


def make_cells_bundle(
    folder: Path, *, max_cells_count: int = 16, thresholds: dict[str, Any] = ALL_FAMILIAR, **changes: Any
) -> Path:
    """Write a bundle of the kind 'cells' into ``folder``, a new one. Every answer counts unless told otherwise."""
    shutil.copytree(shipped_bundles()["demo"], folder)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    told = {
        "name": "test-cells",
        "kind": "cells",
        "cells": {"window_um": WINDOW_UM, "max_cells_count": max_cells_count},
        "um_per_pixel": WINDOW_UM / manifest["input"]["height_px"],
        "thresholds": thresholds,
        "appearance": None,
        "reference": None,
    }
    (folder / MANIFEST).write_text(json.dumps({**manifest, **told, **changes}))
    return folder

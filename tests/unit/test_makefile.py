from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_agent.inference import load_bundle

MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.mark.parametrize("name", ["accurate", "fast", "demo", "cells"])
def test_make_models_builds_a_shipped_bundle_in_the_version_that_ships(name: str) -> None:
    recipe = MAKEFILE.read_text().replace("\\\n", " ")
    built = re.search(rf"--name {name} --version (\S+)", recipe)
    assert built is not None
    assert built.group(1) == load_bundle(name).manifest.version

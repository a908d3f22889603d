"""How a run of the whole machines is asked for: by the environment, so that pytest alone never starts one."""

from __future__ import annotations

import os

import pytest

RUN_VARIABLE, OUT_VARIABLE, BOXES_VARIABLE, SEED_VARIABLE = (
    "LEUKOSCOPE_SYSTEM_TEST",
    "LEUKOSCOPE_SYSTEM_OUT",
    "LEUKOSCOPE_SYSTEM_BOXES",
    "LEUKOSCOPE_SYSTEM_SEED",
)


def skip_unless_asked() -> None:
    """For the top of a module of cases: one line in the summary instead of one per case."""
    if RUN_VARIABLE not in os.environ:
        pytest.skip("boots whole machines: make system-test", allow_module_level=True)

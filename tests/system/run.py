"""Whole machines run only if the environment asks for them, so that pytest alone never starts one."""

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
    """Skip a module of cases at its top: one line in the summary instead of one per case."""
    if RUN_VARIABLE not in os.environ:
        pytest.skip("boots whole machines: make system-test", allow_module_level=True)

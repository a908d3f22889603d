"""The package on its target architecture: it installs, and judges as it does here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

from edge_agent.inference.bundle import load_bundle, load_golden
from edge_agent.inference.classifier import GOLDEN_UNFAMILIARITY_RATIO
from tests.system.arm64 import Root, build_root, temporary_folder, why_not
from tests.system.device import find_package
from tests.system.image import Tell
from tests.system.run import skip_unless_asked
from tests.system.timing import Clock

skip_unless_asked()

pytestmark = [pytest.mark.system, pytest.mark.timeout(7200)]

BUNDLES = ("accurate", "fast", "demo")
PROBABILITY_TOLERANCE = 0.05
"""Other kernels round sums differently: a few steps of the int8 logits."""


def test_arm64_package_judges_alike(tmp_path: Path, tell: Tell, clock: Clock) -> None:
    reason = why_not()
    package = find_package("arm64")
    if reason is None and package is None:
        reason = "there is no package (make deb ARCH=arm64)"
    if reason is not None or package is None:
        pytest.skip(f"arm64 not tried: {reason}")
    tar = build_root(tell)
    pictures = tmp_path / "golden"
    for name in BUNDLES:
        (pictures / name).mkdir(parents=True)
        for number, field in enumerate(load_golden(load_bundle(name)).field):
            cv2.imwrite(str(pictures / name / f"{number}.png"), cv2.cvtColor(field, cv2.COLOR_RGB2BGR))
    with temporary_folder() as folder:
        root = Root(tar, Path(folder))
        shutil.copytree(pictures, root.folder / "golden")
        shutil.copy(package, root.folder / "leukoscope.deb")
        with clock.time("installed, emulated"):
            root.run("dpkg", "-i", "/leukoscope.deb")
        assert root.run("uname", "-m").strip() == "aarch64"
        root.run("edge-agent", "check-config", "/etc/leukoscope/agent.toml")
        for name in BUNDLES:
            with clock.time(f"{name} classified, emulated"):
                there = root.run("edge-agent", "classify", f"/golden/{name}", "--bundle", name)
            here = subprocess.run(
                [
                    *(sys.executable, "-c", "from edge_agent.cli.app import main; main()"),
                    *("classify", str(pictures / name), "--bundle", name),
                ],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            _compare(_results(there), _results(here))
            clock.note(f"{name} golden fields", len(_results(here)))


def _results(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def _compare(there: list[dict[str, Any]], here: list[dict[str, Any]]) -> None:
    assert len(there) == len(here) > 0
    for one, other in zip(there, here, strict=True):
        decision = other["decision"]
        nearness = abs(decision["unfamiliarity_score"] / decision["max_unfamiliarity_score"] - 1)
        if nearness < GOLDEN_UNFAMILIARITY_RATIO:
            # It falls on either side of the threshold, depending on rounding.
            continue
        assert (one["outcome"], one["reason"], one["label"]) == (other["outcome"], other["reason"], other["label"])
        if other["probabilities"] is not None:
            assert one["probabilities"] == pytest.approx(other["probabilities"], abs=PROBABILITY_TOLERANCE)

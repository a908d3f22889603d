"""The process that valgrind runs for ``instructions``: counts every case and prints one JSON object."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2

from benchmarks.callgrind import Counter
from benchmarks.latency import BARE_INVOKE, CROWDED, FIELD, MJPEG, UNFAMILIAR, bundle_cases
from benchmarks.report import Absent

WARM_UP_FRAMES = 3
CASES = (BARE_INVOKE, FIELD, UNFAMILIAR, MJPEG, CROWDED)


def main(folder: str, frames: str, threads: str, *bundles: str) -> None:
    """Count ``frames`` frames of every case of ``bundles``."""
    # OpenCV's own threads wait by spinning, which would be counted.
    cv2.setNumThreads(1)
    counter = Counter(Path(folder))
    absent: list[Absent] = []
    counted: dict[str, dict[str, int]] = {}
    for bundle in bundles:
        for case in bundle_cases(bundle, [int(threads)], absent):
            if case.name not in CASES:
                continue
            for _ in range(WARM_UP_FRAMES):
                case.call()
            counted.setdefault(bundle, {})[case.name] = counter.count(case.call, times=int(frames))
    if absent:
        raise SystemExit("; ".join(f"{each.case}: {each.reason}" for each in absent))
    sys.stdout.write(json.dumps(counted) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

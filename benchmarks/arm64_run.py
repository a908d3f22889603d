"""Runs every case of ``instructions`` in an emulated arm64 Python; ``arm64_instructions.c`` prints the counts.

Before and after the frames of a case, it calls ``getppid``; QEMU's plugin then prints the number of instructions
executed so far. README.md says how to run this.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

FRAMES = 3
WARM_UP_FRAMES = 3


def main() -> None:
    """Count all cases of both bundles on one thread, with the counts on standard error."""
    # The import needs scikit-learn, which is not counted here.
    recipe = ModuleType("benchmarks.recipe")
    recipe.__dict__["published_recipe"] = None
    sys.modules["benchmarks.recipe"] = recipe

    import cv2  # noqa: PLC0415 - after the module above

    from benchmarks.latency import (  # noqa: PLC0415 - after the module above
        BARE_INVOKE,
        BUNDLES,
        CROWDED,
        DECODE_AND_INVOKE,
        FIELD,
        MJPEG,
        UNFAMILIAR,
        bundle_cases,
    )

    cv2.setNumThreads(1)
    for bundle in BUNDLES:
        for case in bundle_cases(bundle, [1], []):
            if case.name not in {BARE_INVOKE, DECODE_AND_INVOKE, FIELD, UNFAMILIAR, MJPEG, CROWDED}:
                continue
            for _ in range(WARM_UP_FRAMES):
                case.call()
            sys.stderr.write(f"{bundle}, {case.name}, {FRAMES} frames:\n")
            sys.stderr.flush()
            os.getppid()
            for _ in range(FRAMES):
                case.call()
            os.getppid()


if __name__ == "__main__":
    main()

"""Stands in for 'trainer adapt': the same arguments, files and exit codes, and whatever else a process may do.

``python tests/fake_trainer.py MODE --bundle ... --data ...``. It imports nothing of ours, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any


def say(stage: str, ratio: float) -> None:
    print(json.dumps({"progress_ratio": ratio, "stage": stage}), file=sys.stderr, flush=True)  # noqa: T201 - its output


def manifest(name: str, version: str, counts: dict[str, int], *, proven: bool) -> dict[str, Any]:
    """A whole head.json."""
    total = sum(counts.values())
    evidence = {
        "held_out": "Each image once.",
        "classes": [
            {
                "code": code,
                "training_images_count": 0,
                "held_out_images_count": count,
                "held_out_right_count": count,
                "specimens_count": None,
            }
            for code, count in counts.items()
        ],
        "permutation_ratio": 0.001,
        "permutations_count": 1000,
    }
    return {
        "schema": "leukoscope/head/v1",
        "name": name,
        "version": version,
        "created_at": "2026-11-29T12:00:00Z",
        "demonstration": True,
        "parent": {"name": "demo", "version": "0.3.0", "sha256": "0" * 64},
        "features": "field-description@1",
        "labels": [
            {"code": code, "display_name": f"The {code}", "meaning": code, "malignant": code != "benign"}
            for code in counts
        ],
        "temperature": 1.0,
        "thresholds": {"min_confidence_ratio": 0.6, "max_unfamiliarity_score": 3.0},
        "training": {
            "dataset": "test",
            "dataset_sha256": "0" * 64,
            "images_count": total,
            "unreadable_count": 0,
            "specimens_count": None,
            "groups_count": total,
            "groups": "near-duplicate-and-time",
            "regularisation": 1.0,
            "seed": 0,
            "software": "fake",
            "command": "fake",
        },
        "evidence": evidence if proven else None,
        "figures": {
            "accuracy_ratio": 0.9,
            "accuracy_interval_ratio": [0.8, 0.95],
            "auroc_ratio": 0.97,
            "auroc_interval_ratio": [0.9, 0.99],
            "calibration_error_ratio": 0.05,
            "calibration_error_interval_ratio": [0.02, 0.09],
            "classes": [
                {"code": code, "images_count": count, "recall_ratio": 0.9, "recall_interval_ratio": [0.7, 1.0]}
                for code, count in counts.items()
            ],
            "own_refused_ratio": 0.05,
        },
        "appearance": None,
        "min_agent_version": "0.1.0",
        "files": {"head.npz": "0" * 64, "card.md": "0" * 64},
    }


def fit(options: dict[str, str], *, quick: bool) -> None:
    data, out = Path(options["data"]), Path(options["out"])
    pictures = sorted(data.glob("*/*.jpg"))
    counts: dict[str, int] = {}
    for each in pictures:
        assert each.read_bytes()[:2] == b"\xff\xd8"
        counts[each.parent.name] = counts.get(each.parent.name, 0) + 1
    say("reading", 0.2)
    out.mkdir(parents=True)
    version = options.get("version", "1.0.0")
    (out / "head.json").write_text(json.dumps(manifest(options["name"], version, counts, proven=not quick)))
    cache = Path(options["cache"])
    cache.mkdir(exist_ok=True)
    (cache / "features").write_text(" ".join(each.stem for each in pictures))
    if "report" in options:
        report = Path(options["report"])
        report.mkdir(parents=True)
        first = pictures[0]
        (report / "report.json").write_text(
            json.dumps(report_of(f"{first.parent.name}/{first.name}", first.parent.name))
        )
    say("reporting", 1.0)


def report_of(file: str, label: str) -> dict[str, Any]:
    findings: dict[str, Any] = {
        "learning_curve": {
            "points": [],
            "advice": [
                {"code": label, "more_count": 20, "gain_ratio": 0.05, "accuracy_ratio": 0.95},
                {"code": None, "more_count": 20, "gain_ratio": None, "accuracy_ratio": None},
                {"code": "of another release"},
            ],
        },
        "mistakes": [
            {"path": file, "label": label, "predicted": "pre-b"},
            {"path": "elsewhere/field 7.png", "label": label, "predicted": "pre-b"},
        ],
        "give_aways": [{"warning": "The size of the picture alone tells the label."}, {"warning": None}],
    }
    return {"findings": findings}


def tell_bounds() -> None:
    found = {
        "nice": os.nice(0),
        "idle": os.sched_getscheduler(0) == os.SCHED_IDLE,
        "data": resource.getrlimit(resource.RLIMIT_DATA)[0],
        "threads": os.environ["OMP_NUM_THREADS"],
        "group": os.getpgid(0) == os.getpid(),
        "environment": [each for each in sorted(os.environ) if each in {"NOTIFY_SOCKET", "PASSWORD"}],
    }
    for name, value in found.items():
        sys.stderr.write(f"bound {name} {json.dumps(value)}\n")


def main() -> None:  # noqa: C901 - one case for each thing that a process may do
    mode, *arguments = sys.argv[1:]
    quick = "--quick" in arguments
    rest = [each for each in arguments if each != "--quick"]
    options = {key.removeprefix("--"): value for key, value in zip(rest[::2], rest[1::2], strict=True)}
    match mode:
        case "good":
            fit(options, quick=quick)
        case "bounds":
            fit(options, quick=quick)
            tell_bounds()
        case "hang":
            say("fitting", 0.5)
            sys.stderr.write(f"pid {os.getpid()}\n")
            sys.stderr.flush()
            time.sleep(600)
        case "deaf":
            os.close(2)
            time.sleep(600)
        case "garbage":
            sys.stderr.buffer.write(os.urandom(5000) + b"\n" + b"x" * 3_000_000)
            sys.stderr.buffer.write(b'\n{"progress_ratio": "NaN", "stage": 3}\n{"progress_ratio": NaN, "stage": "x"}\n')
            sys.stderr.buffer.write(b"[" * 100_000 + b"\n")
            fit(options, quick=quick)
        case "silent":
            pass
        case "bad-head":
            fit(options, quick=quick)
            (Path(options["out"]) / "head.json").write_text("{}")
        case "huge-head":
            fit(options, quick=quick)
            (Path(options["out"]) / "head.json").write_bytes(b" " * 3_000_000)
        case "memory":
            held = [bytearray(16 * 2**20) for _ in range(1000)]
            sys.stderr.write(str(len(held)))
        case "refuse":
            sys.stderr.write("error: only one group: fields of one specimen cannot be tested on others\n")
            sys.exit(2)
        case _:
            raise SystemExit(f"no mode {mode}")


if __name__ == "__main__":
    main()

"""Counts how often drift is reported without any, and whether real drift is reported before the refusals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.app import app
from benchmarks.report import AsJson, Findings, Goal, Out, reported
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Explanation, Reading
from edge_agent.cameras.frame import ColourOrder, Pixels, frame_now
from edge_agent.contracts import Check, CheckState, Outcome
from edge_agent.inference import Classifier, load_bundle
from edge_agent.monitoring.drift import WINDOW_COUNT, DriftMonitor
from edge_agent.vision.settings import QualityLimits
from trainer.augmentation import optics
from trainer.data.split import Assignment, Part, read_split

Image = NDArray[np.uint8]
Rng = np.random.Generator

err = Console(stderr=True, highlight=False)

SPLIT = Path("trainer/splits/all4.csv")
REFUSED_RATIO = 0.05
"""Drift should be reported before more than this share of the fields gets no label."""

WINDOWS = 200
FIELDS = 200
"""Number of test images that change; each strength is judged anew."""

RUN_STRIDE = 10
PATHS = 10
"""Number of windows at each strength: each is one microscope whose fields change step by step."""

COLUMNS = {
    "case": "case",
    "windows_count": "windows",
    "alarms_count": "alarms",
    "first_pct": "first said at %",
    "refused_then_pct": "refused then %",
    "refusals_pct": "5 % refused at %",
    "before_count": "said before",
    "named_count": "named rightly",
    "named": "named most often",
}


@dataclass(frozen=True, slots=True)
class Change:
    """A drifting property: ``apply`` shows it at a strength, in per cent of what ``what`` says."""

    name: str
    what: str
    strengths_pct: Sequence[float]
    apply: Callable[[Image, float], Image]
    """Takes a field and the strength as a ratio."""
    named: str
    """Regular expression for the words that name the change correctly."""


_STAIN = r"(Nuclei|Red cells) are (?!only|[\d.]+ times)"
_LIGHT = r"The background is"
_FOCUS = r"as sharp"
_SCALE = r"as wide"
_SMOOTH = r"smoother"


def _stain(field: Image, blue: float, eosin: float) -> Image:
    return optics.stain(field, (blue, eosin, 1), np.zeros(3))


def _shrink(field: Image, strength: float) -> Image:
    return optics.zoom_rotate(field, 1 / (1 + strength), 0)


def _quality(strength: float) -> int:
    return round(100 * (1 - strength))


CHANGES = (
    Change("paler stain", "less of both dyes", (20, 30, 40, 50, 60), lambda f, s: _stain(f, 1 - s, 1 - s), _STAIN),
    Change("stronger stain", "more of both dyes", (30, 45, 60, 75, 90), lambda f, s: _stain(f, 1 + s, 1 + s), _STAIN),
    Change("bluer stain", "more blue, less eosin", (30, 40, 50, 60, 70), lambda f, s: _stain(f, 1 + s, 1 - s), _STAIN),
    Change(
        "warmer light",
        "less blue, a quarter of it more red",
        (4, 7, 10, 13, 16),
        lambda f, s: optics.white_balance(f, (1 + s / 4, 1, 1 - s)),
        _LIGHT,
    ),
    Change("darker light", "less light", (5, 10, 20, 30, 40), lambda f, s: optics.brighten(f, 1 - s), _LIGHT),
    Change("defocus", "sigma in % of a pixel", (50, 75, 100, 150, 225), optics.blur, _FOCUS),
    Change("larger cells", "wider", (10, 20, 30, 40, 50), lambda f, s: optics.zoom_rotate(f, 1 + s, 0), _SCALE),
    Change("smaller cells", "as if the field were wider", (10, 15, 20, 25, 30), _shrink, _SCALE),
    Change("JPEG", "100 - quality", (50, 70, 78, 82, 86), lambda f, s: optics.jpeg(f, _quality(s)), _SMOOTH),
)


@app.command()
def drift(
    data: Annotated[Path, typer.Argument(help="Folder with all4.")],
    bundle: Annotated[str, typer.Option(help="Name of a shipped bundle.")] = "accurate",
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Count false alarms on fields as they were, and when drift is said while they change step by step."""
    with reported(Findings("drift", COLUMNS), as_json=as_json, out=out, max_others_pct=1e9) as findings:
        bench = Bench(data / "all4" / "images", bundle)
        for row in (*bench.false_alarms(), *map(bench.detection, CHANGES)):
            findings.rows.append(row)
            # This takes long, and each row is a finding of its own.
            err.print(row, style="dim")
        rows = findings.rows
        alarms = [row["alarms_count"] for row in rows if "before_count" not in row]
        before = sum(row["before_count"] for row in rows if "before_count" in row)
        findings.goals = [
            Goal("false alarms", 0, at_most=True, measured=sum(alarms)),
            Goal("share said before 5 % were refused", 0.5, at_most=False, measured=before / (PATHS * len(CHANGES))),
        ]


class Bench:
    """The images of a split, with a bundle's judgement of them."""

    def __init__(self, images: Path, bundle: str) -> None:
        self._images = images
        classifier = Classifier(load_bundle(bundle))
        self._analyzer = Analyzer(classifier, QualityLimits(), appearance_interval_s=0)
        self._assignments = sorted(read_split(SPLIT, images), key=lambda each: each.file.path)
        self._rng = np.random.default_rng(0)

    def false_alarms(self) -> Iterable[dict[str, Any]]:
        """Rows without drift: held-out images in random order, and of all images, runs of neighbours of one class.

        The images of a class are numbered in the order in which its slides were photographed, so a run comes from few
        slides.
        """
        readings = {each.file.path: self._read(self._load(each)) for each in self._assignments}
        held_out = [readings[each.file.path] for each in self._assignments if each.part is not Part.TRAIN]
        windows = (self._shuffled(held_out) for _ in range(WINDOWS))
        yield _alarms("no change, random order", windows, self._analyzer)
        for label in sorted({each.file.label for each in self._assignments}):
            run = [readings[each.file.path] for each in self._assignments if each.file.label == label]
            # More than a window, because fields that were photographed twice count once.
            starts = range(0, len(run) - WINDOW_COUNT, RUN_STRIDE)
            runs = (run[start : start + 2 * WINDOW_COUNT] for start in starts)
            yield _alarms(f"no change, neighbours of {label}", runs, self._analyzer)

    def detection(self, change: Change) -> dict[str, Any]:
        """A row for one change: when it is first reported, and when the refusals would have been noticed."""
        files = [each for each in self._assignments if each.part is Part.TEST]
        fields = [self._load(files[i]) for i in np.random.default_rng(1).permutation(len(files))[:FIELDS]]
        refused: list[float] = []
        said: list[list[Check]] = []
        for strength_pct in change.strengths_pct:
            readings = [self._read(change.apply(field, strength_pct / 100)) for field in fields]
            refused.append(float(np.mean([each.outcome is not Outcome.CLASSIFIED for each in readings])))
            said.append([_check(self._shuffled(readings), self._analyzer) for _ in range(PATHS)])
        first = [_first(checks) for checks in zip(*said, strict=True)]
        late = next((i for i, ratio in enumerate(refused) if ratio >= REFUSED_RATIO), None)
        alarmed = [(step, path) for path, step in enumerate(first) if step is not None]
        messages = [said[step][path].message or "" for step, path in alarmed]
        median = sorted(step for step, _ in alarmed)[len(alarmed) // 2] if alarmed else None
        return {
            "case": f"{change.name} ({change.what})",
            "windows_count": PATHS,
            "alarms_count": len(alarmed),
            "first_pct": None if median is None else change.strengths_pct[median],
            "refused_then_pct": None if median is None else round(100 * refused[median], 1),
            "refusals_pct": None if late is None else change.strengths_pct[late],
            "before_count": sum(late is None or step < late for step, _ in alarmed),
            "named_count": sum(re.search(change.named, message) is not None for message in messages),
            "named": _commonest(messages),
        }

    def _load(self, assignment: Assignment) -> Image:
        picture = cv2.imread(str(self._images / assignment.file.path))
        if picture is None:
            raise FileNotFoundError(assignment.file.path)
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)

    def _read(self, field: Image) -> Reading:
        """Judge a field, without the parts that are not needed here, because thousands of readings are kept."""
        found = self._analyzer.analyse(frame_now("benchmark", Pixels(field, ColourOrder.RGB)))
        if found.explanation is None:
            return found
        shown = Explanation(found.explanation.field, np.empty((0, 0), np.uint8), None)
        return replace(found, explanation=shown)

    def _shuffled(self, readings: Sequence[Reading]) -> list[Reading]:
        return [readings[i] for i in self._rng.permutation(len(readings))]


def _check(readings: Iterable[Reading], analyzer: Analyzer) -> Check:
    """The result of the drift check as soon as the window is full."""
    monitor = DriftMonitor()
    monitor.use(analyzer.model, analyzer.known_appearance, analyzer.reference)
    check = monitor.check()
    for reading in readings:
        monitor.add(reading)
        check = monitor.check()
        if check.state is not CheckState.UNKNOWN:
            break
    return check


def _alarms(case: str, windows: Iterable[Sequence[Reading]], analyzer: Analyzer) -> dict[str, Any]:
    checks = [check for window in windows if (check := _check(window, analyzer)).state is not CheckState.UNKNOWN]
    alarms = [check.message or "" for check in checks if check.state is CheckState.DEGRADED]
    return {"case": case, "windows_count": len(checks), "alarms_count": len(alarms), "named": _commonest(alarms)}


def _first(checks: Sequence[Check]) -> int | None:
    return next((i for i, check in enumerate(checks) if check.state is CheckState.DEGRADED), None)


def _commonest(messages: Sequence[str]) -> str | None:
    """The commonest sentence that says what changed, without amounts."""
    words = [
        re.sub(r" \(.*?\)|(only )?[\d.]+ times ", "", sentence)
        for message in messages
        for sentence in re.split(r"(?<=\.) (?=[A-Z])", message)[1:]
        if not sentence.startswith(("Check", "Turn"))
    ]
    return max(sorted(set(words)), key=words.count) if words else None

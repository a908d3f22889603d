"""The state of a microscope's teaching, answered in the browser as ``/teaching`` would."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route

from edge_agent.adaptation.state import (
    AccuracyFigure,
    AdaptationState,
    Advice,
    ClassFigure,
    FitReport,
    FitState,
    FittedHead,
    Mistake,
    NeededLabels,
    TeachableSet,
)

NAMES = {"benign": "Benign", "pre-b": "Pre-B ALL"}
NEEDED = 20


def figure(images_count: int, ratio: float, low: float, high: float) -> AccuracyFigure:
    classes = tuple(
        ClassFigure(code=code, images_count=images_count // 2, accuracy_ratio=ratio + step)
        for code, step in (("benign", 0.02), ("pre-b", -0.02))
    )
    now = datetime.now(UTC)
    return AccuracyFigure(
        at=now, images_count=images_count, accuracy_ratio=ratio, low_ratio=low, high_ratio=high, classes=classes
    )


GROWING = (
    figure(12, 0.75, 0.47, 0.91),
    figure(18, 0.83, 0.61, 0.94),
    figure(26, 0.88, 0.71, 0.96),
    figure(36, 0.92, 0.78, 0.97),
    figure(44, 0.93, 0.82, 0.98),
)


def fitted(*reasons: str) -> FittedHead:
    return FittedHead(
        name="north-clinic",
        version="1.0.0",
        sha256="a" * 64,
        bundle="accurate",
        provisional=bool(reasons),
        reasons=reasons,
        labels=tuple(NAMES.values()),
        own_refused_ratio=0.05,
    )


def report(*items: str) -> FitReport:
    return FitReport(
        advice=(
            Advice(code="pre-b", more_count=20, gain_ratio=0.03, accuracy_ratio=0.96),
            Advice(code=None, more_count=20, gain_ratio=0.04, accuracy_ratio=0.97),
        ),
        mistakes=tuple(Mistake(item=item, label="benign", said="pre-b") for item in items),
        warnings=("The size of the picture alone tells the label in 97 % of the fields: take all with one setting.",),
    )


def state(labelled: Mapping[str, int], **changes: object) -> AdaptationState:
    """The state for a set with two classes."""
    labels = tuple(
        NeededLabels(code=code, name=NAMES[code], labelled_count=count, needed_count=NEEDED)
        for code, count in labelled.items()
    )
    found = AdaptationState(
        enabled=True,
        installed=True,
        keeps_frames=True,
        bundle="accurate",
        suggested_name="clinic",
        min_images_count=5,
        sets=(TeachableSet(name="smear", labels=labels, disputed_count=2),),
        state=FitState.IDLE,
        mode=None,
        label_set="smear",
        stage=None,
        progress_ratio=0,
        error=None,
        figures=(),
        head=None,
        report=None,
    )
    return found.model_copy(update=changes)


@dataclass
class Taught:
    """``state`` is what the page gets; ``measured`` lists the sets whose figure it requested."""

    state: AdaptationState = field(
        default_factory=lambda: state({"benign": 24, "pre-b": 20}, figures=GROWING, head=fitted(), state=FitState.DONE)
    )
    measured: list[Any] = field(default_factory=list)

    def attach(self, page: Page) -> None:
        """Answer the requests of ``page``."""
        page.route("**/teaching", self._answer)
        page.route("**/teaching/**", self._answer)

    def _answer(self, route: Route) -> None:
        if urlsplit(route.request.url).path.endswith("/figure"):
            self.measured.append(json.loads(route.request.post_data or "{}"))
        route.fulfill(body=self.state.to_json(), content_type="application/json")

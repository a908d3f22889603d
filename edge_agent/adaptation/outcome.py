"""Reads the results of a fit: the record of its head, and the report beside it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from pydantic import ValidationError

from edge_agent.adaptation.state import AccuracyFigure, Advice, ClassFigure, FitReport, FittedHead, Mistake
from edge_agent.contracts import HeadManifest
from edge_agent.errors import AdaptationError
from edge_agent.inference.head import HEAD_MANIFEST
from edge_agent.inference.model_files import MAX_MANIFEST_BYTES
from edge_agent.inference.proof import ProofLimits, unproven_reasons

_Part = TypeVar("_Part")

REPORT = "report.json"
_MAX_REPORT_BYTES = 8 * 2**20
_MAX_MISTAKES_COUNT = 24
_MAX_WARNINGS_COUNT = 8
_MAX_ADVICE_COUNT = 3
_MAX_WARNING = 400
_LEAST_GAIN_RATIO = 0.005
"""A smaller gain is not worth the work of labelling."""
_ITEM = re.compile(r"([0-9a-f-]{36})\.jpg$")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A head that was fitted."""

    head: FittedHead
    figure: AccuracyFigure | None
    """The accuracy; None if the program could not measure it, as with too few groups."""
    report: FitReport


def read_outcome(head: Path, report: Path, proof: ProofLimits, bundle: str) -> Outcome:
    """The outcome in the folders ``head`` and ``report``; the head was fitted on ``bundle``.

    Raises ``AdaptationError`` if there is no head that can be understood.
    """
    content = _read(head / HEAD_MANIFEST, MAX_MANIFEST_BYTES)
    try:
        manifest = HeadManifest.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the whole file"
        raise AdaptationError(f"The head that was fitted cannot be read: {where}: {problem['msg']}.") from error
    reasons = unproven_reasons(manifest.labels, manifest.evidence, proof)
    figures = manifest.figures
    return Outcome(
        FittedHead(
            name=manifest.name,
            version=manifest.version,
            sha256=hashlib.sha256(content).hexdigest(),
            bundle=bundle,
            provisional=bool(reasons),
            reasons=reasons,
            labels=tuple(each.display_name for each in manifest.labels),
            own_refused_ratio=None if figures is None else figures.own_refused_ratio,
        ),
        _figure(manifest),
        _read_report(report / REPORT),
    )


def _figure(manifest: HeadManifest) -> AccuracyFigure | None:
    figures = manifest.figures
    if figures is None:
        return None
    low, high = figures.accuracy_interval_ratio
    return AccuracyFigure(
        at=datetime.now(UTC),
        images_count=manifest.training.images_count,
        accuracy_ratio=figures.accuracy_ratio,
        low_ratio=low,
        high_ratio=high,
        classes=tuple(
            ClassFigure(code=each.code, images_count=each.images_count, accuracy_ratio=each.recall_ratio)
            for each in figures.classes
        ),
    )


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise AdaptationError(f"The fit left no {path.name}.") from error
    if len(content) > max_bytes:
        raise AdaptationError(f"The {path.name} of the fit has more than {max_bytes} bytes.")
    return content


def _read_report(path: Path) -> FitReport:
    """The report as the page shows it; parts that are missing or of another version are left out."""
    try:
        found = json.loads(_read(path, _MAX_REPORT_BYTES))
    except (AdaptationError, ValueError, RecursionError):
        return FitReport()
    findings = found.get("findings") if isinstance(found, dict) else None
    if not isinstance(findings, dict):
        return FitReport()
    curve = findings.get("learning_curve")
    advice = _each(curve.get("advice") if isinstance(curve, dict) else None, _advice)
    worth = tuple(each for each in advice if each.gain_ratio >= _LEAST_GAIN_RATIO)
    return FitReport(
        advice=worth[:_MAX_ADVICE_COUNT],
        more_brings_little=bool(advice) and not worth,
        mistakes=_each(findings.get("mistakes"), _mistake)[:_MAX_MISTAKES_COUNT],
        warnings=_each(findings.get("give_aways"), _warning)[:_MAX_WARNINGS_COUNT],
    )


def _each(found: object, parse: Callable[[Any], _Part | None]) -> tuple[_Part, ...]:
    if not isinstance(found, list):
        return ()
    parsed = []
    for each in found:
        try:
            one = parse(each)
        except (ValidationError, TypeError, KeyError, ValueError):
            continue
        if one is not None:
            parsed.append(one)
    return tuple(parsed)


def _advice(found: Mapping[str, Any]) -> Advice | None:
    gain, accuracy = found["gain_ratio"], found["accuracy_ratio"]
    if gain is None or accuracy is None:
        return None
    return Advice(code=found["code"], more_count=found["more_count"], gain_ratio=gain, accuracy_ratio=accuracy)


def _mistake(found: Mapping[str, Any]) -> Mistake | None:
    item = _ITEM.search(found["path"])
    return None if item is None else Mistake(item=UUID(item[1]), label=found["label"], said=found["predicted"])


def _warning(found: Mapping[str, Any]) -> str | None:
    warning = found["warning"]
    return warning[:_MAX_WARNING] if isinstance(warning, str) else None

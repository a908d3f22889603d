"""Measures whether the evidence that the microscope page shows lies on cells.

A share alone says little: evidence spread evenly lies on cells too, and data sets that centre their cells favour any
map with a bright centre. Each map is therefore compared with the share by chance, which is the area of cells, and with
the map of another image of the same set.

Whether the label depends on cells is another question than whether the map shows it: the last columns say how far the
label's logit falls towards the next one if the cells are painted over, and if the same area of the rest is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.app import app
from benchmarks.report import Absent, AsJson, Findings, Out, reported
from edge_agent.cameras.image_files import list_images
from edge_agent.errors import BundleError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.classifier import Classification
from edge_agent.vision.cells import find_cells
from edge_agent.vision.decode import decode_image
from edge_agent.vision.evidence import locate_evidence
from edge_agent.vision.preprocessing import SEGMENTATION_DENOISER, preprocess

BUNDLES = ("accurate", "fast", "demo")
SETS = ("all4", "tecom300", "cellavision100")
RESAMPLES = 2000
ALL4_PIXEL_ASPECT = 4 / 3
"""The images of ``all4`` are 4:3 fields squeezed into a square."""
COLUMNS = {
    "set": "images",
    "bundle": "bundle",
    "images": "judged",
    "without": "no evidence",
    "ratio": "share / chance",
    "ratio_low": "from",
    "ratio_high": "to",
    "above_pct": "above chance, %",
    "control": "other image's map",
    "gain": "own - other",
    "gain_low": "from",
    "gain_high": "to",
    "drop_cells": "drop without cells",
    "drop_elsewhere": "without other area",
    "cells_more_pct": "cells matter more, %",
}

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A field and its mask of cells, both at the size of the network's input."""

    field: Image
    cells: Mask


@app.command("evidence")
def evidence(
    data: Annotated[Path, typer.Argument(help="Folder with all4, other-smears and truth.")],
    count: Annotated[int, typer.Option(min=2, help="Images of each set.")] = 200,
    seed: int = 13,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Share of evidence on cells against the share by chance, and against the map of another image.

    Truth: hand-drawn masks of nuclei and cytoplasm, and for all4, which has none, the nuclei that the agent finds.
    """
    # No figure here is a time, so the machine may be busy.
    with reported(Findings("evidence", COLUMNS), as_json=as_json, out=out, max_others_pct=math.inf) as findings:
        for name in SETS:
            examples = load_examples(data, name, count, seed)
            for bundle in BUNDLES:
                try:
                    classifier = Classifier(load_bundle(bundle))
                except BundleError as error:
                    findings.absent.append(Absent(f"{bundle} on {name}", str(error)))
                    continue
                findings.rows.append({"set": name, "bundle": bundle, **measure(classifier, examples, seed)})
        findings.notes.append(
            "Medians with 95 % intervals over images. The shipped models refuse tecom300 and cellavision100 as "
            "unfamiliar, so the page never shows these maps. all4 contains the images that the models were trained on."
        )


def load_examples(data: Path, name: str, count: int, seed: int) -> list[Example]:
    """At most ``count`` images of a set, drawn at random; those without cells are left out."""
    images = list_images(data / "all4" / "images" if name == "all4" else data / "other-smears" / name)
    chosen = np.random.default_rng(seed).permutation(len(images))[:count]
    found = [_example(images[index], None if name == "all4" else data / "truth" / name) for index in sorted(chosen)]
    return [each for each in found if each.cells.any()]


def measure(classifier: Classifier, examples: Sequence[Example], seed: int) -> dict[str, float | int | None]:
    """The figures of one bundle on one set; the keys are those of ``COLUMNS``."""
    manifest = classifier.manifest

    def judge(field: Image) -> Classification:
        return classifier.classify(preprocess(field, manifest.preprocessing.id, manifest.preprocessing.denoise))

    maps: list[NDArray[np.float32]] = []
    drops: list[tuple[float, float]] = []
    for each in examples:
        judged = judge(each.field)
        winner = int(judged.logits.argmax())
        maps.append(locate_evidence(judged.class_activation_map, winner, (each.cells.shape[0], each.cells.shape[1])))
        margin = _margin(judged, winner)
        drops.append(
            (margin - _margin(judge(without_cells(each)), winner), margin - _margin(judge(without_other(each)), winner))
        )
    dropped = np.array(drops)
    shown = [index for index, map_ in enumerate(maps) if map_.any()]
    own = np.array([to_chance(maps[index], examples[index].cells) for index in shown])
    # The next image's map: every map serves once as a control, with the same centre bias.
    other = np.array([to_chance(maps[following], examples[index].cells) for index, following in _following(shown)])
    if own.size < 2:
        return {"images": len(examples), "without": len(examples) - own.size}
    draws = np.random.default_rng(seed).integers(own.size, size=(RESAMPLES, own.size))
    own_medians, other_medians = np.median(own[draws], axis=1), np.median(other[draws], axis=1)
    ratio_low, ratio_high = np.percentile(own_medians, (2.5, 97.5))
    gain_low, gain_high = np.percentile(own_medians - other_medians, (2.5, 97.5))
    return {
        "images": len(examples),
        "without": len(examples) - own.size,
        "ratio": round(float(np.median(own)), 3),
        "ratio_low": round(float(ratio_low), 3),
        "ratio_high": round(float(ratio_high), 3),
        "above_pct": round(100 * float((own > 1).mean()), 1),
        "control": round(float(np.median(other)), 3),
        "gain": round(float(np.median(own) - np.median(other)), 3),
        "gain_low": round(float(gain_low), 3),
        "gain_high": round(float(gain_high), 3),
        "drop_cells": round(float(np.median(dropped[:, 0])), 3),
        "drop_elsewhere": round(float(np.median(dropped[:, 1])), 3),
        "cells_more_pct": round(100 * float((dropped[:, 0] > dropped[:, 1]).mean()), 1),
    }


def without_cells(example: Example) -> Image:
    """The field, uint8 RGB (h, w, 3), with its cells and their edges painted over in the colour of the rest."""
    return _painted(example, _with_edges(example.cells))


def without_other(example: Example) -> Image:
    """The field with the same shapes painted over half a field away; cells in that place are spared."""
    height, width = example.cells.shape
    cells = _with_edges(example.cells)
    return _painted(example, np.roll(cells, (height // 2, width // 2), axis=(0, 1)) & ~cells)


def _with_edges(cells: Mask) -> Mask:
    return cv2.dilate(cells.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0


def _painted(example: Example, where: Mask) -> Image:
    painted = example.field.copy()
    if not example.cells.all():
        painted[where] = np.median(example.field[~example.cells], axis=0).astype(np.uint8)
    return painted


def _margin(judged: Classification, winner: int) -> float:
    """The difference between the logit of a class and the highest of the others."""
    return float(judged.logits[winner] - np.delete(judged.logits, winner).max())


def to_chance(evidence_map: NDArray[np.float32], cells: Mask) -> float:
    """Share of the evidence that lies on cells over the share of the field that is cells; 1 is chance.

    Both are (h, w). Neither may be empty.
    """
    total = float(evidence_map.sum(dtype=np.float64))
    return float(evidence_map[cells].sum(dtype=np.float64)) / total / float(cells.mean())


def _following(shown: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(shown, [*shown[1:], *shown[:1]], strict=True))


def _example(path: Path, truth: Path | None) -> Example:
    size_px = 224
    # Images of other laboratories are smaller than a field: this measures where the map lies, not the label.
    field = _centre_square(decode_image(path.read_bytes()), size_px, cv2.INTER_LINEAR)
    if truth is None:
        return Example(field, _nuclei(field))
    drawn = cv2.imread(str(truth / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
    if drawn is None:
        raise typer.BadParameter(f"{truth / path.stem}.png cannot be read.")
    return Example(field, _centre_square(np.asarray(drawn, dtype=np.uint8), size_px, cv2.INTER_NEAREST) > 0)


def _centre_square(array: Image, size_px: int, how: int) -> Image:
    height, width = array.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = array[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (size_px, size_px), interpolation=how), dtype=np.uint8)


def _nuclei(field: NDArray[np.uint8]) -> NDArray[np.bool_]:
    found = find_cells(SEGMENTATION_DENOISER(field), pixel_aspect=ALL4_PIXEL_ASPECT)
    return np.asarray(found.segmentation.mask > 0)

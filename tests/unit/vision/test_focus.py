"""The focus score peaks at the sharpest frame of a field, whatever the field, its noise and its exposure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.cameras import Frame, Pixels
from edge_agent.cameras.settings import SmearLabel, SyntheticSettings
from edge_agent.cameras.synthetic import SyntheticCamera
from edge_agent.vision.decode import decode_image
from edge_agent.vision.focus import VIEW_PX, focus_score

Grey = NDArray[np.uint8]
STEPS = 21


def sweep(seed: int, label: SmearLabel = "pre-b", focus_sweep_um: float = 2.0) -> Iterator[tuple[float, Grey]]:
    """The blur of each frame of a sweep, and its grey picture."""
    camera = SyntheticCamera(
        SyntheticSettings(
            kind="synthetic",
            seed=seed,
            labels=(label,),
            bad_fields_ratio=0,
            frame_rate_hz=1000,
            frames_per_field_count=STEPS,
            focus_sweep_um=focus_sweep_um,
        )
    )
    camera.open()
    for _ in range(STEPS):
        yield blur_um(frame := camera.read()), grey(frame)
    camera.close()


def blur_um(frame: Frame) -> float:
    found = re.search(r":focus-([0-9.]+)um$", frame.source or "")
    assert found is not None
    return float(found[1])


def grey(frame: Frame) -> Grey:
    assert isinstance(frame.image, Pixels)
    return np.asarray(cv2.cvtColor(frame.image.array, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def exposed(picture: Grey, ratio: float) -> Grey:
    return np.asarray(cv2.convertScaleAbs(picture, alpha=ratio), dtype=np.uint8)


@pytest.mark.parametrize("label", ["benign", "early-pre-b", "pre-b", "pro-b"])
@pytest.mark.parametrize("seed", range(4))
def test_it_peaks_at_the_sharpest_frame_of_a_sweep_and_falls_all_the_way(label: SmearLabel, seed: int) -> None:
    blurs, scores = zip(*((blur, focus_score(picture)) for blur, picture in sweep(seed, label)), strict=True)
    assert blurs[int(np.argmax(scores))] == 0
    away = scores[: STEPS // 2 + 1]
    assert all(nearer > farther for nearer, farther in pairwise(away))
    assert max(scores) > 4 * min(scores)


@pytest.mark.parametrize("seed", range(6))
def test_it_peaks_there_while_the_exposure_changes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blurs, scores = zip(
        *((blur, focus_score(exposed(picture, rng.uniform(0.5, 1)))) for blur, picture in sweep(seed)), strict=True
    )
    assert blurs[int(np.argmax(scores))] == 0


def test_half_the_light_gives_nearly_the_same_score() -> None:
    picture = next(sweep(0))[1]
    assert focus_score(exposed(picture, 0.5)) == pytest.approx(focus_score(picture), rel=0.05)


def test_noise_alone_has_hardly_any_score() -> None:
    sharp = next(sweep(0))[1]
    rng = np.random.default_rng(0)
    noise = np.clip(200 + rng.normal(0, 8, sharp.shape), 0, 255).astype(np.uint8)
    noisy = np.clip(sharp + rng.normal(0, 8, sharp.shape), 0, 255).astype(np.uint8)
    assert focus_score(noise) < 0.05 * focus_score(sharp)
    assert focus_score(noisy) == pytest.approx(focus_score(sharp), rel=0.1)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 2), (3, 3)])
def test_a_picture_without_light_or_without_room_for_an_edge_has_none(size: tuple[int, int]) -> None:
    assert focus_score(np.zeros(size, np.uint8)) == 0
    assert focus_score(np.full(size, 200, np.uint8)) == 0


@pytest.mark.parametrize(
    ("folder", "step_px"), [("all4", 0.5), ("frames-1280x960", 1.0), ("camera-originals", 1.0), ("other-smears", 0.5)]
)
def test_real_smears_blurred_step_by_step_fall_with_every_step(shared_data: Path, folder: str, step_px: float) -> None:
    """The sensor's noise comes after the blur, and the exposure changes meanwhile."""
    found = sorted(path for path in (shared_data / folder).rglob("*") if path.suffix.lower() in {".jpg", ".png"})
    if not found:
        pytest.skip(f"no pictures in {shared_data / folder}")
    rng = np.random.default_rng(0)
    for path in found[:: max(1, len(found) // 12)][:12]:
        rgb = decode_image(path.read_bytes())
        scores = []
        for step in range(6):
            blurred = cv2.GaussianBlur(rgb, (0, 0), step * step_px) if step else rgb
            noisy = rng.uniform(0.7, 1) * blurred + 2 * rng.standard_normal(rgb.shape, np.float32)
            seen = np.clip(noisy, 0, 255).astype(np.uint8)
            height, width = seen.shape[:2]
            scale = min(1.0, VIEW_PX[0] / width, VIEW_PX[1] / height)
            small = cv2.resize(seen, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            scores.append(focus_score(np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)))
        assert all(sharper > softer for sharper, softer in pairwise(scores)), (path, scores)

"""The distance from what a bundle knows, alone and as every shipped bundle uses it."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.cameras.frame import ColourOrder, Pixels, frame_now
from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.contracts import Outcome
from edge_agent.errors import BundleError, BundleMismatch, GoldenMismatch
from edge_agent.inference import Classifier, load_bundle, shipped_bundles
from edge_agent.inference.bundle import load_golden
from edge_agent.inference.familiarity import Familiarity, describe, describe_all, description_size
from edge_agent.vision.colour import to_lab
from edge_agent.vision.preprocessing import preprocess
from edge_agent.vision.settings import QualityLimits

Array = NDArray[np.uint8]
SIZE_PX = 224


def gaussian(rng: np.random.Generator, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and covariance of unequal and correlated values."""
    mixing = rng.normal(size=(size, size)) * rng.uniform(0.3, 3, size)
    return rng.normal(0, 2, size), mixing @ mixing.T + 0.1 * np.eye(size)


def familiarity_of(mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> Familiarity:
    whitening = np.linalg.cholesky(np.linalg.inv(covariance)).T
    return Familiarity(mean.astype(np.float32), whitening.astype(np.float32))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_the_score_is_the_mahalanobis_distance(seed: int, channels_count: int) -> None:
    rng = np.random.default_rng(seed)
    mean, covariance = gaussian(rng, description_size(channels_count))
    image = rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8)
    middle_map = rng.normal(size=(14, 14, channels_count)).astype(np.float32)
    away = describe(image, middle_map).astype(np.float64) - mean
    expected = np.sqrt(away @ np.linalg.solve(covariance, away))
    assert familiarity_of(mean, covariance).scores([image], middle_map[None])[0] == pytest.approx(expected, rel=1e-3)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 40))
def test_a_description_is_mean_and_spread_of_map_and_colours(seed: int, count: int, channels_count: int) -> None:
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 256, (32, 24, 3), np.uint8)[:, ::step] for step in rng.choice([1, -1], count)]
    maps = rng.normal(size=(count, 3, 2, channels_count)).astype(np.float32)
    for image, middle_map, found in zip(images, maps, describe_all(images, maps), strict=True):
        places = middle_map.reshape(-1, channels_count)
        colours = to_lab(np.ascontiguousarray(image[::4, ::4])).reshape(-1, 3)
        expected = [places.mean(axis=0), places.std(axis=0), colours.mean(axis=0), colours.std(axis=0)]
        assert found == pytest.approx(np.concatenate(expected), rel=1e-4, abs=1e-4)
        assert np.array_equal(found, describe(image, middle_map))


@given(st.integers(0, 2**32 - 1))
def test_distances_do_not_hang_on_the_units_of_the_description(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean, covariance = gaussian(rng, 6)
    points = rng.normal(0, 3, (20, 6))
    # Well-conditioned: a rotation and a stretch of each axis.
    change = np.linalg.qr(rng.normal(size=(6, 6)))[0] * rng.uniform(0.5, 2, 6)
    offset = rng.normal(size=6)
    before = familiarity_of(mean, covariance).distances(points.astype(np.float32))
    changed = familiarity_of(change @ mean + offset, change @ covariance @ change.T)
    after = changed.distances((points @ change.T + offset).astype(np.float32))
    np.testing.assert_allclose(after, before, rtol=2e-3)


@given(st.integers(0, 2**32 - 1))
def test_any_whitening_of_the_same_covariance_gives_the_same_distances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    straight = familiarity_of(*gaussian(rng, 6))
    turned = np.linalg.qr(rng.normal(size=(6, 6)))[0].astype(np.float32) @ straight.whitening
    points = rng.normal(0, 3, (20, 6)).astype(np.float32)
    np.testing.assert_allclose(
        Familiarity(straight.mean, turned).distances(points), straight.distances(points), rtol=1e-3
    )


def test_the_mean_is_at_no_distance_and_one_deviation_away_is_at_one() -> None:
    mean, covariance = gaussian(np.random.default_rng(1), 7)
    known = familiarity_of(mean, covariance)
    assert known.distances(known.mean) == 0
    axis, variance = np.linalg.eigh(covariance)[1][:, -1], np.linalg.eigvalsh(covariance)[-1]
    assert known.distances((mean + np.sqrt(variance) * axis).astype(np.float32)) == pytest.approx(1, rel=1e-3)


def test_a_description_is_of_what_is_there_and_not_of_where() -> None:
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8)
    middle_map = rng.normal(size=(14, 14, 5)).astype(np.float32)
    described = describe(image, middle_map)
    assert described.shape == (description_size(5),)
    assert described.dtype == np.float32
    np.testing.assert_allclose(described[:5], middle_map.reshape(-1, 5).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(described[5:10], middle_map.reshape(-1, 5).std(axis=0), atol=1e-6)
    moved = describe(image.transpose(1, 0, 2), middle_map[::-1, ::-1])
    np.testing.assert_allclose(moved, described, atol=1e-4)


def test_a_description_knows_the_colours(smear: Array) -> None:
    middle_map = np.zeros((14, 14, 2), np.float32)
    lab = cv2.cvtColor(smear, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    expected = np.concatenate([lab.mean(axis=0), lab.std(axis=0)])
    np.testing.assert_allclose(describe(smear, middle_map)[4:], expected, atol=1.5)
    assert np.abs(describe(smear[..., ::-1], middle_map)[4:] - expected).max() > 10


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Put another file into a bundle and make the manifest agree with it."""
    (folder / name).write_bytes(content)
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    file.write_text(json.dumps(manifest))


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def known_by(folder: Path) -> dict[str, NDArray[np.float32]]:
    with np.load(folder / "ood.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda known: {**known, "mean": known["mean"][:-1]},
        lambda known: {**known, "whitening": known["whitening"][:-1]},
        lambda known: {"mean": known["mean"][:-2], "whitening": known["whitening"][:-2, :-2]},
        lambda known: {**known, "mean": known["mean"][None]},
        lambda known: {**known, "mean": known["mean"].astype(np.float64)},
        lambda known: {**known, "whitening": np.full_like(known["whitening"], np.nan)},
        lambda known: {**known, "mean": np.full_like(known["mean"], np.inf)},
    ],
    ids=["mean", "whitening", "other channels", "dimensions", "dtype", "nan", "infinite"],
)
def test_what_does_not_fit_the_middle_map_is_refused(
    demo_bundle: Path, spoil: Callable[[dict[str, NDArray[np.float32]]], dict[str, Any]]
) -> None:
    replace_file(demo_bundle, "ood.npz", npz(**spoil(known_by(demo_bundle))))
    with pytest.raises(BundleMismatch, match=r"ood\.npz"):
        Classifier(load_bundle(demo_bundle))


def packed(content: bytes) -> bytes:
    """An archive whose members are called like arrays."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name in ("mean", "whitening"):
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def deflated(content: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        b"PK\x03\x04 cut off",
        npz(mean=np.zeros(3, np.float32)),
        npz(mean=np.array([None])),
        packed(b"no array"),
        packed(b"no array").replace(deflated(b"no array"), b"\xff" * len(deflated(b"no array"))),
    ],
    ids=["empty", "no archive", "cut off", "an array missing", "objects", "other members", "damaged"],
)
def test_an_unreadable_file_is_refused(demo_bundle: Path, content: bytes) -> None:
    replace_file(demo_bundle, "ood.npz", content)
    with pytest.raises(BundleError, match=r"ood\.npz cannot be read"):
        Classifier(load_bundle(demo_bundle))


def test_a_familiarity_of_another_bundle_does_not_pass_the_golden_fields(demo_bundle: Path) -> None:
    known = known_by(demo_bundle)
    replace_file(demo_bundle, "ood.npz", npz(mean=known["mean"], whitening=known["whitening"] * np.float32(0.5)))
    with pytest.raises(GoldenMismatch, match="unfamiliar"):
        Classifier(load_bundle(demo_bundle)).verify_golden()


def test_other_golden_scores_are_refused(demo_bundle: Path) -> None:
    golden = load_golden(load_bundle(demo_bundle))
    arrays = {name: getattr(golden, name) for name in ("field", "image", "logits", "unfamiliarity")}
    replace_file(demo_bundle, "golden.npz", npz(**{**arrays, "unfamiliarity": 1.2 * golden.unfamiliarity}))
    with pytest.raises(GoldenMismatch, match="unfamiliar"):
        Classifier(load_bundle(demo_bundle)).verify_golden()
    replace_file(demo_bundle, "golden.npz", npz(**{**arrays, "unfamiliarity": golden.unfamiliarity[:-1]}))
    with pytest.raises(BundleError, match="shapes"):
        Classifier(load_bundle(demo_bundle)).verify_golden()


def blank(rng: np.random.Generator) -> Array:
    return np.full((SIZE_PX, SIZE_PX, 3), rng.integers(190, 245, 3), np.uint8)


def noise(rng: np.random.Generator) -> Array:
    return rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8)


def text(rng: np.random.Generator) -> Array:
    page = np.full((SIZE_PX, SIZE_PX, 3), (250, 248, 240), np.uint8)
    for line in range(14, SIZE_PX, 18):
        words = "".join(chr(code) for code in rng.integers(97, 123, 30))
        cv2.putText(page, words, (4, line), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (60, 20, 90), 1, cv2.LINE_AA)
    return page


def inverted_smear(rng: np.random.Generator) -> Array:
    return 255 - draw_smear(rng, "pre-b", size_px=(SIZE_PX, SIZE_PX))[0]


def face(rng: np.random.Generator) -> Array:
    shown = np.full((SIZE_PX, SIZE_PX, 3), rng.integers(150, 220, 3), np.uint8)
    cv2.ellipse(shown, (112, 116), (70, 92), 0, 0, 360, (225, 180, 150), -1, cv2.LINE_AA)
    for x in (84, 140):
        cv2.circle(shown, (x, 92), 11, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(shown, (x, 92), 5, (70, 40, 110), -1, cv2.LINE_AA)
    cv2.ellipse(shown, (112, 155), (30, 12), 0, 0, 180, (150, 40, 60), 3, cv2.LINE_AA)
    return shown


NONSENSE = (blank, noise, text, inverted_smear, face)


@pytest.fixture(scope="module", params=shipped_bundles())
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return Classifier(load_bundle(request.param))


@pytest.mark.parametrize("draw", NONSENSE)
def test_every_shipped_bundle_finds_nonsense_unfamiliar(
    classifier: Classifier, draw: Callable[[np.random.Generator], Array]
) -> None:
    manifest = classifier.manifest
    size_px = manifest.input.width_px, manifest.input.height_px
    for seed in range(3):
        shown = draw(np.random.default_rng(seed))
        drawn = np.asarray(cv2.resize(shown, size_px, interpolation=cv2.INTER_AREA), np.uint8)
        image = preprocess(drawn, manifest.preprocessing.id, manifest.preprocessing.denoise)
        assert classifier.classify(image).unfamiliarity_score > manifest.thresholds.max_unfamiliarity_score


@pytest.mark.parametrize("draw", NONSENSE)
def test_nonsense_gets_no_label_even_if_nothing_was_measured_before(
    classifier: Classifier, draw: Callable[[np.random.Generator], Array]
) -> None:
    everything = QualityLimits(
        min_brightness_pct=0,
        max_brightness_pct=100,
        max_clipped_dark_pct=100,
        max_clipped_bright_pct=100,
        min_colourfulness_delta_e=0,
        max_colour_cast_delta_e=1000,
        min_coverage_pct=0,
        min_focus_score=0,
    )
    for limits in (QualityLimits(), everything):
        image = Pixels(draw(np.random.default_rng(0)), ColourOrder.RGB)
        reading = Analyzer(classifier, limits).analyse(frame_now("camera0", image))
        assert reading.outcome in {Outcome.REJECTED, Outcome.ABSTAINED}
        assert (reading.label, reading.malignant, reading.malignant_ratio) == (None, None, None)
        assert reading.probabilities is None


def test_the_demonstration_is_familiar_with_freshly_drawn_smears() -> None:
    classifier = Classifier(load_bundle("demo"))
    limit = classifier.manifest.thresholds.max_unfamiliarity_score
    rng = np.random.default_rng(4_321)
    scores = [
        classifier.classify(preprocess(draw_smear(rng, label)[0], "rgb@1", "median3")).unfamiliarity_score
        for label in SMEAR_LABELS
        for _ in range(15)
    ]
    assert np.mean(np.array(scores) > limit) <= 0.05


def test_a_limit_of_nothing_makes_everything_unfamiliar(smear: Array) -> None:
    bundle = load_bundle("demo")
    strict = bundle.manifest.model_copy(
        update={"thresholds": bundle.manifest.thresholds.model_copy(update={"max_unfamiliarity_score": 1e-6})}
    )
    reading = Analyzer(Classifier(replace(bundle, manifest=strict)), QualityLimits()).analyse(
        frame_now("camera0", Pixels(smear, ColourOrder.RGB))
    )
    assert (reading.outcome, reading.reason) == (Outcome.ABSTAINED, "unfamiliar")
    assert reading.label is None
    assert reading.probabilities is None
    assert reading.malignant_ratio is None
    assert reading.decision is not None
    assert reading.decision.confidence_ratio is None
    assert reading.decision.unfamiliarity_score > reading.decision.max_unfamiliarity_score
    assert reading.explanation is not None
    assert reading.explanation.class_activation_map is None

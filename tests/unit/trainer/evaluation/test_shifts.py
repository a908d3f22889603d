from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from trainer.augmentation import optics
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.evaluation.corner import CORNER_PX, measure_corner
from trainer.evaluation.shifts import MODERATE, Shift, all_shifts, measure_shifts

SHIFTS = all_shifts()


@pytest.fixture(scope="module")
def analyzer() -> BundleAnalyzer:
    return BundleAnalyzer.load("demo")


@pytest.fixture(scope="module")
def drawn(analyzer: BundleAnalyzer) -> tuple[np.ndarray, np.ndarray]:
    """Six drawn fields of each class, and their classes."""
    codes = [label.code for label in analyzer.manifest.labels]
    truth = np.repeat(np.arange(len(codes)), 6)
    rng = np.random.default_rng(41)
    return np.stack([draw_smear(rng, codes[index])[0] for index in truth]), truth


def _named(name: str, strength: str = "") -> Shift:
    return next(shift for shift in SHIFTS if shift.name == name and shift.strength.startswith(strength))


@pytest.mark.parametrize("shift", SHIFTS, ids=lambda shift: f"{shift.name} {shift.strength}"[:30])
def test_a_shift_gives_a_field_and_leaves_the_original_alone(shift: Shift) -> None:
    field = draw_smear(np.random.default_rng(0), SMEAR_LABELS[0])[0]
    before = field.copy()
    shifted = shift.apply(field, np.random.default_rng(1))
    assert shifted.shape == field.shape
    assert shifted.dtype == np.uint8
    assert np.array_equal(field, before)
    assert (shift.name == "none") == np.array_equal(shifted, field)


@pytest.mark.parametrize("shift", SHIFTS, ids=lambda shift: f"{shift.name} {shift.strength}"[:30])
def test_only_random_shifts_and_noise_differ_from_draw_to_draw(shift: Shift) -> None:
    field = draw_smear(np.random.default_rng(0), SMEAR_LABELS[0])[0]
    one, two = (shift.apply(field, np.random.default_rng(seed)) for seed in (1, 2))
    assert np.array_equal(one, two) != (shift.random or shift.name == "noise")


@pytest.mark.parametrize(("percent", "strength"), [(5, "+-5 "), (10, "+-10 "), (20, "+-20 ")])
def test_white_balance_stays_in_its_range_and_uses_it(percent: int, strength: str) -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    shift = _named("white balance", strength)
    levels = np.stack([shift.apply(grey, np.random.default_rng(seed))[0, 0] for seed in range(200)])
    assert levels.min() >= 100 - percent
    assert levels.max() <= 100 + percent
    assert np.ptp(levels, axis=0).min() > 1.7 * percent
    # Channels vary independently.
    assert abs(np.corrcoef(levels.T) - np.eye(3)).max() < 0.3


def test_moderate_brightness_white_balance_and_scale_stay_in_their_ranges() -> None:
    grey = np.full((64, 64, 3), 120, np.uint8)
    shift = _named(MODERATE)
    levels = np.stack([shift.apply(grey, np.random.default_rng(seed)).mean(axis=(0, 1)) for seed in range(300)])
    # Rounding in two tables and in JPEG's chroma shifts levels by one or two.
    assert levels.min() >= 120 * 0.8 * 0.9 - 3
    assert levels.max() <= 120 * 1.2 * 1.1 + 3
    assert levels.mean(axis=1).min() < 120 * 0.84
    assert levels.mean(axis=1).max() > 120 * 1.16

    disc = np.full((224, 224, 3), 200, np.uint8)
    rows, columns = np.mgrid[:224, :224] - 111.5
    disc[rows**2 + columns**2 < 50**2] = 40
    for seed in range(40):
        shifted = shift.apply(disc, np.random.default_rng(seed)).min(axis=2)
        middle = (int(shifted.max()) + int(shifted.min())) / 2
        radius = ((shifted < middle).sum() / np.pi) ** 0.5
        assert 0.85 * 50 - 1 <= radius <= 1.15 * 50 + 1


def test_every_shift_of_the_goal_is_in_the_table() -> None:
    given = {(shift.name, shift.strength) for shift in SHIFTS}
    assert {
        ("brightness", "x0.8"),
        ("brightness", "x1.2"),
        ("white balance", "+-10 % per channel"),
        ("blur", "sigma 1 px"),
        ("JPEG", "quality 50"),
        ("scale", "x0.85"),
        ("scale", "x1.15"),
        ("rotation", "any"),
    } <= given
    assert SHIFTS[0].name == "none"
    assert SHIFTS[-1].name == MODERATE


def test_a_row_counts_top_classes_answers_and_refusals(
    analyzer: BundleAnalyzer, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    fields, truth = drawn
    black = Shift("black", "", lambda field, _: np.zeros_like(field))
    plain, dark = measure_shifts(analyzer, fields, truth, np.arange(24), shifts=(SHIFTS[0], black))
    predictions = analyzer.predict_fields(fields)
    assert plain.top_accuracy_ratio == pytest.approx((predictions.top == truth).mean())
    assert plain.top_accuracy_ratio > 0.7
    assert plain.answered_ratio == pytest.approx(predictions.answered.mean())
    low, high = plain.top_accuracy_interval_ratio
    assert low <= plain.top_accuracy_ratio <= high
    assert sum(plain.refusals.values()) == round(24 * (1 - plain.answered_ratio))
    # Nothing is answered, but there still is a top class: the same for all, so right for a quarter.
    assert (dark.answered_ratio, dark.answered_accuracy_ratio) == (0.0, None)
    assert dark.top_accuracy_ratio == pytest.approx(0.25)
    assert dark.refusals == {"under_exposed": 24}


def test_random_shifts_are_drawn_several_times_and_the_same_by_seed(
    analyzer: BundleAnalyzer, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    fields, truth = (each[::6] for each in drawn)
    seen: list[bytes] = []

    def remember(field: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shifted = optics.white_balance(field, rng.uniform(0.9, 1.1, 3))
        seen.append(shifted.tobytes())
        return shifted

    shift = Shift("any", "", remember, random=True)
    rows = [
        measure_shifts(analyzer, fields, truth, np.arange(4), draws=2, seed=seed, shifts=(shift,))[0]
        for seed in (1, 1, 2)
    ]
    assert [row.images_count for row in rows] == [8, 8, 8]
    assert rows[0] == rows[1]
    assert seen[:8] == seen[8:16]
    assert len(set(seen)) == 16
    fixed = measure_shifts(analyzer, fields, truth, np.arange(4), draws=2, shifts=(replace(shift, random=False),))
    assert fixed[0].images_count == 4


def test_the_corner_test_overwrites_the_corner_and_nothing_else(
    analyzer: BundleAnalyzer, drawn: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    fields, _ = drawn
    plain = analyzer.predict_fields(fields)
    seen: list[np.ndarray] = []

    def remember(changed: np.ndarray, what: str) -> object:
        seen.append(changed.copy())
        return plain

    with monkeypatch.context() as patched:
        patched.setattr(analyzer, "predict_fields", remember)
        rows = measure_corner(analyzer, fields, plain)
    height, width = CORNER_PX
    assert [row.overwritten_by for row in rows] == ["black", "white", "another image's corner"]
    assert all(row.top_changed_ratio == row.answer_changed_ratio == row.label_changed_ratio == 0 for row in rows)
    black, white, another = seen
    for changed in seen:
        restored = changed.copy()
        restored[:, -height:, -width:] = fields[:, -height:, -width:]
        assert np.array_equal(restored, fields)
    assert (black[:, -height:, -width:] == 0).all()
    assert (white[:, -height:, -width:] == 255).all()
    own = [field[-height:, -width:].tobytes() for field in fields]
    given = [field[-height:, -width:].tobytes() for field in another]
    assert sorted(own) == sorted(given)
    assert all(mine != theirs for mine, theirs in zip(own, given, strict=True))


def test_changed_labels_and_new_refusals_are_counted_separately(
    analyzer: BundleAnalyzer, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    fields, _ = drawn
    plain = analyzer.predict_fields(fields)
    # As if every field had had another top class before, and the first half had been refused.
    before = replace(
        plain,
        probabilities=np.roll(plain.probabilities, 1, axis=1),
        answered=np.arange(len(fields)) >= len(fields) // 2,
    )
    row = measure_corner(analyzer, fields, before)[0]
    assert row.top_changed_ratio > 0.7
    assert row.label_changed_ratio <= 0.5
    assert row.answer_changed_ratio >= row.label_changed_ratio

